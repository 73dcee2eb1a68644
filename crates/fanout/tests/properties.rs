//! Every item has one result, whatever workers, sources and consumers do.

mod support;

use futures::{Stream, StreamExt, stream};
use plimsoll_core::{GateExt, Load, testing::Places};
use plimsoll_fanout::{BoundedError, Failure, FanOutExt, LoadHandle, fan_in};
use proptest::prelude::*;
use std::{collections::BTreeMap, pin::Pin, sync::Arc};
use support::{Count, MS, paused, quietly};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};

/// What the source does before an item, and the work with it.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The source pauses first, for so many milliseconds, or only yields.
    comes: Option<u32>,
    /// In a stream of results: it is an error already.
    is_error: bool,
    work: Does,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Returns,
    Yields,
    Sleeps(u32),
    Fails,
    PanicsAtOnce,
    PanicsLater,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Tasks,
    Local,
    ByKey,
    Gate,
}

#[derive(Clone, Debug)]
struct Run {
    steps: Vec<Step>,
    form: Form,
    workers: usize,
    window: Option<usize>,
    ordered: bool,
    /// The consumer is busy for so many milliseconds after an item.
    busy: u32,
    /// It gives each `next()` so long, and asks again.
    patience: Option<u32>,
    /// It goes after so many items.
    takes: Option<usize>,
}

fn run() -> impl Strategy<Value = Run> {
    let does = prop_oneof![
        8 => Just(Does::Returns),
        1 => Just(Does::Yields),
        2 => (0..8u32).prop_map(Does::Sleeps),
        1 => Just(Does::Fails),
        1 => Just(Does::PanicsAtOnce),
        1 => Just(Does::PanicsLater),
    ];
    let comes = prop_oneof![6 => Just(None), 1 => (0..4u32).prop_map(Some)];
    let step = (comes, prop::bool::weighted(0.1), does);
    let step = step.prop_map(|(comes, is_error, work)| Step { comes, is_error, work });
    let form = prop_oneof![
        3 => Just(Form::Tasks), 1 => Just(Form::Local), 1 => Just(Form::ByKey), 1 => Just(Form::Gate)
    ];
    let pool = (form, 1..9usize, prop::option::of(1..20usize), any::<bool>());
    let consumer =
        (0..3u32, prop::option::weighted(0.3, 1..4u32), prop::option::weighted(0.2, 0..50usize));
    (prop::collection::vec(step, 0..120), pool, consumer).prop_map(
        |(steps, (form, workers, window, ordered), (busy, patience, takes))| Run {
            steps,
            form,
            workers,
            window,
            ordered,
            busy,
            patience,
            takes,
        },
    )
}

/// How it ended for the `n`-th item.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Done,
    Failed,
    Panicked,
    Refused,
}

/// What the work is to return, and how it should end.
fn expected(step: Step) -> End {
    match step {
        Step { is_error: true, .. } => End::Failed,
        Step { work: Does::Fails, .. } => End::Failed,
        Step { work: Does::PanicsAtOnce | Does::PanicsLater, .. } => End::Panicked,
        _ => End::Done,
    }
}

type Item = Result<(usize, Step), usize>;
type Ends = Pin<Box<dyn Stream<Item = (Option<usize>, End)>>>;

async fn work(n: usize, step: Step, alive: support::Guard) -> Result<usize, usize> {
    match step.work {
        Does::Returns => {}
        Does::Yields => yield_now().await,
        Does::Sleeps(time) => sleep(time * MS).await,
        Does::Fails => return Err(n),
        Does::PanicsAtOnce => panic!("{n}"),
        Does::PanicsLater => {
            sleep(MS).await;
            panic!("{n}")
        }
    }
    drop(alive);
    Ok(n)
}

/// The number that a panic names.
fn named<E>(
    result: Result<usize, Failure<E>>,
    failed: impl Fn(E) -> (usize, End),
) -> (Option<usize>, End) {
    match result {
        Ok(n) => (Some(n), End::Done),
        Err(Failure::Failed(error)) => {
            let (n, end) = failed(error);
            (Some(n), end)
        }
        Err(Failure::Panicked(panic)) => (panic.message().parse().ok(), End::Panicked),
        Err(Failure::Cancelled) => (None, End::Panicked),
    }
}

