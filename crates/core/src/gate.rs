//! The two traits under every pattern that admits work.

use crate::Rejected;

/// How a unit of work ended.
///
/// A gate that learns from results (a breaker, an adaptive limit) treats the
/// four differently; a gate that only counts treats the first three alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It worked: count it, and learn from its latency.
    Success,
    /// It failed: count it against the dependency.
    Failure,
    /// It started and tells nothing: a caller's mistake, or the caller went away.
    Ignored,
    /// It was admitted and never started: give everything back, tokens too.
    Unused,
}

/// Something work must pass before it starts, and reports to when it ends.
///
/// `Gate` is the half that does not depend on what is known about the work;
/// [`Admit`] is the half that does. They are apart so that a [`Permit`] can
/// give back what it holds without knowing what was asked.
///
/// Call the methods of [`GateExt`](crate::GateExt) rather than these: they
/// return a [`Permit`], which cannot be forgotten.
///
/// [`Permit`]: crate::Permit
pub trait Gate: Send + Sync {
    /// What must be handed back at the end: plain data, never a guard.
    type Ticket: Send;

    /// Hears that the work begins only now: after this gate had admitted it, it
    /// waited for another. A gate that measures how long work takes measures from
    /// here. By default nothing happens.
    ///
    /// A tuple says so to its gates where one behind the first let the work wait. Never
    /// blocks and never panics. Whoever wraps another gate must forward it.
    #[inline]
    fn begin(&self, ticket: &mut Self::Ticket) {
        let _ = ticket;
    }

    /// Ends what a ticket stands for.
    ///
    /// Never blocks and never panics. Every ticket is handed back exactly once,
    /// to the gate that issued it.
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome);
}

/// A gate that decides about work of which it knows `C`.
///
/// A gate that ignores what it is told implements `Admit<C>` for every `C`; one
/// that needs a part of a request implements it for the part, and
/// [`by`](crate::GateExt::by) or [`by_ref`](crate::GateExt::by_ref) lift it to
/// the whole.
///
/// # Example
///
/// A gate that lets nothing through at night:
///
/// ```
/// use plimsoll_core::{Admit, Gate, GateExt, Outcome, Reason, Rejected};
///
/// struct Hour(u8);
/// struct DayOnly;
///
/// impl Gate for DayOnly {
///     type Ticket = ();
///     fn leave(&self, _: (), _: Outcome) {}
/// }
/// impl Admit<Hour> for DayOnly {
///     fn try_enter(&self, hour: &Hour) -> Result<(), Rejected> {
///         match hour.0 {
///             6..22 => Ok(()),
///             _ => Err(Rejected::new(Reason::Closed, "day only")),
///         }
///     }
/// }
///
/// assert!(DayOnly.try_admit_for(&Hour(12)).is_ok());
/// assert_eq!(DayOnly.try_admit_for(&Hour(3)).unwrap_err().gate(), "day only");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide about `{C}`",
    label = "this gate is not `Admit<{C}>`",
    note = "a gate over a part of `{C}` becomes a gate over the whole with `.by(|whole: &{C}| part)` or `.by_ref(|whole: &{C}| &part)`",
    note = "a gate that keeps one state per key is made with `.keyed(|whole: &{C}| key)`, a weighted one with `.weighted(|whole: &{C}| cost)`"
)]
pub trait Admit<C: ?Sized = ()>: Gate {
    /// Decides now, without waiting.
    ///
    /// # Errors
    ///
    /// [`Rejected`] says which gate refused, why, and when to come back if the
    /// gate knows. A refusal changes nothing.
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected>;

    /// Decides, waiting if this gate lets work wait. By default nothing waits.
    ///
    /// Whoever wraps another gate must forward this method as well as
    /// [`try_enter`](Self::try_enter): left to the default, an adapter silently
    /// stops waiting.
    ///
    /// # Errors
    ///
    /// As [`try_enter`](Self::try_enter), and when waiting is refused or took
    /// too long.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the future leaves no trace in the gate.
    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        async move { self.try_enter(cx) }
    }

    /// [`enter`](Self::enter), and what `make` makes of the ticket: a permit, for
    /// whoever calls [`admit`](crate::GateExt::admit).
    ///
    /// A future around a future costs more than a free place. A gate that writes
    /// its own by hand can make the permit in it; nobody else need do anything.
    #[doc(hidden)]
    fn enter_as<'a, T, F>(
        &'a self,
        cx: &'a C,
        make: F,
    ) -> impl Future<Output = Result<T, Rejected>> + Send + 'a
    where
        C: Sync,
        T: 'a,
        F: Fn(Self::Ticket) -> T + Send + 'a,
    {
        async move { self.enter(cx).await.map(make) }
    }
}

/// A gate that can admit work of a weight other than one.
///
/// The unit is the gate's own: tokens, places, bytes. The ticket remembers the
/// weight. [`weighted`](crate::GateExt::weighted) turns a function from the
/// request to its weight into a gate over requests.
pub trait Weigh: Gate {
    /// Decides now about work of weight `n`.
    ///
    /// # Errors
    ///
    /// As [`Admit::try_enter`]. A weight that could never fit is refused
    /// without a [`retry_after`](Rejected::retry_after).
    fn try_enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected>;

    /// Decides about work of weight `n`, waiting if this gate lets work wait.
    ///
    /// # Errors
    ///
    /// As [`Admit::enter`]. A weight that could never fit is refused at once.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the future leaves no trace in the gate.
    fn enter_n(&self, n: u64) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + '_ {
        async move { self.try_enter_n(n) }
    }
}
