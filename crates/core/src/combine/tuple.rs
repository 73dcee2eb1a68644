//! Tuples of gates: all must admit.
//!
//! Asked left to right; a refusal, a cancelled wait or a panic gives back with
//! [`Outcome::Unused`] what the earlier ones granted.

use crate::{Admit, Gate, Outcome, Rejected};
use std::{future::poll_fn, pin::pin};

/// A ticket that goes back unused unless it is kept.
struct Pending<'a, G: Gate>(&'a G, Option<G::Ticket>);

impl<G: Gate> Drop for Pending<'_, G> {
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.1.take() {
            self.0.leave(ticket, Outcome::Unused);
        }
    }
}

/// Awaits, and notes whether that took any time.
async fn noting<F: Future>(waited: &mut bool, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        *waited |= poll.is_pending();
        poll
    })
    .await
}

macro_rules! tuple {
    ($A:ident $a:ident $first:tt $(, $G:ident $g:ident $i:tt)*) => {
        impl<$A: Gate, $($G: Gate),*> Gate for ($A, $($G,)*) {
            type Ticket = ($A::Ticket, $($G::Ticket,)*);

            #[inline]
            fn begin(&self, ticket: &mut Self::Ticket) {
                self.$first.begin(&mut ticket.$first);
                $(self.$i.begin(&mut ticket.$i);)*
            }

            #[inline]
            fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
                self.$first.leave(ticket.$first, outcome);
                $(self.$i.leave(ticket.$i, outcome);)*
            }
        }

        impl<Cx: ?Sized, $A: Admit<Cx>, $($G: Admit<Cx>),*> Admit<Cx> for ($A, $($G,)*) {
            #[inline]
            fn try_enter(&self, cx: &Cx) -> Result<Self::Ticket, Rejected> {
                let mut $a = Pending(&self.$first, Some(self.$first.try_enter(cx)?));
                $(let mut $g = Pending(&self.$i, Some(self.$i.try_enter(cx)?));)*
                match ($a.1.take(), $($g.1.take(),)*) {
                    (Some($a), $(Some($g),)*) => Ok(($a, $($g,)*)),
                    _ => unreachable!("each was filled above"),
                }
            }

            async fn enter<'a>(&'a self, cx: &'a Cx) -> Result<Self::Ticket, Rejected>
            where
                Cx: Sync,
            {
                let mut $a = Pending(&self.$first, Some(self.$first.enter(cx).await?));
                #[allow(unused_mut, reason = "a tuple of one waits for nobody")]
                let mut waited = false;
                $(let $g = noting(&mut waited, self.$i.enter(cx)).await?;
                let mut $g = Pending(&self.$i, Some($g));)*
                let mut ticket = match ($a.1.take(), $($g.1.take(),)*) {
                    (Some($a), $(Some($g),)*) => ($a, $($g,)*),
                    _ => unreachable!("each was filled above"),
                };
                if waited {
                    self.begin(&mut ticket);
                }
                Ok(ticket)
            }
        }
    };
}

tuple!(A a 0);
tuple!(A a 0, B b 1);
tuple!(A a 0, B b 1, C c 2);
tuple!(A a 0, B b 1, C c 2, D d 3);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6);
tuple!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7);
