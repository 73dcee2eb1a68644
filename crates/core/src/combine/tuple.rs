//! Tuples of gates: all must admit.
//!
//! Asked left to right; a refusal, a cancelled wait or a panic gives back with
//! [`Outcome::Unused`] what the earlier ones granted.

use crate::{Admit, Gate, Outcome, Rejected};

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

macro_rules! tuple {
    ($($G:ident $g:ident $i:tt),+) => {
        impl<$($G: Gate),+> Gate for ($($G,)+) {
            type Ticket = ($($G::Ticket,)+);

            #[inline]
            fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
                $(self.$i.leave(ticket.$i, outcome);)+
            }
        }

        impl<Cx: ?Sized, $($G: Admit<Cx>),+> Admit<Cx> for ($($G,)+) {
            #[inline]
            fn try_enter(&self, cx: &Cx) -> Result<Self::Ticket, Rejected> {
                $(let mut $g = Pending(&self.$i, Some(self.$i.try_enter(cx)?));)+
                match ($($g.1.take(),)+) {
                    ($(Some($g),)+) => Ok(($($g,)+)),
                    _ => unreachable!("each was filled above"),
                }
            }

            async fn enter<'a>(&'a self, cx: &'a Cx) -> Result<Self::Ticket, Rejected>
            where
                Cx: Sync,
            {
                $(let mut $g = Pending(&self.$i, Some(self.$i.enter(cx).await?));)+
                match ($($g.1.take(),)+) {
                    ($(Some($g),)+) => Ok(($($g,)+)),
                    _ => unreachable!("each was filled above"),
                }
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