fn start(run: &Run, pulled: &Count, alive: &Count) -> (Ends, Option<LoadHandle>) {
    let items = stream::iter(run.steps.clone().into_iter().enumerate());
    let (pulled, alive) = (pulled.clone(), alive.clone());
    let items = items.then(|(n, step)| async move {
        match step.comes {
            None => {}
            Some(0) => yield_now().await,
            Some(time) => sleep(time * MS).await,
        }
        if step.is_error { Err(n) } else { Ok((n, step)) }
    });
    let items = Box::pin(items.inspect(move |_| {
        pulled.up();
    }));
    let works = move |item: Item| {
        let guard = alive.guard();
        // Outside of the future as well.
        if let Ok((n, Step { work: Does::PanicsAtOnce, .. })) = item {
            assert!(n % 2 == 0, "{n}");
        }
        async move {
            let (n, step) = item?;
            work(n, step, guard).await
        }
    };
    let flat = |result: Result<Result<usize, usize>, Failure>| match result {
        Ok(result) => named(result.map_err(Failure::Failed), |n| (n, End::Failed)),
        Err(Failure::Panicked(panic)) => {
            named::<()>(Err(Failure::Panicked(panic)), |()| unreachable!())
        }
        Err(Failure::Cancelled) => (None, End::Panicked),
    };
    macro_rules! built {
        ($stream:expr) => {{
            let stream = $stream;
            let stream = if run.ordered { stream.ordered() } else { stream };
            if let Some(window) = run.window { stream.window(window) } else { stream }
        }};
    }
    match run.form {
        Form::Tasks => {
            let stream = built!(items.fan_out(run.workers, works));
            let load = stream.load_handle();
            (Box::pin(stream.map(flat)), Some(load))
        }
        Form::Local => (Box::pin(built!(items.fan_out_local(run.workers, works)).map(flat)), None),
        Form::ByKey => {
            let key = |item: &Item| item.as_ref().map_or_else(|n| n % 7, |(n, _)| n % 7);
            let stream = built!(items.fan_out_by_key(run.workers, key, works));
            let load = stream.load_handle();
            (Box::pin(stream.map(flat)), Some(load))
        }
        Form::Gate => {
            let gate = Arc::new(Places::new(run.workers as u64).named("places"));
            let stream = built!(items.bounded_fan_out(gate, works));
            let load = stream.load_handle();
            let ends = stream.map(|result| {
                named(result, |error| match error {
                    BoundedError::Failed(n) => (n, End::Failed),
                    BoundedError::Refused { item, .. } => {
                        (item.map_or_else(|n| n, |(n, _)| n), End::Refused)
                    }
                })
            });
            (Box::pin(ends), Some(load))
        }
    }
}

async fn every_item_has_one_result(run: Run) {
    let (pulled, alive) = (Count::default(), Count::default());
    let (mut results, load) = start(&run, &pulled, &alive);
    let window = run.window.unwrap_or(usize::MAX);
    let mut seen = Vec::new();
    while run.takes.is_none_or(|takes| seen.len() < takes) {
        let next = match run.patience {
            Some(time) => match timeout(time * MS, results.next()).await {
                Ok(next) => next,
                Err(_) => continue,
            },
            None => results.next().await,
        };
        let Some(end) = next else { break };
        seen.push(end);
        sleep(run.busy * MS).await;
        assert!(pulled.get() - seen.len() <= window, "the window holds {window}");
        assert!(load.as_ref().is_none_or(|load| load.load() <= window));
    }
    let mut by_item = BTreeMap::new();
    for (n, end) in &seen {
        let n = n.expect("every result names its item");
        let planned = expected(run.steps[n]);
        assert!(*end == planned || *end == End::Refused, "{n}: {end:?}");
        assert!(*end != End::Refused || matches!(run.form, Form::Gate));
        assert_eq!(by_item.insert(n, end), None, "{n} came twice");
    }
    let numbers = || seen.iter().filter_map(|(n, _)| *n);
    assert!(!run.ordered || numbers().eq(0..seen.len()), "in order");
    if matches!(run.form, Form::ByKey) {
        for key in 0..7 {
            assert!(numbers().filter(|n| n % 7 == key).is_sorted(), "a key out of order");
        }
    }
    if run.takes.is_none() {
        assert_eq!(by_item.len(), run.steps.len(), "all came");
        assert!(results.next().await.is_none());
    }
    drop(results);
    sleep(MS).await;
    assert_eq!(alive.get(), 0, "work outlived its stream");
}

/// Sources that pause now and then, merged.
async fn every_item_of_every_source_comes(sources: Vec<Vec<Option<u32>>>) {
    let streams = sources.iter().cloned().enumerate().map(|(of, pauses)| {
        let items = stream::iter(pauses.into_iter().enumerate());
        Box::pin(items.then(move |(n, pause)| async move {
            match pause {
                None => {}
                Some(0) => yield_now().await,
                Some(time) => sleep(time * MS).await,
            }
            (of, n)
        }))
    });
    let mut next = vec![0; sources.len()];
    let mut merged = fan_in(streams).with_source();
    while let Some((id, (of, n))) = merged.next().await {
        assert_eq!((id.number(), n), (of as u64, next[of]));
        next[of] += 1;
    }
    assert!(next.into_iter().eq(sources.iter().map(Vec::len)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    /// 1,024 cases.
    #[test]
    fn every_item_has_one_result_in_its_place_and_within_the_window(run in run()) {
        quietly(|| paused().block_on(every_item_has_one_result(run)));
    }

    /// 1,024 cases.
    #[test]
    fn fan_in_yields_every_item_of_every_source_in_its_order(
        sources in prop::collection::vec(prop::collection::vec(prop::option::weighted(0.3, 0..4u32), 0..30), 0..9)
    ) {
        paused().block_on(every_item_of_every_source_comes(sources));
    }
}
