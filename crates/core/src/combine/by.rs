//! Gates over a part of the request.

use crate::{Admit, Gate, Outcome, Quota, QuotaState, Rejected};
use std::fmt;

/// A gate over `P` asked about a whole that has one, by value. Made by
/// [`GateExt::by`](crate::GateExt::by).
#[derive(Clone)]
pub struct By<G, F> {
    gate: G,
    part: F,
}

impl<G, F> By<G, F> {
    pub(crate) fn new(gate: G, part: F) -> Self {
        Self { gate, part }
    }

    /// The gate within.
    pub fn get_ref(&self) -> &G {
        &self.gate
    }
}

impl<G: Gate, F: Send + Sync> Gate for By<G, F> {
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

impl<C: ?Sized, P, G, F> Admit<C> for By<G, F>
where
    P: Send + Sync + 'static,
    G: Admit<P>,
    F: Fn(&C) -> P + Send + Sync,
{
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.gate.try_enter(&(self.part)(cx))
    }

    async fn enter<'a>(&'a self, cx: &'a C) -> Result<Self::Ticket, Rejected>
    where
        C: Sync,
    {
        let part = (self.part)(cx);
        self.gate.enter(&part).await
    }
}

impl<C: ?Sized, P, G, F> Quota<C> for By<G, F>
where
    G: Quota<P>,
    F: Fn(&C) -> P + Send + Sync,
{
    fn quota(&self, cx: &C) -> QuotaState {
        self.gate.quota(&(self.part)(cx))
    }
}

impl<G: fmt::Debug, F> fmt::Debug for By<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("By").field(&self.gate).finish()
    }
}

/// A gate over `P` asked about a whole that has one, by reference. Made by
/// [`GateExt::by_ref`](crate::GateExt::by_ref).
#[derive(Clone)]
pub struct ByRef<G, F> {
    gate: G,
    part: F,
}

impl<G, F> ByRef<G, F> {
    pub(crate) fn new(gate: G, part: F) -> Self {
        Self { gate, part }
    }

    /// The gate within.
    pub fn get_ref(&self) -> &G {
        &self.gate
    }
}

impl<G: Gate, F: Send + Sync> Gate for ByRef<G, F> {
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

impl<C: ?Sized, P: ?Sized, G, F> Admit<C> for ByRef<G, F>
where
    P: Sync + 'static,
    G: Admit<P>,
    F: Fn(&C) -> &P + Send + Sync,
{
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.gate.try_enter((self.part)(cx))
    }

    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.gate.enter((self.part)(cx))
    }
}

impl<C: ?Sized, P: ?Sized, G, F> Quota<C> for ByRef<G, F>
where
    G: Quota<P>,
    F: Fn(&C) -> &P + Send + Sync,
{
    fn quota(&self, cx: &C) -> QuotaState {
        self.gate.quota((self.part)(cx))
    }
}

impl<G: fmt::Debug, F> fmt::Debug for ByRef<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByRef").field(&self.gate).finish()
    }
}
