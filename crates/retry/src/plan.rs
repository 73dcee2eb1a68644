//! Whether there is another attempt, and when: told the time and a random
//! number.

use crate::{RetryBudget, Stop, Verdict, backoff::Backoff, budget::Reserved};
use plimsoll_core::Tick;
use std::time::Duration;

/// How late a timer may be on a runtime that is not busy.
const TIMER: Duration = Duration::from_millis(1);

/// The settings of a `Retry`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) backoff: Backoff,
    /// The first included.
    pub(crate) attempts: u32,
    /// The time for all attempts.
    pub(crate) within: Option<Duration>,
    /// What an attempt needs before the time is up.
    pub(crate) needs: Duration,
    /// The longest pause that another may ask for.
    pub(crate) longest_wait: Duration,
}

/// How far one call has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// How many attempts were made, the first included.
    pub(crate) made: u32,
    /// The pause before the last one, as it was drawn.
    drawn: Duration,
    /// When the time for all attempts is up.
    time_up: Tick,
    deadline: Tick,
}

impl Course {
    pub(crate) fn new(time_up: Tick, deadline: Tick) -> Self {
        Self { made: 1, drawn: Duration::ZERO, time_up, deadline }
    }

    /// What forbids an attempt at `start` that needs `needs`.
    pub(crate) fn forbids(&self, start: Tick, needs: Duration) -> Option<Stop> {
        // At the very moment it is too late, unless there is no end at all.
        let late = |end: Tick| end != Tick::MAX && start + needs >= end;
        if late(self.deadline) {
            Some(Stop::Deadline)
        } else if late(self.time_up) {
            Some(Stop::Time)
        } else {
            None
        }
    }
}

