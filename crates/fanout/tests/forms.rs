//! What the other forms of `fan_out` promise.

mod support;

use futures::{FutureExt, StreamExt, stream};
use plimsoll_core::{Admit, Gate, Load, Outcome, Reason, Rejected, testing::Places};
use plimsoll_fanout::{BoundedError, Failure, FanOutExt, Panicked, first_ok, map, race, try_map};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    future::{pending, ready},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use support::{Count, MS, counted};
use tokio::time::{Instant, sleep, timeout};

fn is_panic<U, E>(result: &Result<U, Failure<E>>) -> bool {
    matches!(result, Err(Failure::Panicked(_)))
}

#[tokio::test(start_paused = true)]
async fn local_work_runs_together_in_either_order_without_send() {
    for (ordered, expected) in [(false, [2, 3, 1]), (true, [1, 2, 3])] {
        let started = Rc::new(RefCell::new(Vec::new()));
        let work = |n: u32| {
            started.borrow_mut().push(n);
            let _here = Rc::new(());
            async move {
                sleep([9, 1, 2][n as usize - 1] * MS).await;
                drop(_here);
                n
            }
        };
        let start = Instant::now();
        let results = stream::iter([1, 2, 3]).fan_out_local(3, work);
        let results = if ordered { results.ordered() } else { results };
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        assert_eq!((&results[..], start.elapsed()), (&expected[..], 9 * MS));
        assert_eq!(*started.borrow(), [1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn local_work_keeps_to_its_number_and_its_window() {
    for ordered in [false, true] {
        let (source, pulled) = counted(100);
        let running = Count::default();
        let work = |n: u64| {
            let guard = running.guard();
            assert!(running.get() <= 3);
            async move {
                sleep(if n == 0 { 50 * MS } else { MS }).await;
                drop(guard);
            }
        };
        let results = source.fan_out_local(3, work).window(4);
        let mut results = if ordered { results.ordered() } else { results };
        let mut yielded = 0;
        while results.next().await.is_some() {
            yielded += 1;
            assert!(pulled.get() - yielded <= 4);
        }
        assert_eq!(yielded, 100);
    }
}

#[tokio::test]
async fn a_panic_of_local_work_or_its_source_is_an_item() {
    let source = stream::iter(0..4).inspect(|n| assert!(*n != 3));
    let work = |n: i32| {
        assert!(n != 1);
        async move { assert!(n != 2) }
    };
    let results: Vec<_> = source.fan_out_local(2, work).ordered().collect().await;
    let panics: Vec<_> = results.iter().map(is_panic).collect();
    assert_eq!(panics, [false, true, true, true]);
}

#[test]
fn local_work_needs_no_runtime_and_no_work_ends_at_once() {
    let results = stream::iter([1, 2]).fan_out_local(1, ready).collect::<Vec<_>>();
    assert_eq!(results.now_or_never().unwrap(), [Ok(1), Ok(2)]);
    let none = stream::empty::<u8>().fan_out_local(1, ready).collect::<Vec<_>>();
    assert_eq!(none.now_or_never().unwrap(), []);
    let error = stream::empty::<u8>().checked_fan_out_local(0, ready).err().unwrap();
    assert_eq!(error.field(), "workers");
}

#[tokio::test(start_paused = true)]
async fn items_of_a_key_run_one_by_one_and_in_order_and_other_keys_beside_them() {
    let running: [Count; 7] = Default::default();
    let work = move |(key, n): (usize, usize)| {
        let guard = running[key].guard();
        assert_eq!(running[key].get(), 1, "two of a key at once");
        async move {
            sleep(Duration::from_millis((n % 5) as u64)).await;
            drop(guard);
            (key, n)
        }
    };
    for ordered in [false, true] {
        let items = stream::iter((0..700).map(|n| (n % 7, n)));
        let results = items.fan_out_by_key(3, |(key, _)| *key, work.clone());
        let results = if ordered { results.ordered() } else { results };
        let results: Vec<_> = results.map(Result::unwrap).collect().await;
        let mut by_key = BTreeMap::<_, Vec<_>>::new();
        results.iter().for_each(|(key, n)| by_key.entry(key).or_default().push(n));
        assert!(by_key.values().all(|of_key| of_key.is_sorted() && of_key.len() == 100));
        assert!(!ordered || results.iter().map(|(_, n)| n).is_sorted());
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_key_stops_no_other_worker_until_its_line_is_full() {
    // Two workers, lines of 8, and a key that never ends. All but what meets it
    // on its worker, up to its line, comes.
    let items = stream::iter(std::iter::once(0).chain((1..100_u32).map(|n| n % 10 + 1)));
    let work = |n| async move {
        if n == 0 {
            pending::<()>().await;
        }
    };
    let results = items.fan_out_by_key(2, |n| *n, work).window(32);
    let load = results.load_handle();
    assert_eq!(load.capacity(), Some(32));
    let seen = Count::default();
    let count = results.for_each(|_| {
        seen.up();
        ready(())
    });
    assert!(timeout(MS, count).await.is_err());
    // All went to the other worker, or the line of the slow one is full.
    assert!(seen.get() == 99 || load.load() == 10, "{} seen, {} held", seen.get(), load.load());
}

#[tokio::test]
async fn a_panic_of_a_key_function_is_its_items_result() {
    let key = |n: &i32| {
        assert!(*n != 1);
        *n
    };
    let results: Vec<_> =
        stream::iter(0..3).fan_out_by_key(2, key, |n| async move { n }).ordered().collect().await;
    assert!(is_panic(&results[1]) && results[0] == Ok(0) && results[2] == Ok(2));
    let error = stream::iter(0..3).checked_fan_out_by_key(0, key, ready).err().unwrap();
    assert_eq!(error.field(), "workers");
}

/// A gate with places, which waits until it has one, and remembers outcomes.
#[derive(Clone)]
struct Waits(Arc<tokio::sync::Semaphore>, Arc<Mutex<Vec<Outcome>>>);

impl Gate for Waits {
    type Ticket = ();

    fn leave(&self, (): (), outcome: Outcome) {
        self.1.lock().expect("no panic under it").push(outcome);
        self.0.add_permits(1);
    }
}

impl<C: ?Sized> Admit<C> for Waits {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        let permit = self.0.try_acquire();
        permit.map(|permit| permit.forget()).map_err(|_| Rejected::new(Reason::Concurrency, "full"))
    }

    async fn enter<'a>(&'a self, _: &'a C) -> Result<(), Rejected>
    where
        C: Sync,
    {
        let permit = self.0.acquire().await;
        permit.map(|permit| permit.forget()).map_err(|_| Rejected::new(Reason::Closed, "closed"))
    }
}

fn waits(places: usize) -> (Waits, Arc<Mutex<Vec<Outcome>>>) {
    let outcomes = Arc::default();
    (Waits(Arc::new(tokio::sync::Semaphore::new(places)), Arc::clone(&outcomes)), outcomes)
}

#[tokio::test(start_paused = true)]
async fn no_more_tasks_run_than_the_gate_lets_in_at_the_time() {
    let (gate, _) = waits(2);
    let places = Arc::clone(&gate.0);
    let (running, most) = (Count::default(), Arc::new(AtomicUsize::new(0)));
    let work = {
        let most = Arc::clone(&most);
        move |n: u32| {
            let (guard, most) = (running.guard(), Arc::clone(&most));
            let running = running.clone();
            async move {
                most.fetch_max(running.get(), Relaxed);
                sleep(MS).await;
                drop(guard);
                Ok::<_, Infallible>(n)
            }
        }
    };
    let start = Instant::now();
    let mut results = stream::iter(0..1_000).bounded_fan_out(gate, work);
    for _ in 0..500 {
        results.next().await.unwrap().unwrap();
    }
    assert_eq!((start.elapsed(), most.load(Relaxed)), (250 * MS, 2));
    places.add_permits(8); // an adaptive limit, say
    assert_eq!(results.count().await, 500);
    assert_eq!((start.elapsed(), most.load(Relaxed)), (300 * MS, 10));
}

#[tokio::test(start_paused = true)]
async fn the_gate_hears_of_each_item_and_a_refusal_hands_the_item_back() {
    let (gate, outcomes) = waits(1);
    let close = Arc::clone(&gate.0);
    let work = |n: u8| async move {
        assert!(n != 2);
        if n == 1 { Err("failed") } else { Ok(n) }
    };
    let mut results = stream::iter(0..5).bounded_fan_out(gate, work).window(1);
    assert_eq!(results.next().await, Some(Ok(0)));
    assert_eq!(results.next().await, Some(Err(Failure::Failed(BoundedError::Failed("failed")))));
    assert!(is_panic(&results.next().await.unwrap()));
    close.close();
    let rest: Vec<_> = results.collect().await;
    let heard = [Outcome::Success, Outcome::Failure, Outcome::Failure];
    assert_eq!(outcomes.lock().unwrap()[..3], heard);
    let mut refused = rest.iter().filter_map(|result| match result {
        Err(Failure::Failed(BoundedError::Refused { item, why })) => Some((*item, why.gate())),
        _ => None,
    });
    assert!(rest.len() == 2 && refused.next_back() == Some((4, "closed")), "{rest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_gives_every_permit_back() {
    let gate = Arc::new(Places::new(3));
    let work = |_: u8| pending::<Result<(), ()>>();
    let mut results = stream::iter(0..3).bounded_fan_out(Arc::clone(&gate), work);
    assert!(timeout(MS, results.next()).await.is_err());
    assert!(gate.try_enter(&()).is_err());
    drop(results);
    sleep(MS).await;
    let places: Vec<_> = (0..4).map(|_| gate.try_enter(&()).is_ok()).collect();
    assert_eq!(places, [true, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn map_returns_in_input_order_and_a_panic_in_its_place() {
    let work = |n: u32| async move {
        sleep((5 - n) * MS).await;
        assert!(n != 2);
        n
    };
    let results = map(3, 0..5, work).await;
    assert!(is_panic(&results[2]));
    let rest: Vec<_> = results.into_iter().flatten().collect();
    assert_eq!(rest, [0, 1, 3, 4]);
    assert_eq!(map(3, [], work).await.len(), 0);
    assert!(plimsoll_fanout::checked_map(0, [1], work).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_slow_input_holds_up_no_other_of_a_map() {
    let start = Instant::now();
    let work = |n| sleep(if n == 0 { 100 * MS } else { MS });
    assert_eq!(map(2, 0..101, work).await.len(), 101);
    assert_eq!(start.elapsed(), 100 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_of_try_map_ends_the_others_before_it_returns() {
    for panics in [false, true] {
        let (running, started) = (Count::default(), Count::default());
        let work = {
            let (running, started) = (running.clone(), started.clone());
            move |n| {
                let guard = running.guard();
                started.up();
                async move {
                    if n == 2 {
                        sleep(MS).await;
                        assert!(!panics);
                        return Err("third");
                    }
                    pending::<()>().await;
                    drop(guard);
                    Ok(n)
                }
            }
        };
        let result = try_map(3, 0..10, work).await;
        assert!(if panics { is_panic(&result) } else { result == Err(Failure::Failed("third")) });
        // The one that failed may start another before this task is told.
        assert!(running.get() == 0 && started.get() <= 4);
    }
    assert_eq!(try_map(2, [1, 2], |n| ready(Ok::<_, ()>(n))).await, Ok(vec![1, 2]));
    assert_eq!(try_map(2, [], |n: u8| ready(Ok::<_, ()>(n))).await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_losers_of_a_race_are_gone_when_it_returns() {
    let running = Count::default();
    let runner = |n: u32| {
        let guard = running.guard();
        async move {
            sleep(n * MS).await;
            drop(guard);
            n
        }
    };
    assert_eq!(race([runner(3), runner(1), runner(2)]).await, Ok((1, 1)));
    assert_eq!(running.get(), 0);
    let nobody: [std::future::Ready<()>; 0] = [];
    assert!(race(nobody).await.unwrap_err().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_first_ok_is_kept_in_the_order_of_the_futures() {
    let tries = |n: u32| async move {
        sleep((3 - n) * MS).await;
        assert!(n != 1);
        Err::<(), _>(n)
    };
    let error = first_ok([tries(0), tries(1), tries(2)]).await.unwrap_err();
    let failures = error.failures();
    assert!(failures[0] == Failure::Failed(0) && failures[2] == Failure::Failed(2));
    assert!(matches!(&failures[1], Failure::Panicked(panic) if !panic.message().is_empty()));
    assert_eq!(error.to_string(), "none of 3 succeeded");
}

#[test]
fn each_error_says_its_own_part_and_the_chain_says_the_rest() {
    let why = Rejected::new(Reason::Rate, "per host");
    let refused: Failure<BoundedError<&str, std::io::Error>> =
        Failure::Failed(BoundedError::Refused { item: "a", why });
    let bounded = refused.source().unwrap();
    let said = [refused.to_string(), bounded.to_string(), bounded.source().unwrap().to_string()];
    assert_eq!(said, ["the work failed", "not admitted", "per host: rate limit reached"]);
    assert_eq!(Failure::<Infallible>::Cancelled.to_string(), "the work was cancelled");
    assert_eq!(Failure::Failed(7).into_failed(), Some(7));
    let panic = Panicked::new(Box::new(7));
    assert_eq!(
        (panic.message(), panic.to_string().as_str()),
        ("no message", "the work panicked: no message")
    );
}
