//! Both windows against their rules in the plainest form.

use crate::{Approximate, Exact, Window};
use plimsoll_core::{Clock, ManualClock, Outcome, Tick};
use proptest::prelude::*;
use std::time::Duration;

/// The rules in their plainest form: every admission is remembered for ever and
/// counted again each time.
struct Model {
    exact: bool,
    limit: u32,
    window: u128,
    /// When, and how much of it is not given back.
    admitted: Vec<(u128, u32)>,
    /// The newest moment admitted at, of those given back too.
    newest: u128,
}

impl Model {
    fn at(&self, now: u128) -> u128 {
        let earliest =
            if self.exact { self.newest } else { self.newest - self.newest % self.window };
        now.max(earliest)
    }

    fn sum(&self, when: impl Fn(u128) -> bool) -> u128 {
        self.admitted.iter().filter(|(at, _)| when(*at)).map(|(_, n)| u128::from(*n)).sum()
    }

    fn fits(&self, n: u32, now: u128) -> bool {
        let (now, window) = (self.at(now), self.window);
        let room = u128::from(self.limit).checked_sub(u128::from(n));
        let Some(room) = room else { return false };
        if self.exact {
            return n == 0 || self.sum(|at| now - at < window) <= room;
        }
        let current = self.sum(|at| at / window == now / window);
        let previous = self.sum(|at| at / window + 1 == now / window);
        n == 0 || current * window + previous * (window - now % window) <= room * window
    }

    fn available(&self, now: u128) -> u32 {
        (1..=self.limit).rev().find(|&n| self.fits(n, now)).unwrap_or(0)
    }

    /// How long until `n` fits, by trying every nanosecond to the end of time.
    fn wait(&self, n: u32, now: u128) -> Option<Duration> {
        let last = self.at(now) + 3 * self.window;
        let first = (now..=last.min(u64::MAX.into())).find(|&at| self.fits(n, at));
        first.map(|at| Duration::from_nanos(u64::try_from(at - now).expect("a tick")))
    }

    fn is_empty(&self, now: u128) -> bool {
        let (now, window) = (self.at(now), self.window);
        self.sum(|at| if self.exact { now - at < window } else { now / window < at / window + 2 })
            == 0
    }
}

#[derive(Clone, Debug)]
enum Step {
    On(u64),
    Back(u64),
    Enter(u32),
    /// Ends one of the tickets that are out.
    End(prop::sample::Index, Outcome),
    Limit(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![3 => Just(Outcome::Unused), 1 => Just(Outcome::Success)];
    let step = prop_oneof![
        4 => (0..12_u64).prop_map(Step::On),
        1 => (0..40_u64).prop_map(Step::On),
        1 => (0..20_u64).prop_map(Step::Back),
        6 => prop_oneof![3 => Just(1), 1 => 0..9_u32].prop_map(Step::Enter),
        3 => (any::<prop::sample::Index>(), outcome).prop_map(|(of, how)| Step::End(of, how)),
        1 => (0..9_u32).prop_map(Step::Limit),
    ];
    prop::collection::vec(step, 1..200)
}

fn starts() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_000..1_100_u64, u64::MAX - 300..=u64::MAX]
}

fn agrees_with_its_model<W: Window>(
    exact: bool,
    (limit, window, start): (u32, u64, u64),
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let clock = ManualClock::at(Tick::from_nanos(start));
    let gate = W::make(limit, Duration::from_nanos(window), &clock);
    let mut model = Model { exact, limit, window: window.into(), admitted: vec![], newest: 0 };
    let mut out = vec![];
    for step in steps {
        let now = u128::from(clock.now().as_nanos());
        match step {
            Step::On(nanos) => clock.advance(Duration::from_nanos(nanos)),
            Step::Back(nanos) => clock.set(clock.now() - Duration::from_nanos(nanos)),
            Step::Enter(n) => match gate.try_enter_n(n.into()) {
                Ok(ticket) => {
                    prop_assert!(model.fits(n, now), "{n} were admitted at {now}");
                    if n > 0 {
                        model.newest = model.at(now);
                    }
                    out.push((ticket, model.admitted.len()));
                    model.admitted.push((model.newest, n));
                }
                Err(refusal) => {
                    prop_assert!(!model.fits(n, now), "{n} were refused at {now}");
                    prop_assert_eq!(refusal.retry_after(), model.wait(n, now), "hint for {}", n);
                }
            },
            Step::End(of, outcome) => {
                if !out.is_empty() {
                    let (ticket, index) = out.swap_remove(of.index(out.len()));
                    gate.leave(ticket, outcome);
                    if outcome == Outcome::Unused {
                        model.admitted[index].1 = 0;
                    }
                }
            }
            Step::Limit(limit) => {
                gate.set_limit(limit);
                model.limit = limit;
            }
        }
        let now = u128::from(clock.now().as_nanos());
        prop_assert_eq!(gate.available(), model.available(now), "available at {}", now);
        let quota = gate.quota(&());
        prop_assert_eq!(quota.remaining, u64::from(model.available(now)));
        prop_assert_eq!(quota.reset.is_zero(), model.is_empty(now) || now == u64::MAX.into());
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_exact_window_decides_and_hints_as_its_model(
        shape in (0..9_u32, 1..20_u64, starts()),
        steps in steps(),
    ) {
        agrees_with_its_model::<Exact>(true, shape, steps)?;
    }

    #[test]
    fn the_approximate_window_decides_and_hints_as_its_model(
        shape in (0..9_u32, 1..20_u64, starts()),
        steps in steps(),
    ) {
        agrees_with_its_model::<Approximate>(false, shape, steps)?;
    }
}
