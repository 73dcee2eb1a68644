//! A day in the life of a dependency, as a table: a change of behaviour is a
//! change of the table.

use crate::{Breaker, MILLI, builder};
use plimsoll_core::{GateExt, ManualClock, Outcome, Permit};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

/// What the dependency is like for some seconds.
struct Spell {
    seconds: u64,
    what: &'static str,
    /// Of ten calls, how many fail.
    failing: u64,
    takes: Duration,
}

const fn spell(seconds: u64, what: &'static str, failing: u64, millis: u64) -> Spell {
    Spell { seconds, what, failing, takes: Duration::from_millis(millis) }
}

const DAY: [Spell; 7] = [
    spell(3, "well", 0, 20),
    spell(3, "one in ten fails", 1, 20),
    spell(12, "down", 10, 5),
    spell(12, "back", 0, 20),
    spell(3, "slow", 0, 900),
    spell(9, "well", 0, 20),
    spell(2, "answers late, and fails", 10, 1_500),
];

/// Fifty calls a second, each under way for as long as the dependency takes.
fn live_through(breaker: &Breaker, clock: &ManualClock, table: &mut String, changes: &Changes) {
    let every = MILLI * 20;
    let mut under_way: BTreeMap<(Duration, u64), (Permit<&Breaker>, Outcome)> = BTreeMap::new();
    let (mut time, mut number) = (Duration::ZERO, 0);
    for spell in DAY {
        for second in 0..spell.seconds {
            let (mut arrived, mut passed, mut ok, mut failed) = (0, 0, 0, 0);
            for _ in 0..50 {
                while let Some((&(due, _), _)) = under_way.first_key_value() {
                    if due > time {
                        break;
                    }
                    let (_, (permit, outcome)) = under_way.pop_first().unwrap();
                    if outcome == Outcome::Success {
                        ok += 1;
                    } else {
                        failed += 1;
                    }
                    permit.finish(outcome);
                }
                arrived += 1;
                if let Ok(permit) = breaker.try_admit() {
                    passed += 1;
                    number += 1;
                    let fails = number % 10 < spell.failing;
                    let outcome = if fails { Outcome::Failure } else { Outcome::Success };
                    under_way.insert((time + spell.takes, number), (permit, outcome));
                }
                clock.advance(every);
                time += every;
            }
            let (what, takes) = if second == 0 {
                (spell.what, format!("{:?}", spell.takes))
            } else {
                Default::default()
            };
            let told: Vec<_> = changes.lock().unwrap().drain(..).collect();
            let retry = breaker.retry_after().map_or(String::new(), |wait| format!("{wait:?}"));
            let line = format!(
                "{:>4} | {what:<24} {takes:>6} | {arrived:>7} {passed:>6} {ok:>5} {failed:>6} | {:<11} {retry:<9} | {}",
                time.as_secs(),
                breaker.state().as_str(),
                told.join(", "),
            );
            writeln!(table, "{}", line.trim_end()).unwrap();
        }
    }
}

type Changes = Arc<Mutex<Vec<String>>>;

#[test]
fn a_day() {
    let changes = Changes::default();
    let (builder, clock) = builder();
    let breaker = builder
        .failure_ratio(0.5)
        .slow_calls(MILLI * 500, 0.5)
        .window(Duration::from_secs(2))
        .open_for(Duration::from_secs(2))
        .backoff(2.0, Duration::from_secs(10))
        .ramp(&[10, 25, 50], Duration::from_secs(1))
        .on_change({
            let changes = Arc::clone(&changes);
            move |change| {
                let counts = change.counts;
                changes.lock().unwrap().push(format!(
                    "{} ({} failed, {} slow, of {})",
                    change.to, counts.failures, counts.slow, counts.calls
                ));
            }
        })
        .build()
        .unwrap();
    let mut table = String::from(
        "   s | the dependency            takes | arrived passed    ok failed | state       retry in  | changes\n",
    );
    live_through(&breaker, &clock, &mut table, &changes);
    insta::assert_snapshot!(table);
}
