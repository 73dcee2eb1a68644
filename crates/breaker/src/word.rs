//! The one word in which a breaker's state changes.
//!
//! `[generation 34 | trips 6 | payload 21 | phase 3]`
//!
//! *Every* change is one compare-exchange of this word, so no two threads can
//! disagree about what happened, and nothing has to be undone. A change of phase
//! begins a new *generation* (except that the end of the ramp keeps it), which
//! tickets carry: what left in an earlier one speaks for a state already judged.
//!
//! What the payload is depends on the phase: the chance drawn when it opened,
//! the account of the probes, or the place in the ramp's hundred.

/// Where a breaker stands, as the word has it. Time may have moved on since.
///
/// The two that let every call pass have zeros in the low two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
    Ramp = 3,
    ForcedClosed = 4,
    ForcedOpen = 5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

const PHASE_BITS: u32 = 3;
pub(crate) const PAYLOAD_BITS: u32 = 21;
const TRIPS_BITS: u32 = 6;
const PAYLOAD_AT: u32 = PHASE_BITS;
const TRIPS_AT: u32 = PAYLOAD_AT + PAYLOAD_BITS;
const GENERATION_AT: u32 = TRIPS_AT + TRIPS_BITS;
const PAYLOAD: u64 = (1 << PAYLOAD_BITS) - 1;
const MOST_TRIPS: u64 = (1 << TRIPS_BITS) - 1;

/// The payload while half open: `[failed 7 | succeeded 7 | taken 7]`.
const ACCOUNT_BITS: u32 = 7;
const ACCOUNT: u64 = (1 << ACCOUNT_BITS) - 1;
const TAKEN: u64 = 1 << PAYLOAD_AT;
const SUCCEEDED: u64 = TAKEN << ACCOUNT_BITS;
const FAILED: u64 = SUCCEEDED << ACCOUNT_BITS;

/// The most probes that the account has room for.
pub(crate) const MOST_PROBES: u32 = (1 << ACCOUNT_BITS) - 1;

impl Word {
    /// Closed, and never was anything else.
    pub(crate) const FRESH: Self = Self(Phase::Closed as u64);

    #[inline]
    pub(crate) fn phase(self) -> Phase {
        match self.0 & ((1 << PHASE_BITS) - 1) {
            0 => Phase::Closed,
            1 => Phase::Open,
            2 => Phase::HalfOpen,
            3 => Phase::Ramp,
            4 => Phase::ForcedClosed,
            _ => Phase::ForcedOpen,
        }
    }

    /// Whether every call passes, whatever the time.
    #[inline]
    pub(crate) fn conducts(self) -> bool {
        self.0 & 0b11 == 0
    }

    #[inline]
    pub(crate) fn generation(self) -> u64 {
        self.0 >> GENERATION_AT
    }

    /// How often it has opened since it was last closed for good, up to 63.
    #[inline]
    pub(crate) fn trips(self) -> u64 {
        self.0 >> TRIPS_AT & MOST_TRIPS
    }

    #[inline]
    pub(crate) fn payload(self) -> u64 {
        self.0 >> PAYLOAD_AT & PAYLOAD
    }

    fn turn(self, phase: Phase, trips: u64, payload: u64) -> Self {
        // The shift drops what runs over: generations wrap after 2^34.
        let generation = (self.generation() + 1) << GENERATION_AT;
        Self(generation | trips << TRIPS_AT | (payload & PAYLOAD) << PAYLOAD_AT | phase as u64)
    }

    /// Closed by hand, or after the last probe where there is no ramp.
    #[must_use]
    pub(crate) fn closed(self) -> Self {
        self.turn(Phase::Closed, 0, 0)
    }

    /// The ramp ran to its end: closed, and what was counted on it still counts.
    #[must_use]
    pub(crate) fn settled(self) -> Self {
        Self(self.generation() << GENERATION_AT | Phase::Closed as u64)
    }

    /// Open once more; `chance` is as long as a payload and shortens the time.
    #[must_use]
    pub(crate) fn tripped(self, chance: u64) -> Self {
        self.turn(Phase::Open, (self.trips() + 1).min(MOST_TRIPS), chance)
    }

    /// Half open, the first probe under way.
    #[must_use]
    pub(crate) fn probing(self) -> Self {
        Self(self.turn(Phase::HalfOpen, self.trips(), 0).0 + TAKEN)
    }

    /// The probes have succeeded: the load returns slowly.
    #[must_use]
    pub(crate) fn ramping(self) -> Self {
        self.turn(Phase::Ramp, self.trips(), 0)
    }

    /// By hand, where it is not so already.
    #[must_use]
    pub(crate) fn forced(self, phase: Phase) -> Self {
        if self.phase() == phase { self } else { self.turn(phase, 0, 0) }
    }

    /// Probes that hold a place: under way, or ended with a verdict.
    pub(crate) fn taken(self) -> u32 {
        self.account(0)
    }

    pub(crate) fn succeeded(self) -> u32 {
        self.account(1)
    }

    pub(crate) fn failed(self) -> u32 {
        self.account(2)
    }

    fn account(self, field: u32) -> u32 {
        u32::try_from(self.payload() >> (field * ACCOUNT_BITS) & ACCOUNT).expect("7 bits")
    }

    /// One more probe. There must be a place left.
    #[must_use]
    pub(crate) fn take(self) -> Self {
        Self(self.0 + TAKEN)
    }

    /// A probe that told nothing gives its place back.
    #[must_use]
    pub(crate) fn give_back(self) -> Self {
        Self(self.0 - TAKEN)
    }

    #[must_use]
    pub(crate) fn succeed(self) -> Self {
        Self(self.0 + SUCCEEDED)
    }

    #[must_use]
    pub(crate) fn fail(self) -> Self {
        Self(self.0 + FAILED)
    }

    /// On the ramp: the next arrival is the one after this.
    #[must_use]
    pub(crate) fn next_arrival(self) -> Self {
        let next = (self.payload() + 1) % 100;
        Self(self.0 & !(PAYLOAD << PAYLOAD_AT) | next << PAYLOAD_AT)
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_field_keeps_to_itself() {
        let word = Word(u64::MAX << GENERATION_AT).tripped(u64::MAX);
        assert_eq!((word.phase(), word.generation()), (Phase::Open, 0), "generations wrap");
        assert_eq!((word.trips(), word.payload()), (1, PAYLOAD));
        let word = word.probing().take().succeed().fail().fail();
        assert_eq!((word.taken(), word.succeeded(), word.failed()), (2, 1, 2));
        assert_eq!((word.generation(), word.trips()), (1, 1));
        assert_eq!(word.give_back().taken(), 1);
    }

    #[test]
    fn trips_are_counted_up_to_63_and_no_further() {
        let word = (0..100).fold(Word::FRESH, |word, _| word.tripped(0));
        assert_eq!((word.trips(), word.generation()), (63, 100));
        assert_eq!(word.closed().trips(), 0);
    }

    #[test]
    fn the_end_of_the_ramp_keeps_the_generation() {
        let ramp = Word::FRESH.tripped(0).probing().ramping();
        assert_eq!(ramp.settled().generation(), ramp.generation());
        assert_eq!(ramp.settled().trips(), 0);
    }

    #[test]
    fn arrivals_on_the_ramp_go_round_a_hundred() {
        let ramp = Word::FRESH.tripped(0).probing().ramping();
        let round = (0..100).fold(ramp, |word, _| word.next_arrival());
        assert_eq!(round, ramp);
    }
}
