//! A name for a gate.

use crate::{Admit, Gate, Outcome, Quota, QuotaState, Rejected, Weigh};

/// A gate whose refusals carry a name that its user chose. Made by
/// [`GateExt::named`](crate::GateExt::named).
///
/// Where several gates of one kind stand in a row, the name tells which of them
/// refused.
#[derive(Clone, Debug)]
pub struct Named<G> {
    gate: G,
    name: &'static str,
}

impl<G> Named<G> {
    pub(crate) fn new(gate: G, name: &'static str) -> Self {
        Self { gate, name }
    }

    /// The gate within.
    pub fn get_ref(&self) -> &G {
        &self.gate
    }
}

impl<G: Gate> Gate for Named<G> {
    type Ticket = G::Ticket;

    #[inline]
    fn begin(&self, ticket: &mut Self::Ticket) {
        self.gate.begin(ticket);
    }

    #[inline]
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        self.gate.leave(ticket, outcome);
    }
}

impl<C: ?Sized, G: Admit<C>> Admit<C> for Named<G> {
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.gate.try_enter(cx).map_err(|refusal| refusal.by_gate(self.name))
    }

    async fn enter<'a>(&'a self, cx: &'a C) -> Result<Self::Ticket, Rejected>
    where
        C: Sync,
    {
        self.gate.enter(cx).await.map_err(|refusal| refusal.by_gate(self.name))
    }
}

impl<G: Weigh> Weigh for Named<G> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected> {
        self.gate.try_enter_n(n).map_err(|refusal| refusal.by_gate(self.name))
    }

    async fn enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected> {
        self.gate.enter_n(n).await.map_err(|refusal| refusal.by_gate(self.name))
    }
}

impl<C: ?Sized, G: Quota<C>> Quota<C> for Named<G> {
    fn quota(&self, cx: &C) -> QuotaState {
        self.gate.quota(cx)
    }
}
