//! Why no place was had.

use std::{error, fmt};

/// Why no place was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPlace {
    /// Too few are free, or others wait for them.
    Full,
    /// Too few are free, and nobody else may wait.
    LineFull,
    /// More were asked for than there are.
    TooLarge,
    /// The [order](crate::Order) gave its turn up, or its room in the line to
    /// another.
    Dropped,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too few places are free",
            Self::LineFull => "too few places are free and the line is full",
            Self::TooLarge => "more places were asked for than there are",
            Self::Dropped => "others go first, and there is no time or room for this one",
        })
    }
}

impl error::Error for NoPlace {}
