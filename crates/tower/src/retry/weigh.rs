//! A result as an attempt of a `Retry` or a `Hedge` sees it.

use super::repeat::Repeat;
use plimsoll_retry::{Judge, Observe, Stop, Verdict};
use std::time::Duration;

/// A result that is no success: an error, or an answer that says so.
pub(super) struct Failed<Res, E> {
    pub(super) result: Result<Res, E>,
    verdict: Verdict,
    /// It might be tried again if there were a copy of the request.
    unrepeatable: bool,
}

impl<Res, E> Failed<Res, E> {
    /// Why there is no further attempt, where it is known.
    fn stop(&self, why: Stop) -> Stop {
        if self.unrepeatable { Stop::Unrepeatable } else { why }
    }

    /// Why the first attempt is the last, where no other was prepared.
    pub(super) fn only_once(&self) -> Stop {
        if self.verdict == Verdict::Permanent { Stop::Permanent } else { Stop::Attempts }
    }
}

/// What is known of the request when its result is there.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) may_run_twice: bool,
    /// There might be another attempt, and there is no copy for it.
    pub(super) uncopied: bool,
}

/// Whether a result is a success.
pub(super) fn weigh<Req, Res, E>(
    result: Result<Res, E>,
    sent: Sent,
    policy: &impl Repeat<Req, Res>,
    judge: &impl Judge<E>,
) -> Result<Res, Failed<Res, E>> {
    let said = match &result {
        Ok(answer) => policy.judge(sent.may_run_twice, answer),
        Err(error) if !sent.may_run_twice && judge.may_have_begun(error) => {
            Some(Verdict::Permanent)
        }
        Err(error) => Some(judge.judge(error)),
    };
    match (said, result) {
        (None, Ok(answer)) => Ok(answer),
        (said, result) => {
            let said = said.unwrap_or(Verdict::Permanent);
            let unrepeatable = sent.uncopied && said != Verdict::Permanent;
            let verdict = if sent.uncopied { Verdict::Permanent } else { said };
            Err(Failed { result, verdict, unrepeatable })
        }
    }
}

/// Says of a failure what was said when it was weighed.
#[derive(Clone, Copy)]
pub(super) struct Said;

impl<Res, E> Judge<Failed<Res, E>> for Said {
    fn judge(&self, failed: &Failed<Res, E>) -> Verdict {
        failed.verdict
    }
}

/// Tells an observer of results.
#[derive(Clone)]
pub(super) struct Told<O>(pub(super) O);

impl<Res, E, O: Observe<Result<Res, E>>> Observe<Failed<Res, E>> for Told<O> {
    fn retrying(&self, attempt: u32, failed: &Failed<Res, E>, pause: Duration) {
        self.0.retrying(attempt, &failed.result, pause);
    }

    fn gave_up(&self, attempts: u32, failed: &Failed<Res, E>, why: Stop) {
        self.0.gave_up(attempts, &failed.result, failed.stop(why));
    }
}
