//! The arithmetic of a bucket: whole numbers, no rounding that adds up.
//!
//! A token is cut into `unit` units, and the clock counts units: one
//! multiplication of the whole uptime by a `speed`, rounded down. Nothing is
//! ever added to an earlier result, so no error adds up: after a century the
//! clock is behind by a unit at most, and never ahead.
//!
//! The state is one number, the *empty mark*: the reading of the clock at which
//! the bucket was last empty, moved on by a token's units for each token taken.
//! What lies between it and the present is in the bucket, up to `depth`. This
//! is the generic cell rate algorithm (ITU-T I.371, annex A) with time measured
//! in parts of a token instead of nanoseconds.

use plimsoll_core::{ConfigError, Tick};
use std::time::Duration;

/// Where the clock of units starts, so that a full bucket's empty mark is not
/// below zero, however deep it is.
const ORIGIN: u64 = DEPTH;
/// The deepest bucket, in units, and the most that one request may owe.
const DEPTH: u64 = 1 << 61;
/// The clock stands after this many nanoseconds: 146 years.
const LAST: u64 = 1 << 62;
/// `speed` is in units per nanosecond × 2^63.
const SPEED: u32 = 63;
/// The speed at which a unit is a nanosecond, as it is wherever tokens come a
/// whole number of nanoseconds apart. Products that change nothing are skipped:
/// a branch that is foreseen costs nothing, and everybody waits for a product.
const ONE: u64 = 1 << SPEED;
/// How far behind the line may fall and still catch up: timers are late by a
/// millisecond or two, and a busy machine is later.
const CATCH_UP: u64 = 10_000_000;

/// So many per so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    n: u32,
    /// In nanoseconds, at least one and at least `n`.
    period: u64,
}

impl Rate {
    pub(super) fn new(n: u32, period: Duration) -> Result<Self, ConfigError> {
        let Some(period) = u64::try_from(period.as_nanos()).ok().filter(|&nanos| nanos > 0) else {
            return Err(ConfigError::new("period", format!("{period:?}"), "1 ns to 584 years"));
        };
        if u64::from(n) > period {
            let rate = format!("{n} per {:?}", Duration::from_nanos(period));
            return Err(ConfigError::new("rate", rate, "at most 1000000000 per second"));
        }
        Ok(Self { n, period })
    }
}

/// What a bucket does with the tokens that nobody takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keeps them, up to so many. A request takes its tokens out of these.
    Saves { burst: u32 },
    /// Keeps none. A request passes when the one before it is paid for, and is
    /// paid for afterwards.
    Paces,
}

/// A rate and a kind, as the numbers that decisions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// Units per nanosecond × 2^63; 0 for the rate 0.
    pub(super) speed: u64,
    /// Units per token, at least 1.
    pub(super) unit: u64,
    /// How many units the bucket holds.
    pub(super) depth: u64,
    /// Nanoseconds per unit × 2^`shift`, rounded up; at least 2^63 unless the
    /// rate is 0.
    pub(super) inverse: u64,
    pub(super) shift: u32,
    pub(super) paces: bool,
}

/// Nanoseconds that a request would have to wait; the most there are for never.
#[derive(Clone, Copy)]
pub(super) struct Wait(pub(super) u64);

impl Scale {
    /// The scale for requests of up to the burst, or of up to `largest`.
    pub(super) fn new(rate: Rate, kind: Kind, largest: u32) -> Self {
        let (largest, burst) = match kind {
            Kind::Saves { burst } => (largest.max(burst), burst),
            Kind::Paces => (u32::MAX, 0),
        };
        let most = DEPTH / u64::from(largest.max(1));
        // As fine as a nanosecond where that fits: then a century fits as well.
        let unit = match rate.n {
            // As fine as any: it may be given a rate.
            0 => u64::from(u32::MAX).min(most),
            n => (rate.period / u64::from(n)).min(most),
        };
        let per_period = u128::from(unit) * u128::from(rate.n);
        let speed = narrow((per_period << SPEED) / u128::from(rate.period));
        let (inverse, shift) = match speed {
            0 => (0, 0),
            speed => {
                // The smallest power of two that is not below the speed.
                let shift = u64::BITS - (speed - 1).leading_zeros();
                (narrow((1_u128 << (shift + SPEED)).div_ceil(u128::from(speed))), shift)
            }
        };
        let paces = kind == Kind::Paces;
        Self { speed, unit, depth: unit * u64::from(burst), inverse, shift, paces }
    }

    /// The clock in units.
    #[inline]
    pub(super) fn at(&self, now: Tick) -> u64 {
        let nanos = now.as_nanos();
        if nanos > LAST {
            return end(self.speed);
        }
        ORIGIN + if self.speed == ONE { nanos } else { units(nanos, self.speed) }
    }

    /// How long until the clock reads `mark`: never too short, and at most a
    /// nanosecond too long. `None` if it never does.
    #[inline]
    pub(super) fn until(&self, mark: u64, now: Tick) -> Option<u64> {
        let units = mark.saturating_sub(ORIGIN);
        let nanos = match self.speed {
            ONE => units,
            0 if units > 0 => return None,
            _ => nanos(units, self.inverse, self.shift)?,
        };
        Some(nanos.saturating_sub(now.as_nanos()))
    }

