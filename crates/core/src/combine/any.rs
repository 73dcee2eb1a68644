//! A gate whose type is not known.

use crate::{Admit, Gate, Outcome, Rejected};
use std::{any::Any, fmt, pin::Pin, sync::Arc};

type BoxedEnter<'a> =
    Pin<Box<dyn Future<Output = Result<Box<dyn Any + Send>, Rejected>> + Send + 'a>>;

/// What of a gate over `C` fits behind a pointer.
trait DynGate<C: ?Sized>: Send + Sync {
    fn begin(&self, ticket: &mut (dyn Any + Send));
    fn leave(&self, ticket: Box<dyn Any + Send>, outcome: Outcome);
    fn try_enter(&self, cx: &C) -> Result<Box<dyn Any + Send>, Rejected>;
    fn enter<'a>(&'a self, cx: &'a C) -> BoxedEnter<'a>
    where
        C: Sync;
}

impl<C: ?Sized, G: Admit<C, Ticket: 'static>> DynGate<C> for G {
    // Tickets come back to the gate that issued them, so the type is right.
    fn begin(&self, ticket: &mut (dyn Any + Send)) {
        if let Some(ticket) = ticket.downcast_mut() {
            Gate::begin(self, ticket);
        }
    }

    fn leave(&self, ticket: Box<dyn Any + Send>, outcome: Outcome) {
        if let Ok(ticket) = ticket.downcast() {
            Gate::leave(self, *ticket, outcome);
        }
    }

    fn try_enter(&self, cx: &C) -> Result<Box<dyn Any + Send>, Rejected> {
        Admit::try_enter(self, cx).map(|ticket| Box::new(ticket) as _)
    }

    fn enter<'a>(&'a self, cx: &'a C) -> BoxedEnter<'a>
    where
        C: Sync,
    {
        Box::pin(async move { Admit::enter(self, cx).await.map(|ticket| Box::new(ticket) as _) })
    }
}

/// Any gate over `C`, behind one type: for tables of gates that differ, and
/// for configuration that chooses among them.
///
/// A cheap handle: clones share the gate. The price: it boxes each ticket that
/// is not zero-sized, and each future of `enter`.
///
/// # Example
///
/// ```
/// use plimsoll_core::{AnyGate, GateExt, Priority, testing::{AtLeast, Places}};
///
/// let gates: Vec<AnyGate<Priority>> =
///     vec![AnyGate::new(Places::new(1)), AnyGate::new(AtLeast(Priority::HIGHEST))];
/// let admitted = gates.iter().filter(|gate| gate.try_admit_for(&Priority::NORMAL).is_ok());
/// assert_eq!(admitted.count(), 1);
/// ```
pub struct AnyGate<C: ?Sized = ()>(Arc<dyn DynGate<C>>);

impl<C: ?Sized> AnyGate<C> {
    /// Forgets the type of `gate`.
    pub fn new<G: Admit<C> + 'static>(gate: G) -> Self {
        Self(Arc::new(gate))
    }
}

impl<C: ?Sized> Clone for AnyGate<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C: ?Sized> fmt::Debug for AnyGate<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyGate(..)")
    }
}

impl<C: ?Sized> Gate for AnyGate<C> {
    type Ticket = Box<dyn Any + Send>;

    fn begin(&self, ticket: &mut Self::Ticket) {
        self.0.begin(&mut **ticket);
    }

    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        self.0.leave(ticket, outcome);
    }
}

impl<C: ?Sized> Admit<C> for AnyGate<C> {
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.0.try_enter(cx)
    }

    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.0.enter(cx)
    }
}
