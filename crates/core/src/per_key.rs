//! Gates whose settings are shared by many keys.

use crate::{Gate, Outcome, QuotaState, Rejected, Tick};

/// A gate whose settings are shared and whose state is one small value per key.
///
/// A table of keys (the `plimsoll-keyed` crate) holds a million states beside
/// one gate that knows what to do with them. The methods mirror [`Gate`] and
/// [`Admit`](crate::Admit), with the state passed in.
///
/// # What a table relies on
///
/// A table gives a state to another key when [`is_fresh`](Self::is_fresh) says
/// so, while other threads may be entering it. For it to notice them, all
/// threads must agree on the order of what happens to a state: change it by
/// [`SeqCst`](std::sync::atomic::Ordering::SeqCst) read-modify-writes and read
/// it in `is_fresh` by `SeqCst` loads, or do both under one lock.
pub trait PerKey: Gate {
    /// What differs from key to key. A word or two of atomics.
    type State: Send + Sync;

    /// The present by this gate's own clock: what callers pass as `now`.
    fn now(&self) -> Tick;

    /// The state of a key that was never seen.
    fn fresh(&self) -> Self::State;

    /// Whether `state` decides like a fresh one from `now` on, so that
    /// forgetting it changes nothing and it may serve another key.
    ///
    /// A state that anybody waits on, or that has a ticket out which
    /// [`leave_in`](Self::leave_in) needs, is not fresh.
    fn is_fresh(&self, state: &Self::State, now: Tick) -> bool;

    /// [`Admit::try_enter`](crate::Admit::try_enter) on one key's state.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when this key's work may not start now.
    fn try_enter_in(&self, state: &Self::State, now: Tick) -> Result<Self::Ticket, Rejected>;

    /// [`Admit::enter`](crate::Admit::enter) on one key's state.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when this key's work may not start.
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point, the future leaves no trace in the state.
    fn enter_in<'a>(
        &'a self,
        state: &'a Self::State,
    ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a {
        async move { self.try_enter_in(state, self.now()) }
    }

    /// [`Gate::leave`] on one key's state.
    fn leave_in(&self, state: &Self::State, ticket: Self::Ticket, outcome: Outcome);
}

/// A [`PerKey`] gate that can say how much one key has left.
pub trait PerKeyQuota: PerKey {
    /// What the key whose state this is may still use.
    fn quota_in(&self, state: &Self::State, now: Tick) -> QuotaState;
}
