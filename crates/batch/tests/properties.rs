//! Every item is accounted for once, whatever callers and flushes do.

mod support;

use futures::future::join_all;
use plimsoll_batch::{Batcher, SubmitError};
use proptest::prelude::*;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use support::Ledger;
use tokio::time::{sleep, timeout};

const MS: Duration = Duration::from_millis(1);

/// What one caller does with its item.
#[derive(Clone, Debug)]
enum Caller {
    Submits,
    /// Submits and gives up after so many milliseconds.
    GivesUp(u32),
    Tries,
    Pushes,
}

#[derive(Clone, Debug)]
struct Run {
    /// When each comes, in milliseconds, and what it does.
    callers: Vec<(u32, Caller)>,
    size: usize,
    queue: usize,
    in_flight: usize,
    wait: Option<u32>,
    bisect: bool,
    /// Items that are multiples of these fail their batch, or panic in it.
    poison: u64,
    panics: u64,
    /// When it is drained.
    drain: u32,
}

fn run() -> impl Strategy<Value = Run> {
    let caller = prop_oneof![
        3 => Just(Caller::Submits),
        1 => (0..8u32).prop_map(Caller::GivesUp),
        1 => Just(Caller::Tries),
        1 => Just(Caller::Pushes),
    ];
    let callers = prop::collection::vec((0..30u32, caller), 1..60);
    let numbers = (1..9usize, 1..20usize, 1..4usize, prop::option::of(0..6u32));
    (callers, numbers, any::<bool>(), 2..30u64, 2..30u64, 0..60u32).prop_map(
        |(callers, (size, queue, in_flight, wait), bisect, poison, panics, drain)| Run {
            callers,
            size,
            queue,
            in_flight,
            wait,
            bisect,
            poison,
            panics,
            drain,
        },
    )
}

/// How it ended for a caller.
#[derive(Debug, PartialEq)]
enum End {
    Refused,
    Accepted,
    Written,
    Failed,
    GaveUp,
}

async fn call(batcher: &Batcher<u64, u64, String>, n: u64, (at, caller): (u32, Caller)) -> End {
    let end = |answer: Result<u64, SubmitError<String>>| match answer {
        Ok(own) if own == n => End::Written,
        Ok(other) => panic!("{n} got the answer of {other}"),
        Err(SubmitError::Rejected(_)) => End::Refused,
        Err(SubmitError::Failed(_) | SubmitError::Panicked(_)) => End::Failed,
        Err(error) => panic!("{n}: {error}"),
    };
    sleep(at * MS).await;
    match caller {
        Caller::Submits => end(batcher.submit(n).await),
        Caller::GivesUp(after) => {
            timeout(after * MS, batcher.submit(n)).await.map_or(End::GaveUp, end)
        }
        Caller::Tries => match batcher.try_submit(n) {
            Ok(reply) => end(reply.await),
            Err(refused) => {
                assert_eq!(refused.item, n);
                End::Refused
            }
        },
        Caller::Pushes => batcher.push(n).await.map_or(End::Refused, |()| End::Accepted),
    }
}

async fn every_item_is_accounted_for(run: Run) {
    let (tried, written) = (Ledger::default(), Ledger::default());
    let (running, push_errors) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let flush = {
        let (tried, written, running) = (tried.clone(), written.clone(), Arc::clone(&running));
        let Run { size, in_flight, poison, panics, .. } = run;
        move |items: Vec<u64>| {
            assert!((1..=size).contains(&items.len()), "a batch of {}", items.len());
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            tried.write(&items);
            let (written, running) = (written.clone(), Arc::clone(&running));
            async move {
                sleep(2 * MS).await;
                running.fetch_sub(1, Ordering::Relaxed);
                let bad = |by: u64| items.iter().any(|n| n % by == 1);
                if now > in_flight as u64 {
                    return Ok(Vec::new()); // a wrong count, which no caller may see
                }
                assert!(!bad(panics), "poison");
                if bad(poison) {
                    return Err("poison".to_owned());
                }
                written.write(&items);
                Ok(items)
            }
        }
    };
    let batcher = Batcher::new(flush).max_size(run.size).queue(run.queue);
    let batcher = batcher.max_in_flight(run.in_flight).on_push_error({
        let push_errors = Arc::clone(&push_errors);
        move |_| {
            push_errors.fetch_add(1, Ordering::Relaxed);
        }
    });
    let batcher = if run.bisect { batcher.bisect() } else { batcher };
    let batcher = match run.wait {
        Some(wait) => batcher.max_wait(wait * MS),
        None => batcher,
    };

    let calls = (0..).zip(run.callers.clone()).map(|(n, caller)| call(&batcher, n, caller));
    let drain = async {
        sleep(run.drain * MS).await;
        batcher.drain().await
    };
    let (ends, drained) = tokio::join!(join_all(calls), drain);
    assert_eq!(drained, Ok(()));

    let written = written.items();
    let once: BTreeSet<_> = written.iter().copied().collect();
    assert_eq!(once.len(), written.len(), "an item was written twice");
    let seen: BTreeSet<_> = tried.items().into_iter().collect();
    if !run.bisect {
        assert_eq!(seen.len(), tried.items().len(), "an item was flushed twice");
    }
    let mut pushed_in_vain = 0;
    for (n, end) in (0..).zip(&ends) {
        let poisoned = n % run.poison == 1 || n % run.panics == 1;
        match end {
            End::Refused => assert!(!seen.contains(&n), "{n} was refused and flushed"),
            End::Written => assert!(once.contains(&n), "{n} was not written"),
            End::Failed => {
                assert!(seen.contains(&n) && !once.contains(&n), "{n} failed and was written");
                assert!(poisoned || !run.bisect, "{n} paid for another");
            }
            End::Accepted => {
                assert!(seen.contains(&n), "{n} was accepted and lost");
                pushed_in_vain += u64::from(!once.contains(&n));
            }
            End::GaveUp => {} // flushed or not, as the moment was
        }
    }
    assert_eq!(push_errors.load(Ordering::Relaxed), pushed_in_vain);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// 512 cases.
    #[test]
    fn every_item_is_written_once_or_its_caller_is_told(run in run()) {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {})); // hundreds of planted panics
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(every_item_is_accounted_for(run));
        }));
        std::panic::set_hook(hook);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}
