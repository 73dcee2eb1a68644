//! The breaker against its rules in their plainest form.

use crate::{Breaker, builder};
use plimsoll_breaker::{State, StateChange};
use plimsoll_core::{Clock, GateExt, ManualClock, Outcome, Permit};
use proptest::prelude::*;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

/// In nanoseconds: short, so that random steps meet every edge.
const WINDOW: u64 = 150;
const BUCKET: u64 = WINDOW / 15;
const OPEN: u64 = 100;
const PROBE_LIMIT: u64 = 400;
const STEP: u64 = 60;
const PERCENTS: [u64; 2] = [25, 50];
const PROBES: usize = 3;
const ENOUGH: usize = 2;

#[derive(Clone, Copy, Debug)]
struct Setting {
    by_calls: Option<usize>,
    ramp: bool,
    in_a_row: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Closed,
    Open { at: u64 },
    HalfOpen,
    Ramp { from: u64, arrivals: u64 },
    ForcedOpen,
    ForcedClosed,
}

impl Phase {
    /// As observers hear of it, whatever time has brought about since.
    fn told(self) -> State {
        match self {
            Self::Closed => State::Closed,
            Self::Open { .. } => State::Open,
            Self::HalfOpen => State::HalfOpen,
            Self::Ramp { .. } => State::Recovering,
            Self::ForcedOpen => State::ForcedOpen,
            Self::ForcedClosed => State::ForcedClosed,
        }
    }

    fn recovered(self, now: u64) -> bool {
        matches!(self, Self::Ramp { from, .. } if (now - from) / STEP >= 2)
    }
}

/// From which state to which, and the generation.
type Told = (State, State, u64);

/// Every result is remembered for ever and counted again each time.
struct Model {
    setting: Setting,
    phase: Phase,
    generation: u64,
    trips: u32,
    told: Vec<Told>,
    /// When, and whether it failed; since the generation began.
    results: Vec<(u64, bool)>,
    /// Probes that hold a place without a verdict, and when the last one went.
    probing: usize,
    probed_at: u64,
}

impl Model {
    fn turn(&mut self, phase: Phase) {
        self.generation += 1;
        self.told.push((self.phase.told(), phase.told(), self.generation));
        self.phase = phase;
        self.results.clear();
        self.probing = 0;
    }

    fn force(&mut self, now: u64, phase: Phase) {
        self.settle(now);
        if phase == Phase::Closed || phase != self.phase {
            self.trips = 0;
            self.turn(phase);
        }
    }

    fn open_for(&self) -> u64 {
        (OPEN << (self.trips.max(1) - 1)).min(OPEN * 3)
    }

    /// What time alone has brought about, which comes before whatever follows it.
    fn settle(&mut self, now: u64) {
        if self.phase.recovered(now) {
            self.told.push((State::Recovering, State::Closed, self.generation));
            self.phase = Phase::Closed;
            self.trips = 0;
        }
    }

    fn state(&self, now: u64) -> State {
        match self.phase {
            Phase::Open { .. } if self.retry_after(now).is_none() => State::HalfOpen,
            phase if phase.recovered(now) => State::Closed,
            phase => phase.told(),
        }
    }

    fn retry_after(&self, now: u64) -> Option<u64> {
        let Phase::Open { at } = self.phase else { return None };
        (at + self.open_for()).checked_sub(now).filter(|&wait| wait > 0)
    }

    fn enter(&mut self, now: u64) -> Result<u64, Option<u64>> {
        self.settle(now);
        let wait = self.retry_after(now);
        match &mut self.phase {
            Phase::Closed | Phase::ForcedClosed => {}
            Phase::ForcedOpen => return Err(None),
            Phase::Open { .. } if wait.is_some() => return Err(wait),
            Phase::Open { .. } => {
                self.turn(Phase::HalfOpen);
                (self.probing, self.probed_at) = (1, now);
            }
            Phase::HalfOpen if self.probing + self.results.len() < PROBES => {
                self.probing += 1;
                self.probed_at = now;
            }
            Phase::HalfOpen if now - self.probed_at >= PROBE_LIMIT => {
                self.turn(Phase::HalfOpen);
                (self.probing, self.probed_at) = (1, now);
            }
            Phase::HalfOpen => return Err(None),
            Phase::Ramp { from, arrivals } => {
                let percent = PERCENTS[usize::try_from((now - *from) / STEP).unwrap()];
                *arrivals += 1;
                if (*arrivals - 1) % 100 * percent % 100 >= percent {
                    return Err(None);
                }
            }
        }
        Ok(self.generation)
    }

