//! What a round runs on.

use std::fmt;

/// What a round runs on: threads that do one operation after the other, or a
/// runtime whose tasks pass items on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum On {
    Threads(usize),
    /// A tokio runtime of one thread.
    CurrentThread,
    /// A tokio runtime with two workers.
    MultiThread,
    /// A runtime of one thread on which nothing but sleep takes time: the clock
    /// goes to the next timer when no task can go on. Figures are of that clock.
    Paused,
}

/// Operations on one thread, and on two.
pub(crate) const ONE: On = On::Threads(1);
pub(crate) const TWO: On = On::Threads(2);

/// The two flavours of runtime that services use.
pub(crate) const FLAVOURS: [On; 2] = [On::CurrentThread, On::MultiThread];

impl On {
    /// How many CPUs it needs, so that its threads do not take turns on one.
    pub(crate) fn cpus(self) -> usize {
        match self {
            Self::Threads(threads) => threads,
            Self::CurrentThread | Self::Paused => 1,
            Self::MultiThread => 2,
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(1) => f.write_str("1 thread"),
            Self::Threads(threads) => write!(f, "{threads} threads"),
            Self::CurrentThread => f.write_str("current_thread"),
            Self::MultiThread => f.write_str("multi_thread(2)"),
            Self::Paused => f.write_str("paused time"),
        }
    }
}
