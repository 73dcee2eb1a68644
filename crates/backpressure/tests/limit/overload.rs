//! Two seconds with each discipline, in paused time, as a table: a change of
//! behaviour is a change of these.
//!
//! Four places, and 10 ms of work: 400 a second can be done. Half a second long
//! five sixths of that come, then for a second two and a half times as much, and
//! five sixths again. A third each of the requests has priority 0, 5 and 10, and
//! 60, 120 and 240 ms until its deadline. Callers wait for 100 ms at most, and at
//! most 60 of them; by deadline they wait as long as that allows. The last two columns are the
//! state as the quarter ends.

use super::MILLI;
use plimsoll_backpressure::{ConcurrencyLimit, Discipline, Fifo};
use plimsoll_core::{Admit, Deadline, GateExt, Outcome, Priority, Reason, TokioClock};
use std::{fmt::Write as _, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

struct Request {
    priority: Priority,
    deadline: Deadline,
}

fn limit() -> ConcurrencyLimit<Fifo, TokioClock> {
    ConcurrencyLimit::new(4).wait_at_most(MILLI * 100).queue(60).clock(TokioClock)
}

/// What became of a request that came in this quarter of a second.
struct Fate {
    quarter: usize,
    class: usize,
    waited: Duration,
    served: Result<(), Reason>,
}

/// Two seconds with `limit`, asked by `gate`.
async fn live<D: Discipline>(
    limit: &ConcurrencyLimit<D, TokioClock>,
    gate: impl Admit<Request> + 'static,
) -> String {
    let gate = Arc::new(gate);
    let mut states = Vec::new();
    let start = Instant::now();
    let mut requests = JoinSet::new();
    let (mut at, mut number) = (0_u32, 0);
    while at < 2_000 {
        sleep_until(start + MILLI * at).await;
        if at / 250 > u32::try_from(states.len()).unwrap() {
            states.push((limit.in_flight(), limit.waiting()));
        }
        let class = number % 3;
        let gate = Arc::clone(&gate);
        let request = Request {
            priority: [Priority::LOWEST, Priority::NORMAL, Priority::HIGHEST][class],
            deadline: Deadline::after_on(&TokioClock, MILLI * [60, 120, 240][class]),
        };
        requests.spawn(async move {
            let came = Instant::now();
            let permit = gate.admit_for(&request).await;
            let waited = came.elapsed();
            let served = permit.map_err(|refusal| refusal.reason());
            let fate = Fate {
                quarter: (at / 250) as usize,
                class,
                waited,
                served: served.as_ref().map(|_| ()).map_err(|reason| *reason),
            };
            if let Ok(permit) = served {
                sleep(MILLI * 10).await;
                permit.finish(Outcome::Success);
            }
            fate
        });
        number += 1;
        at += if (500..1_500).contains(&at) { 1 } else { 3 };
    }
    states.push((limit.in_flight(), limit.waiting()));
    let mut fates = Vec::new();
    while let Some(fate) = requests.join_next().await {
        fates.push(fate.unwrap());
    }
    let mut table = String::from(
        "  from  came  served  mean wait  longest  class 0  class 5  class 10  limit  overload  deadline  in flight  waiting\n",
    );
    for (quarter, (in_flight, waiting)) in states.into_iter().enumerate() {
        let all: Vec<_> = fates.iter().filter(|fate| fate.quarter == quarter).collect();
        let served: Vec<_> = all.iter().filter(|fate| fate.served.is_ok()).collect();
        let total: Duration = served.iter().map(|fate| fate.waited).sum();
        let mean =
            total.checked_div(u32::try_from(served.len()).unwrap()).unwrap_or_default().as_millis();
        let longest = served.iter().map(|fate| fate.waited).max().unwrap_or_default().as_millis();
        let class = |class| served.iter().filter(|fate| fate.class == class).count();
        let refused = |reason| all.iter().filter(|fate| fate.served == Err(reason)).count();
        writeln!(
            table,
            "{:4}ms {:5} {:7} {mean:8}ms {longest:6}ms {:8} {:8} {:9} {:6} {:9} {:9} {in_flight:10} {waiting:8}",
            quarter * 250,
            all.len(),
            served.len(),
            class(0),
            class(1),
            class(2),
            refused(Reason::Concurrency),
            refused(Reason::Overload),
            refused(Reason::Deadline),
        )
        .unwrap();
    }
    table
}

#[tokio::test(start_paused = true)]
async fn an_overload_first_come_first_served() {
    let limit = Arc::new(limit());
    insta::assert_snapshot!(live(&limit, Arc::clone(&limit)).await);
}

#[tokio::test(start_paused = true)]
async fn an_overload_last_come_first_served() {
    let limit = Arc::new(limit().lifo(MILLI * 50));
    insta::assert_snapshot!(live(&limit, Arc::clone(&limit)).await);
}

#[tokio::test(start_paused = true)]
async fn an_overload_under_codel() {
    let limit = Arc::new(limit().codel(MILLI * 5, MILLI * 100));
    insta::assert_snapshot!(live(&limit, Arc::clone(&limit)).await);
}

#[tokio::test(start_paused = true)]
async fn an_overload_by_priority() {
    let limit = Arc::new(limit().by_priority());
    let gate = Arc::clone(&limit).by(|request: &Request| request.priority);
    insta::assert_snapshot!(live(&limit, gate).await);
}

#[tokio::test(start_paused = true)]
async fn an_overload_by_deadline() {
    let limit = limit().wait_at_most(Duration::MAX).work_takes(MILLI * 10).by_deadline();
    let limit = Arc::new(limit);
    let gate = Arc::clone(&limit).by(|request: &Request| request.deadline);
    insta::assert_snapshot!(live(&limit, gate).await);
}
