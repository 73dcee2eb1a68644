//! What measures how long calls wait.

use plimsoll_core::{Clock, DefaultClock, Tick};

/// The default clock is read in place: behind a pointer, a tenth of the time that
/// an item takes which somebody waits for goes into finding it.
pub(crate) enum Watch {
    Default(DefaultClock),
    Own(Box<dyn Clock>),
    /// For those who do not want to know.
    Still,
}

impl Watch {
    #[inline]
    pub(crate) fn now(&self) -> Tick {
        match self {
            Self::Default(clock) => clock.now(),
            Self::Own(clock) => clock.now(),
            Self::Still => Tick::ZERO,
        }
    }
}
