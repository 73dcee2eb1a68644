//! In which order those who wait are served.

use crate::{Line, Spot, Waiter};

/// Decides who of those who wait for [`Places`](crate::Places) is next.
///
/// It is asked under the lock of the line, where somebody joins or a place comes
/// free, and never by work that finds a place free.
pub trait Order: Send {
    /// What it is told about whoever joins.
    type About: Copy + Send;
    /// What it keeps with them.
    type Key: Copy + Send;

    /// What to keep with somebody who is about to join.
    fn key(&mut self, about: Self::About) -> Self::Key;

    /// Who is next, if anybody waits, while so many places are `free`. Whoever
    /// waits for more is not served yet, and it is asked again when more are.
    fn next(&mut self, line: &Line<Waiter<Self::Key>>, free: u32) -> Option<Next>;

    /// Who is refused to make room for somebody with this key when the line is
    /// full. `None` refuses the newcomer, as by default.
    fn displaced(&self, _: &Line<Waiter<Self::Key>>, _: Self::Key) -> Option<Spot> {
        None
    }

    /// Somebody has joined.
    fn joined(&mut self, _: Self::Key, _: Spot) {}

    /// Somebody waits no more: served, refused or gone.
    fn left(&mut self, _: Self::Key) {}
}

/// What becomes of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is given its places, once they are free.
    Serve(Spot),
    /// It is refused, and the one after it is next.
    Refuse(Spot),
}

/// First come, first served.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrival;

impl Order for Arrival {
    type About = ();
    type Key = ();

    fn key(&mut self, (): ()) {}

    #[inline]
    fn next(&mut self, line: &Line<Waiter<()>>, _: u32) -> Option<Next> {
        line.front().map(Next::Serve)
    }
}
