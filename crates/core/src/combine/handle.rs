//! Handles to a gate, and a gate that may be absent, are gates.

use crate::{Admit, Gate, Outcome, Quota, QuotaState, Rejected, Weigh};
use std::sync::Arc;

macro_rules! forward {
    ($($handle:ty),+) => {$(
        impl<G: Gate + ?Sized> Gate for $handle {
            type Ticket = G::Ticket;

            #[inline]
            fn begin(&self, ticket: &mut Self::Ticket) {
                (**self).begin(ticket);
            }

            #[inline]
            fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
                (**self).leave(ticket, outcome);
            }
        }

        impl<C: ?Sized, G: Admit<C> + ?Sized> Admit<C> for $handle {
            #[inline]
            fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
                (**self).try_enter(cx)
            }

            fn enter<'a>(
                &'a self,
                cx: &'a C,
            ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a
            where
                C: Sync,
            {
                (**self).enter(cx)
            }

            #[inline]
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
                (**self).enter_as(cx, make)
            }
        }

        impl<G: Weigh + ?Sized> Weigh for $handle {
            #[inline]
            fn try_enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected> {
                (**self).try_enter_n(n)
            }

            fn enter_n(
                &self,
                n: u64,
            ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + '_ {
                (**self).enter_n(n)
            }
        }

        impl<C: ?Sized, G: Quota<C> + ?Sized> Quota<C> for $handle {
            fn quota(&self, cx: &C) -> QuotaState {
                (**self).quota(cx)
            }
        }
    )+};
}

forward!(&G, Arc<G>, Box<G>);

/// `None` admits everything: a gate that configuration may leave out.
impl<G: Gate> Gate for Option<G> {
    type Ticket = Option<G::Ticket>;

    #[inline]
    fn begin(&self, ticket: &mut Self::Ticket) {
        if let (Some(gate), Some(ticket)) = (self, ticket) {
            gate.begin(ticket);
        }
    }

    #[inline]
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        if let (Some(gate), Some(ticket)) = (self, ticket) {
            gate.leave(ticket, outcome);
        }
    }
}

impl<C: ?Sized, G: Admit<C>> Admit<C> for Option<G> {
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.as_ref().map(|gate| gate.try_enter(cx)).transpose()
    }

    async fn enter<'a>(&'a self, cx: &'a C) -> Result<Self::Ticket, Rejected>
    where
        C: Sync,
    {
        match self {
            Some(gate) => gate.enter(cx).await.map(Some),
            None => Ok(None),
        }
    }
}

impl<G: Weigh> Weigh for Option<G> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected> {
        self.as_ref().map(|gate| gate.try_enter_n(n)).transpose()
    }

    async fn enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected> {
        match self {
            Some(gate) => gate.enter_n(n).await.map(Some),
            None => Ok(None),
        }
    }
}