    fn leave(&mut self, now: u64, generation: u64, outcome: Outcome) {
        if generation != self.generation {
            return;
        }
        let told = matches!(outcome, Outcome::Success | Outcome::Failure);
        let failed = outcome == Outcome::Failure;
        if self.phase == Phase::HalfOpen {
            self.probing -= 1;
        }
        if !told {
            return;
        }
        self.results.push((now, failed));
        let failures = self.results.iter().filter(|result| result.1).count();
        match self.phase {
            Phase::HalfOpen if self.results.len() - failures >= ENOUGH => {
                let ramp = Phase::Ramp { from: now, arrivals: 0 };
                self.trips = if self.setting.ramp { self.trips } else { 0 };
                self.turn(if self.setting.ramp { ramp } else { Phase::Closed });
            }
            Phase::HalfOpen if failures > PROBES - ENOUGH => self.trip(now),
            Phase::Closed | Phase::Ramp { .. } if failed && self.trips_now(now) => self.trip(now),
            _ => {}
        }
    }

    fn trip(&mut self, now: u64) {
        self.settle(now);
        self.trips += 1;
        self.turn(Phase::Open { at: now });
    }

    fn trips_now(&self, now: u64) -> bool {
        let (calls, failures) = self.counted(now);
        let run = self.results.iter().rev().take_while(|result| result.1).count();
        run >= self.setting.in_a_row || calls >= 4 && failures * 2 >= calls
    }

    fn counted(&self, now: u64) -> (usize, usize) {
        let counted: Vec<_> = match self.setting.by_calls {
            Some(calls) => self.results.iter().rev().take(calls).collect(),
            // The bucket that is being filled, and fifteen before it.
            None => {
                let in_window = |at: u64| now / BUCKET - at / BUCKET <= 15;
                self.results.iter().filter(|result| in_window(result.0)).collect()
            }
        };
        (counted.len(), counted.iter().filter(|result| result.1).count())
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Enter,
    /// The oldest call under way, or the newest, ends.
    Leave(bool, Outcome),
    Wait(u64),
    ForceOpen,
    ForceClosed,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        5 => Just(Outcome::Failure),
        1 => Just(Outcome::Ignored),
        1 => Just(Outcome::Unused),
    ];
    prop_oneof![
        40 => Just(Act::Enter),
        40 => (any::<bool>(), outcome).prop_map(|(oldest, outcome)| Act::Leave(oldest, outcome)),
        20 => (0_u64..60).prop_map(Act::Wait),
        6 => (100_u64..500).prop_map(Act::Wait),
        1 => Just(Act::ForceOpen),
        1 => Just(Act::ForceClosed),
        2 => Just(Act::Reset),
    ]
}

/// Now and then an outage and the probes that end it, with calls under way when it is
/// over: chance alone seldom gets there.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    let (bad, good) = (Act::Leave(true, Outcome::Failure), Act::Leave(true, Outcome::Success));
    let outage = [Act::Enter, Act::Enter, Act::Enter, Act::Enter, bad, bad, bad, bad];
    let end = [Act::Wait(OPEN * 3), Act::Enter, Act::Enter, good, good, Act::Enter];
    let both = [&outage[..], &end].concat();
    let few = prop_oneof![20 => act().prop_map(|act| vec![act]), 1 => Just(both)];
    prop::collection::vec(few, 1..300).prop_map(|acts| acts.concat())
}

