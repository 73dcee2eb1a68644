//! The one guard of the workspace.

use crate::{Gate, Outcome};
use std::{fmt, mem, thread};

/// The right to do one unit of work, given back when it ends.
///
/// It holds the gate by any handle: `Permit<&G>` borrows and costs nothing,
/// `Permit<Arc<G>>` is `'static` and may be stored or sent to another thread.
///
/// However it ends, the gate hears of it exactly once:
///
/// | end | the gate hears |
/// |---|---|
/// | [`finish(outcome)`](Self::finish) | that outcome |
/// | [`cancel()`](Self::cancel) | [`Outcome::Unused`]: all is given back |
/// | dropped | [`Outcome::Ignored`] |
/// | dropped by a panic | [`Outcome::Failure`] |
///
/// "By a panic" means that the thread began to unwind while the permit was
/// held. A hand-written future must keep a guard of its own inside `poll`:
/// a `catch_unwind` further out drops the future after the panic has passed.
/// An `async` block needs nothing, its locals drop while it unwinds.
///
/// # Example
///
/// ```
/// use plimsoll_core::{GateExt, Outcome, testing::Places};
/// use std::sync::Arc;
///
/// let gate = Arc::new(Places::new(1));
/// let permit = gate.try_admit_owned()?;
/// let worker = std::thread::spawn(move || permit.finish(Outcome::Success));
/// worker.join().unwrap();
/// assert!(gate.try_admit().is_ok(), "the place is free again");
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
#[must_use = "dropped at once, a permit admits nothing: hold it while the work runs"]
pub struct Permit<G: Gate> {
    gate: G,
    held: Held<G::Ticket>,
}

/// What a permit still has to hand back. One enum, because a flag beside an
/// `Option` would be a word more to move for every admission.
enum Held<T> {
    Ticket(T),
    /// Issued while the thread unwound: its end says nothing about that panic.
    WhileUnwinding(T),
    /// `finish` took it, on the way into `drop`.
    Nothing,
}

impl<T> Held<T> {
    #[inline]
    fn take(&mut self) -> Self {
        mem::replace(self, Self::Nothing)
    }
}

impl<G: Gate> Permit<G> {
    /// A permit for a ticket that `gate` has just issued.
    ///
    /// For gates with admission functions of their own; users call
    /// [`GateExt::try_admit`](crate::GateExt::try_admit) and its kin.
    #[inline]
    pub fn new(gate: G, ticket: G::Ticket) -> Self {
        let held =
            if thread::panicking() { Held::WhileUnwinding(ticket) } else { Held::Ticket(ticket) };
        Self { gate, held }
    }

    /// Ends the work and says how it went.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    /// As [`finish`](Self::finish), where it lies.
    #[inline]
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if let Held::Ticket(ticket) | Held::WhileUnwinding(ticket) = self.held.take() {
            self.gate.leave(ticket, outcome);
        }
    }

    /// Says that the work never started: the gate takes everything back.
    #[inline]
    pub fn cancel(self) {
        self.finish(Outcome::Unused);
    }

    /// The gate this permit will report to.
    #[inline]
    pub fn gate(&self) -> &G {
        &self.gate
    }
}

impl<G: Gate> Drop for Permit<G> {
    #[inline]
    fn drop(&mut self) {
        let (ticket, outcome) = match self.held.take() {
            Held::Ticket(ticket) if thread::panicking() => (ticket, Outcome::Failure),
            Held::Ticket(ticket) | Held::WhileUnwinding(ticket) => (ticket, Outcome::Ignored),
            Held::Nothing => return,
        };
        self.gate.leave(ticket, outcome);
    }
}

impl<G: Gate> fmt::Debug for Permit<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}