    /// How long until a request passes that was refused and comes next: when the
    /// clock reads `passes`, if it ever fits.
    #[inline]
    pub(super) fn wait(&self, cost: u64, passes: u64, now: Tick) -> Wait {
        // What never fits waits as if nothing came in.
        let fits = self.ever_fits(cost);
        let (speed, passes) = if fits { (self.speed, passes) } else { (0, u64::MAX) };
        Wait(Self { speed, ..*self }.until(passes, now).unwrap_or(u64::MAX))
    }

    /// What `n` tokens cost in units.
    #[inline]
    pub(super) fn cost(&self, n: u32) -> u64 {
        self.cost_of_all(n.into())
    }

    /// What the requests of many cost together, at most the end of time.
    #[inline]
    pub(super) fn cost_of_all(&self, n: u64) -> u64 {
        n.saturating_mul(self.unit)
    }

    /// What of the cost must be in the bucket beforehand.
    #[inline]
    pub(super) fn upfront(&self, cost: u64) -> u64 {
        if self.paces { 0 } else { cost }
    }

    /// Whether a request of this cost can ever pass.
    #[inline]
    pub(super) fn ever_fits(&self, cost: u64) -> bool {
        self.upfront(cost) <= self.depth
    }

    /// Takes a request's cost out of a bucket that was last empty at `empty`.
    /// Returns the new empty mark, or the reading of the clock at which the
    /// request would pass, if it [ever fits](Self::ever_fits).
    #[inline]
    pub(super) fn take(&self, empty: u64, clock: u64, cost: u64) -> Result<u64, u64> {
        // The clock is what comes last: nothing that can be done without it
        // waits for it.
        let passes = empty.saturating_add(self.upfront(cost));
        if passes > clock || !self.ever_fits(cost) {
            return Err(passes);
        }
        Ok(empty.max(clock.saturating_sub(self.depth)) + cost)
    }

    /// [`take`](Self::take) for the one in front of a line.
    ///
    /// What came in while somebody waited has not run over. But waiters whom a
    /// late timer held up pass all at once, and so only what came in within the
    /// last `CATCH_UP` counts for them; a reservation that nobody awaits has its
    /// turn when it was told, whenever anybody looks.
    pub(super) fn take_in_line(
        &self,
        empty: u64,
        clock: u64,
        cost: u64,
        awaited: bool,
    ) -> Result<u64, u64> {
        let kept = if awaited { self.kept_in_line(cost) } else { u64::MAX };
        Self { depth: kept, ..*self }.take(empty, clock, cost)
    }

    /// The most that the bucket holds for the one in front of a line.
    fn kept_in_line(&self, cost: u64) -> u64 {
        self.depth.max(self.upfront(cost)).saturating_add(units(CATCH_UP, self.speed))
    }

    /// What of `cost`, taken when the empty mark became `empty`, may be given
    /// back: what a full bucket still lacks because of it, if nothing else was
    /// given back since. Tokens that would have run over must not come back.
    pub(super) fn refund(&self, empty: u64, clock: u64, cost: u64) -> u64 {
        cost.min((empty + self.depth).saturating_sub(clock))
    }

    /// The units in a bucket.
    pub(super) fn level(&self, empty: u64, clock: u64) -> u64 {
        clock.saturating_sub(empty).min(self.depth)
    }

    /// The whole tokens in a bucket: as many as the burst, at most.
    pub(super) fn tokens(&self, empty: u64, clock: u64) -> u32 {
        u32::try_from(self.level(empty, clock) / self.unit).unwrap_or(u32::MAX)
    }

    /// The empty mark that says in this scale what `empty` says in `old`: the
    /// same tokens in the bucket, as many as it holds for all or for the one in
    /// `front` of a line, or the same debt.
    pub(super) fn convert(&self, old: &Self, empty: u64, now: Tick, front: Option<u32>) -> u64 {
        let (clock, before) = (self.at(now), old.at(now));
        let (unit, old_unit) = (u128::from(self.unit), u128::from(old.unit));
        if empty <= before {
            let kept =
                |scale: &Self| front.map_or(scale.depth, |n| scale.kept_in_line(scale.cost(n)));
            let level = (before - empty).min(kept(old));
            let level = u128::from(level) * unit / old_unit;
            return clock.saturating_sub(narrow(level.min(u128::from(kept(self)))));
        }
        if self.paces {
            let debt = (u128::from(empty - before) * unit).div_ceil(old_unit);
            return clock + narrow(debt.min(u128::from(DEPTH)));
        }
        // Somebody took a token at that time: it has come, whatever `now` says.
        let nanos = old.until(empty, Tick::ZERO).unwrap_or(0);
        self.at(now.max(Tick::from_nanos(nanos)))
    }
}

/// How many units come in so many nanoseconds.
#[inline]
fn units(nanos: u64, speed: u64) -> u64 {
    // `(nanos * speed) >> SPEED`, as the upper half of a product.
    narrow((u128::from(nanos << 1) * u128::from(speed)) >> (SPEED + 1))
}

/// The clock from [`LAST`] on.
#[cold]
fn end(speed: u64) -> u64 {
    ORIGIN + units(LAST, speed)
}

/// How many nanoseconds it takes until so many units have come in.
#[inline(never)]
fn nanos(units: u64, inverse: u64, shift: u32) -> Option<u64> {
    let round_up = (1_u128 << shift) - 1;
    u64::try_from((u128::from(units) * u128::from(inverse) + round_up) >> shift).ok()
}

/// All callers show that it fits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "checked in debug builds")]
fn narrow(value: u128) -> u64 {
    debug_assert!(u64::try_from(value).is_ok());
    value as u64
}
