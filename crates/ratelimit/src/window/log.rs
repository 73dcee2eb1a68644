//! What an exact window decides: handed the time, it reads no clock and takes
//! no lock.

use plimsoll_core::Tick;
use std::{collections::VecDeque, iter};

/// The moments of the latest admissions, one for each unit.
///
/// Where the unit stands that must have expired before a request fits follows
/// from the lengths alone. So a decision looks at one moment, however many are
/// logged, and nothing ever has to be swept: an admission overwrites what it
/// outlived.
pub(super) struct Log {
    limit: u32,
    /// Nanoseconds.
    window: u64,
    /// Oldest first, at most `limit` of them once something was admitted under
    /// that limit. Whatever has been dropped had expired.
    moments: VecDeque<Tick>,
    /// The newest moment ever logged. Time before it counts as this moment:
    /// otherwise units that expired and were dropped would be missing from the
    /// window of a clock that steps back.
    newest: Tick,
}

impl Log {
    pub(super) fn new(limit: u32, window: u64) -> Self {
        let moments = VecDeque::with_capacity(limit as usize);
        Self { limit, window, moments, newest: Tick::ZERO }
    }

    /// The same, with nothing logged.
    pub(super) fn emptied(mut self) -> Self {
        self.moments.clear();
        Self { newest: Tick::ZERO, ..self }
    }

    /// Logs `n` units, at least one, and says at which moment; or leaves all as
    /// it is and says when they would fit, `None` where they never will.
    #[inline]
    pub(super) fn admit(&mut self, n: u32, now: Tick) -> Result<Tick, Option<Tick>> {
        let at = now.max(self.newest);
        let free = self.free_at(n);
        if free.is_none_or(|free| free > at) {
            return Err(free);
        }
        drop(self.moments.drain(..self.pushed_out_by(n)));
        self.moments.extend(iter::repeat_n(at, n as usize));
        self.newest = at;
        Ok(at)
    }

    /// Takes `n` units logged `at` out again. Those that have left the window
    /// may be gone, and make no difference any more.
    pub(super) fn give_back(&mut self, n: u32, at: Tick) {
        // Units of one moment are alike, so whose they were does not matter.
        // Mostly they are the newest, and nothing has to be searched or moved.
        let after = match self.moments.back() {
            Some(&last) if last > at => self.moments.partition_point(|&moment| moment <= at),
            _ => self.moments.len(),
        };
        let first = after.saturating_sub(n as usize);
        let first = match self.moments.get(first) {
            Some(&moment) if moment < at => self.moments.partition_point(|&moment| moment < at),
            _ => first,
        };
        drop(self.moments.drain(first..after));
    }

    pub(super) fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
        // Admissions must not allocate.
        self.moments.reserve((limit as usize).saturating_sub(self.moments.len()));
    }

    /// From when on one unit fits, if that is later than everything logged;
    /// else [`Tick::ZERO`]. Before that moment every request is refused, at
    /// whatever time it looks.
    pub(super) fn shut_until(&self) -> Tick {
        self.free_at(1).filter(|&free| free > self.newest).unwrap_or(Tick::ZERO)
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// How many units fit.
    pub(super) fn available(&self, now: Tick) -> u32 {
        let now = now.max(self.newest);
        let expired = |&moment: &Tick| self.expiry(moment).is_some_and(|expiry| expiry <= now);
        let live = self.moments.len() - self.moments.partition_point(expired);
        self.limit.saturating_sub(u32::try_from(live).unwrap_or(u32::MAX))
    }

    /// When the last unit leaves the window: [`Tick::ZERO`] if it has, `None`
    /// past the end of time.
    pub(super) fn empty_at(&self, now: Tick) -> Option<Tick> {
        let Some(&last) = self.moments.back() else { return Some(Tick::ZERO) };
        let expiry = self.expiry(last)?;
        Some(if expiry <= now.max(self.newest) { Tick::ZERO } else { expiry })
    }

    /// From when on `n` units fit if nothing else is admitted: when the newest
    /// of those has expired that would be beyond the limit. `None` if never.
    #[inline]
    fn free_at(&self, n: u32) -> Option<Tick> {
        if n > self.limit {
            return None;
        }
        match self.pushed_out_by(n).checked_sub(1) {
            Some(last) => self.expiry(*self.moments.get(last)?),
            None => Some(Tick::ZERO),
        }
    }

    /// How many of the oldest are beyond the limit once `n` are logged.
    #[inline]
    fn pushed_out_by(&self, n: u32) -> usize {
        (self.moments.len() + n as usize).saturating_sub(self.limit as usize)
    }

    /// When what was logged at `moment` leaves the window; `None` past the end
    /// of time.
    #[inline]
    fn expiry(&self, moment: Tick) -> Option<Tick> {
        moment.as_nanos().checked_add(self.window).map(Tick::from_nanos)
    }
}
