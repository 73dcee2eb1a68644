//! A scale that can be turned while it is read.

use super::scale::Scale;
use crate::sync::{AtomicU64, Ordering};

/// A [`Scale`] behind a sequence lock: read without waiting, written under a
/// lock that the writer brings.
///
/// Loads acquire and stores release instead of fences, so that a reader who
/// sees anything of a change sees the odd version that came before it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Dial {
    /// Odd while it is being turned.
    version: AtomicU64,
    speed: AtomicU64,
    unit: AtomicU64,
    depth: AtomicU64,
    inverse: AtomicU64,
    /// `[shift 63 | paces 1]`
    rest: AtomicU64,
}

/// Which setting of the dial a number belongs to.
pub(super) type Version = u64;

impl Dial {
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            version: AtomicU64::new(0),
            speed: AtomicU64::new(scale.speed),
            unit: AtomicU64::new(scale.unit),
            depth: AtomicU64::new(scale.depth),
            inverse: AtomicU64::new(scale.inverse),
            rest: AtomicU64::new(rest(scale)),
        }
    }

    /// The scale and what `state` reads, both of one setting; `None` while the
    /// dial is being turned.
    #[inline]
    pub(super) fn read_with<T>(&self, state: impl FnOnce() -> T) -> Option<(Version, Scale, T)> {
        let version = self.version.load(Ordering::Acquire);
        let state = state();
        let scale = self.read();
        (version & 1 == 0 && self.is_at(version)).then_some((version, scale, state))
    }

    /// Whether it still stands where it stood. Everything that was loaded with
    /// acquire before is of that version then.
    #[inline]
    pub(super) fn is_at(&self, version: Version) -> bool {
        self.version.load(Ordering::Relaxed) == version
    }

    /// The scale, for those who hold the writers' lock.
    #[expect(clippy::cast_possible_truncation, reason = "a shift is at most 63")]
    #[inline]
    pub(super) fn read(&self) -> Scale {
        let rest = self.rest.load(Ordering::Acquire);
        Scale {
            speed: self.speed.load(Ordering::Acquire),
            unit: self.unit.load(Ordering::Acquire),
            depth: self.depth.load(Ordering::Acquire),
            inverse: self.inverse.load(Ordering::Acquire),
            shift: (rest >> 1) as u32,
            paces: rest & 1 != 0,
        }
    }

    /// The version, for those who hold the writers' lock.
    pub(super) fn version(&self) -> Version {
        self.version.load(Ordering::Relaxed)
    }

    /// Sets another scale and lets `convert` bring the state over before anyone
    /// reads either. Only under the writers' lock.
    pub(super) fn turn(&self, scale: &Scale, convert: impl FnOnce()) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        self.speed.store(scale.speed, Ordering::Release);
        self.unit.store(scale.unit, Ordering::Release);
        self.depth.store(scale.depth, Ordering::Release);
        self.inverse.store(scale.inverse, Ordering::Release);
        self.rest.store(rest(scale), Ordering::Release);
        convert();
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }
}

fn rest(scale: &Scale) -> u64 {
    u64::from(scale.shift) << 1 | u64::from(scale.paces)
}