fn setting() -> impl Strategy<Value = Setting> {
    let by_calls = prop_oneof![Just(None), (4_usize..=40).prop_map(Some)];
    let in_a_row = prop_oneof![Just(3), Just(1_000)];
    (by_calls, any::<bool>(), in_a_row).prop_map(|(by_calls, ramp, in_a_row)| Setting {
        by_calls,
        ramp,
        in_a_row,
    })
}

fn breaker_of(setting: Setting) -> (Breaker, ManualClock, Arc<Mutex<Vec<Told>>>) {
    let nanos = Duration::from_nanos;
    let (builder, clock) = builder();
    let told = Arc::<Mutex<Vec<_>>>::default();
    let hears = Arc::clone(&told);
    let hear = move |change: &StateChange| {
        hears.lock().unwrap().push((change.from, change.to, change.generation));
    };
    let builder = builder
        .on_change(hear)
        .failure_ratio(0.5)
        .min_requests(4)
        .consecutive_failures(setting.in_a_row.try_into().unwrap())
        .open_for(nanos(OPEN))
        .backoff(2.0, nanos(OPEN * 3))
        .probes(PROBES.try_into().unwrap())
        .probe_successes(ENOUGH.try_into().unwrap())
        .probe_limit(nanos(PROBE_LIMIT));
    let builder = match setting.by_calls {
        Some(calls) => builder.window_calls(calls.try_into().unwrap()),
        None => builder.window(nanos(WINDOW)),
    };
    let builder = if setting.ramp { builder.ramp(&[25, 50], nanos(STEP)) } else { builder };
    (builder.build().unwrap(), clock, told)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_decides_as_its_rules_say(setting in setting(), acts in acts()) {
        let (breaker, clock, told) = breaker_of(setting);
        let mut model = Model {
            setting,
            phase: Phase::Closed,
            generation: 0,
            trips: 0,
            told: Vec::new(),
            results: Vec::new(),
            probing: 0,
            probed_at: 0,
        };
        let mut under_way: VecDeque<(Permit<&Breaker>, u64)> = VecDeque::new();
        for act in acts {
            let now = clock.now().as_nanos();
            match act {
                Act::Enter => match (breaker.try_admit(), model.enter(now)) {
                    (Ok(permit), Ok(generation)) => under_way.push_back((permit, generation)),
                    (Err(refusal), Err(hint)) => {
                        prop_assert_eq!(refusal.retry_after(), hint.map(Duration::from_nanos));
                    }
                    (real, expected) => {
                        prop_assert!(false, "{:?} instead of {:?}", real.err(), expected);
                    }
                },
                Act::Leave(oldest, outcome) => {
                    let ends = if oldest { under_way.pop_front() } else { under_way.pop_back() };
                    if let Some((permit, generation)) = ends {
                        permit.finish(outcome);
                        model.leave(now, generation, outcome);
                    }
                }
                Act::Wait(nanos) => clock.advance(Duration::from_nanos(nanos)),
                Act::ForceOpen => {
                    breaker.force_open();
                    model.force(now, Phase::ForcedOpen);
                }
                Act::ForceClosed => {
                    breaker.force_closed();
                    model.force(now, Phase::ForcedClosed);
                }
                Act::Reset => {
                    breaker.reset();
                    model.force(now, Phase::Closed);
                }
            }
            let now = clock.now().as_nanos();
            prop_assert_eq!(breaker.state(), model.state(now));
            let wait = model.retry_after(now).map(Duration::from_nanos);
            prop_assert_eq!(breaker.retry_after(), wait);
            prop_assert_eq!(&*told.lock().unwrap(), &model.told);
            let counts = breaker.counts();
            let expected = match model.phase {
                Phase::HalfOpen => (model.results.len(), model.results.iter().filter(|r| r.1).count()),
                _ => model.counted(now),
            };
            let counted = (counts.calls, counts.failures);
            prop_assert_eq!(counted, (expected.0 as u64, expected.1 as u64));
        }
    }
}