impl Plan {
    /// Whether an attempt that failed is followed by another, and after which
    /// pause. The budget is asked last, so that nothing else stops a retry that
    /// was paid for.
    pub(crate) fn next<'a>(
        &self,
        course: &mut Course,
        verdict: Verdict,
        now: Tick,
        random: u64,
        budget: Option<&'a RetryBudget>,
    ) -> Result<(Duration, Reserved<'a>), Stop> {
        let asked = match verdict {
            Verdict::Permanent => return Err(Stop::Permanent),
            Verdict::Transient => Duration::ZERO,
            Verdict::NotBefore(asked) => asked,
        };
        if course.made >= self.attempts {
            return Err(Stop::Attempts);
        }
        if asked > self.longest_wait {
            return Err(Stop::Wait);
        }
        course.drawn = self.backoff.pause(course.made, course.drawn, random);
        let pause = if self.backoff.is_spread() {
            // Those who were told the same time do not all come back at it.
            asked.saturating_add(course.drawn)
        } else {
            asked.max(course.drawn)
        };
        if let Some(stop) = course.forbids(now + pause + TIMER, self.needs) {
            return Err(stop);
        }
        Ok((pause, Reserved::from(budget, now).ok_or(Stop::Budget)?))
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use crate::Jitter;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn plan(backoff: Backoff) -> Plan {
        let longest_wait = 60_000 * MS;
        Plan { backoff, attempts: u32::MAX, within: None, needs: Duration::ZERO, longest_wait }
    }

    fn backoff(base: u64, jitter: Jitter) -> Backoff {
        let backoff = Backoff::constant(Duration::from_nanos(base)).with_factor(2.0);
        backoff.expect("two is over one").with_jitter(jitter)
    }

    fn any_jitter() -> impl Strategy<Value = Jitter> {
        prop_oneof![
            Just(Jitter::Full),
            Just(Jitter::Equal),
            Just(Jitter::Decorrelated),
            Just(Jitter::None)
        ]
    }

    proptest! {
        #[test]
        fn no_retry_starts_at_or_past_an_end_with_what_it_needs(
            base in 1..=u64::MAX, jitter in any_jitter(), made: u32, random: u64,
            now: u64, deadline in 0..u64::MAX, time_up in 0..u64::MAX, needs: u64, asked: u64,
        ) {
            let tick = Tick::from_nanos;
            let needs = Duration::from_nanos(needs);
            let plan = Plan { needs, longest_wait: Duration::MAX, ..plan(backoff(base, jitter)) };
            let mut course = Course { made, ..Course::new(tick(time_up), tick(deadline)) };
            let asked = Duration::from_nanos(asked);
            let next = plan.next(&mut course, Verdict::NotBefore(asked), tick(now), random, None);
            if let Ok((pause, _)) = next {
                prop_assert!(pause >= asked);
                let start = tick(now) + pause + needs;
                prop_assert!(start < tick(deadline) && start < tick(time_up));
            }
        }

        #[test]
        fn a_pause_is_never_shorter_than_was_asked_nor_longer_than_that_and_the_cap(
            base in 1..1_000_000_000_u64, jitter in any_jitter(), made: u32, random: u64,
            asked in 0..60_000_000_000_u64,
        ) {
            let (asked, cap) = (Duration::from_nanos(asked), 30_000 * MS);
            let plan = plan(backoff(base, jitter));
            let mut course = Course { made, ..Course::new(Tick::MAX, Tick::MAX) };
            let verdict = Verdict::NotBefore(asked);
            let next = plan.next(&mut course, verdict, Tick::ZERO, random, None);
            match next {
                Ok((pause, _)) => prop_assert!(asked <= pause && pause <= asked + cap),
                Err(stop) => prop_assert_eq!((stop, made), (Stop::Attempts, u32::MAX)),
            }
        }

        #[test]
        fn decorrelated_pauses_stay_between_base_and_cap_all_along(randoms: Vec<u64>) {
            let plan = plan(backoff(100_000_000, Jitter::Decorrelated));
            let mut course = Course::new(Tick::MAX, Tick::MAX);
            for random in randoms {
                let next = plan.next(&mut course, Verdict::Transient, Tick::ZERO, random, None);
                course.made += 1;
                let (pause, _) = next.map_err(|stop| TestCaseError::fail(stop.as_str()))?;
                prop_assert!(100 * MS <= pause && pause <= 30_000 * MS);
            }
        }
    }

    #[test]
    fn what_is_drawn_comes_on_top_of_what_was_asked_with_any_jitter() {
        for (jitter, pause) in [
            (Jitter::Full, 1_100),
            (Jitter::Equal, 1_100),
            (Jitter::Decorrelated, 1_300),
            (Jitter::None, 1_000),
        ] {
            let (plan, mut course) =
                (plan(backoff(100_000_000, jitter)), Course::new(Tick::MAX, Tick::MAX));
            let asked = Verdict::NotBefore(1_000 * MS);
            let next = plan.next(&mut course, asked, Tick::ZERO, u64::MAX, None);
            assert_eq!(next.map(|(pause, _)| pause).ok(), Some(MS * pause), "{jitter:?}");
        }
    }

    #[test]
    fn a_pause_of_all_that_may_be_asked_for_is_kept_to_and_not_a_nanosecond_more() {
        let plan = plan(Backoff::constant(MS));
        for (more, stop) in [(0, None), (1, Some(Stop::Wait))] {
            let asked = Verdict::NotBefore(plan.longest_wait + Duration::from_nanos(more));
            let mut course = Course::new(Tick::MAX, Tick::MAX);
            assert_eq!(plan.next(&mut course, asked, Tick::ZERO, 0, None).err(), stop);
        }
    }

    #[test]
    fn what_is_stopped_for_another_reason_costs_the_budget_nothing() {
        let budget = RetryBudget::new(0.0).at_least(1);
        let once = Plan { attempts: 1, ..plan(Backoff::constant(MS)) };
        let mut course = Course { made: 1, ..Course::new(Tick::MAX, Tick::ZERO) };
        let transient = Verdict::Transient;
        let mut next = |plan: &Plan, verdict| {
            plan.next(&mut course, verdict, Tick::ZERO, 0, Some(&budget)).map(drop)
        };
        assert_eq!(next(&once, transient), Err(Stop::Attempts));
        let plan = plan(Backoff::constant(MS));
        assert_eq!(next(&plan, Verdict::Permanent), Err(Stop::Permanent));
        assert_eq!(next(&plan, Verdict::NotBefore(Duration::MAX)), Err(Stop::Wait));
        assert_eq!(next(&plan, transient), Err(Stop::Deadline));
        assert_eq!(budget.available(Tick::ZERO), 1);
    }
}
