//! Requests that count for more than one.

use crate::{Admit, Gate, Outcome, Rejected, Weigh};
use std::fmt;

/// A [`Weigh`] gate that asks a function what each request weighs. Made by
/// [`GateExt::weighted`](crate::GateExt::weighted).
#[derive(Clone)]
pub struct Weighted<G, F> {
    gate: G,
    weight: F,
}

impl<G, F> Weighted<G, F> {
    pub(crate) fn new(gate: G, weight: F) -> Self {
        Self { gate, weight }
    }

    /// The gate within.
    pub fn get_ref(&self) -> &G {
        &self.gate
    }
}

impl<G: Gate, F: Send + Sync> Gate for Weighted<G, F> {
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

impl<C: ?Sized, G, F> Admit<C> for Weighted<G, F>
where
    G: Weigh,
    F: Fn(&C) -> u64 + Send + Sync,
{
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.gate.try_enter_n((self.weight)(cx))
    }

    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.gate.enter_n((self.weight)(cx))
    }
}

impl<G: fmt::Debug, F> fmt::Debug for Weighted<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Weighted").field(&self.gate).finish()
    }
}
