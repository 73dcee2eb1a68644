//! What of requests and answers decides whether a request is sent again.

use plimsoll_retry::Verdict;

/// Says which requests may be sent again, and after which answers.
///
/// Errors are judged by the [`Judge`](plimsoll_retry::Judge) of the `Retry` or
/// `Hedge`; this is about the rest. [`HttpRequests`](crate::HttpRequests) knows
/// HTTP; implement it for protocols of your own.
///
/// # Example
///
/// ```
/// use plimsoll_retry::{Retry, Verdict};
/// use plimsoll_tower::{Repeat, RetryLayer};
/// use std::time::Duration;
///
/// /// A protocol whose questions may be asked again, and whose orders may not.
/// struct Orders;
/// # #[derive(Clone)]
/// enum Request { Ask(u32), Order(u32) }
/// enum Reply { Done, Busy }
///
/// impl Repeat<Request, Reply> for Orders {
///     fn may_run_twice(&self, request: &Request) -> bool {
///         matches!(request, Request::Ask(_))
///     }
///
///     fn judge(&self, _: bool, reply: &Reply) -> Option<Verdict> {
///         matches!(reply, Reply::Busy).then_some(Verdict::Transient) // nothing was begun
///     }
/// }
///
/// let layer = RetryLayer::of(Orders, Retry::exponential(Duration::from_millis(100)));
/// # let _ = (layer, Request::Order(1), Request::Ask(1), Reply::Done);
/// ```
pub trait Repeat<Req, Res> {
    /// Whether it does no harm if the request is carried out twice. By default it
    /// does none.
    ///
    /// Others are sent again only when they were refused before anything began,
    /// and never hedged.
    fn may_run_twice(&self, request: &Req) -> bool {
        let _ = request;
        true
    }

    /// What an answer says about trying again; `None` when it is a success. By
    /// default every answer is.
    fn judge(&self, may_run_twice: bool, answer: &Res) -> Option<Verdict> {
        let _ = (may_run_twice, answer);
        None
    }

    /// Writes the number of an attempt into its request, 1 for the first. By
    /// default nothing is written.
    fn number(&self, request: &mut Req, attempt: u32) {
        let _ = (request, attempt);
    }
}

/// Any request may be sent again, and every answer is a success.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyRequest;

impl<Req, Res> Repeat<Req, Res> for AnyRequest {}

/// A function judges answers, within what another policy holds for harmless. Made
/// by [`RetryLayer::judge_answers`](crate::RetryLayer::judge_answers).
#[derive(Clone, Copy, Debug)]
pub struct ByAnswer<P, F>(pub(super) P, pub(super) F);

impl<Req, Res, P, F> Repeat<Req, Res> for ByAnswer<P, F>
where
    P: Repeat<Req, Res>,
    F: Fn(&Res) -> Option<Verdict>,
{
    fn may_run_twice(&self, request: &Req) -> bool {
        self.0.may_run_twice(request)
    }

    fn judge(&self, may_run_twice: bool, answer: &Res) -> Option<Verdict> {
        let said = (self.1)(answer)?;
        let never_began =
            || !matches!(self.0.judge(false, answer), None | Some(Verdict::Permanent));
        Some(if may_run_twice || never_began() { said } else { Verdict::Permanent })
    }

    fn number(&self, request: &mut Req, attempt: u32) {
        self.0.number(request, attempt);
    }
}
