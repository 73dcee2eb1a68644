//! What was expected of a run, and whether it came.

use std::time::Duration;

use serde::Serialize;

use crate::{
    gates::Limits,
    load::{Group, Outcome},
    report::{Ordered, Percentiles, count},
};

/// How much later than bare a polite answer may come, in milliseconds, at the median. On a
/// machine so fast that the greedy client hurts nobody, the two are equal but for noise.
const LATER_MS: f64 = 1.0;

/// One expectation.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// Whether it came true.
    pub holds: bool,
    /// The expectation with its figures.
    pub says: String,
}

/// Judges a run behind Plimsoll that went on for `duration`, against the same load bare.
#[must_use]
pub fn judge(limits: Limits, duration: Duration, bare: &Outcome, gated: &Outcome) -> [Verdict; 4] {
    [
        held_to_its_rate(limits, duration, &gated.greedy),
        untouched(&gated.polite),
        not_slowed(&bare.polite, &gated.polite),
        without_failures(&gated.greedy, &gated.polite),
    ]
}

/// At most what the bucket can have held: the burst, and what flowed in until the last answer;
/// one more for the request that the last drop let through. At least 95 % of the burst and what
/// flowed in while requests arrived, or of all that was sent if that is less.
fn held_to_its_rate(limits: Limits, duration: Duration, greedy: &Group) -> Verdict {
    let (rate, burst) = (f64::from(limits.rate), f64::from(limits.burst));
    let (sent, admitted) = (count(greedy.sent), count(greedy.admitted));
    let window = greedy.window.as_secs_f64();
    let most = (burst + rate * window).floor() + 1.0;
    let least = (0.95 * sent.min(burst + rate * duration.as_secs_f64())).floor();
    Verdict {
        holds: (least..=most).contains(&admitted),
        says: format!(
            "the greedy client is held to its rate: {admitted} of {sent} admitted, \
             {least} to {most} expected (burst {burst} + {rate}/s x {window:.2} s; 5 % under, 1 over)"
        ),
    }
}

fn untouched(polite: &Group) -> Verdict {
    Verdict {
        holds: polite.admitted == polite.sent && polite.sent > 0,
        says: format!(
            "the polite clients are untouched: {} of {} admitted, {} refused",
            polite.admitted, polite.sent, polite.refused
        ),
    }
}

/// By the median: the last percent of some hundred requests is the machine's affair as well.
fn not_slowed(bare: &Group, gated: &Group) -> Verdict {
    let median = |group: &Group| Percentiles::of(&group.admitted_us).p50_ms;
    let (bare, gated) = (median(bare), median(gated));
    let ms = |value: Option<f64>| value.map_or_else(|| "none".into(), |ms| format!("{ms:.1} ms"));
    Verdict {
        holds: match (bare, gated) {
            (Some(bare), Some(gated)) => gated <= bare + LATER_MS,
            (None, Some(_)) => true,
            (_, None) => false,
        },
        says: format!(
            "nor do their answers come later than bare: {} against {}, at the median",
            ms(gated),
            ms(bare)
        ),
    }
}

fn without_failures(greedy: &Group, polite: &Group) -> Verdict {
    let failed = greedy.failed + polite.failed;
    let says = format!("every request got a right answer: {failed} failed");
    Verdict { holds: failed == 0, says }
}

/// Judges orders: each that was answered with a number is in the database.
#[must_use]
pub fn kept(runs: &[Ordered; 2]) -> Verdict {
    let all = |run: &Ordered| run.found == run.answered && run.answered > 0 && run.failed == 0;
    let [bare, gated] = runs;
    Verdict {
        holds: runs.iter().all(all),
        says: format!(
            "every order that was answered is in the database: {} of {} bare, {} of {} behind \
             Plimsoll, {} failed",
            bare.found,
            bare.answered,
            gated.found,
            gated.answered,
            bare.failed + gated.failed
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::rush::Rush;

    const LIMITS: Limits = Limits { rate: 20, burst: 40 };
    const TEN: Duration = Duration::from_secs(10);

    /// All of a group answered in a millisecond.
    fn group(clients: u16, admitted: u64, refused: u64) -> Group {
        let mut group = Group::new(clients);
        (group.sent, group.admitted, group.refused) = (admitted + refused, admitted, refused);
        group.admitted_us.saturating_record_n(1_000, admitted);
        group.window = TEN;
        group
    }

    fn holds(greedy: Group, polite: Group) -> bool {
        let bare = Outcome::of(group(1, 2_000, 0), group(20, 1_000, 0));
        judge(LIMITS, TEN, &bare, &Outcome::of(greedy, polite)).iter().all(|it| it.holds)
    }

    #[test]
    fn a_greedy_client_is_held_within_the_stated_tolerance_and_not_beyond() {
        // 40 + 20/s x 10 s = 240.
        for (admitted, expected) in
            [(227, false), (228, true), (240, true), (241, true), (242, false)]
        {
            let held = holds(group(1, admitted, 2_000 - admitted), group(20, 1_000, 0));
            assert_eq!(held, expected, "{admitted}");
        }
    }

    #[test]
    fn one_refused_polite_request_or_one_failure_fails_the_run() {
        assert!(holds(group(1, 240, 1_760), group(20, 1_000, 0)));
        assert!(!holds(group(1, 240, 1_760), group(20, 1_000, 1)));
        assert!(!holds(group(1, 240, 1_760), Group { failed: 1, ..group(20, 1_000, 0) }));
        assert!(!holds(group(1, 240, 1_760), group(20, 0, 0)));
    }

    #[test]
    fn one_lost_order_or_one_failure_fails_the_run() {
        let run = |answered, found, failed| {
            let rush = Rush { ids: vec![1; answered], failed, ..Rush::default() };
            Ordered::new("bare", &rush, found)
        };
        let holds = |gated| kept(&[run(10, 10, 0), gated]).holds;
        assert!(holds(run(10, 10, 0)));
        assert!(!holds(run(10, 9, 0)));
        assert!(!holds(run(10, 10, 1)));
        assert!(!holds(run(0, 0, 0)));
    }

    #[test]
    fn polite_answers_that_come_later_than_bare_fail_the_run() {
        for (micros, expected) in [(900, true), (1_900, true), (2_100, false)] {
            let mut polite = group(20, 1_000, 0);
            polite.admitted_us.reset();
            polite.admitted_us.saturating_record_n(micros, 1_000);
            assert_eq!(holds(group(1, 240, 1_760), polite), expected, "{micros}");
        }
    }
}
