//! A batcher with a thread of its own: takes what is due, and flushes it.

use crate::{
    Emitted, FlushOutput,
    callers::Callers,
    driver::Life,
    flight::{Flight, message},
    intake::Due,
    shared::Shared,
    sync::mpsc,
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// Answers of flushes that take less than this together are told together, if
/// full batches wait: to wake a task of an idle runtime costs as much as some
/// ten inserts.
const TOGETHER: Duration = Duration::from_micros(100);

/// How long the teller may take before the thread does its work.
const PATIENCE: Duration = Duration::from_millis(1);

/// Starts the thread. It waits for what it shares with the handles, which is
/// sent when the settings are final, and ends if that never comes.
pub(crate) fn start<T, R, E, F, O>(flush: F) -> io::Result<mpsc::Sender<Arc<Shared<T, R, E>>>>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
    F: FnMut(Vec<T>) -> O + Send + 'static,
    O: FlushOutput<Reply = R, Error = E>,
{
    let (start, started) = mpsc::channel::<Arc<Shared<T, R, E>>>();
    thread::Builder::new().name("plimsoll-batch".into()).spawn(move || {
        if let Ok(shared) = started.recv() {
            run(flush, Life { shared });
        }
    })?;
    Ok(start)
}

fn run<T, R, E, F, O>(mut flush: F, life: Life<T, R, E>)
where
    F: FnMut(Vec<T>) -> O,
    O: FlushOutput<Reply = R, Error = E>,
{
    let shared = &life.shared;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut began = Instant::now();
    loop {
        let now = Instant::now();
        let due = shared.next(&Context::from_waker(&waker), Some(now.into()));
        let batch = match due {
            Due::Now(batch) => batch,
            Due::At(due) => {
                idle(shared, Some(due.into_std()));
                continue;
            }
            Due::Nothing => {
                idle(shared, None);
                continue;
            }
            Due::Ended => break,
        };
        // `began` is when the first flush began that nobody was told of.
        let is_quick = now.saturating_duration_since(began) < TOGETHER;
        if !(is_quick && batch.why == Emitted::Full) {
            shared.teller.ring();
            began = now;
        }
        let (callers, items) = Callers::of(batch, shared);
        // A panic in here, outside of `flush`, is one of a `Clone`: the callers
        // hear of it when they are dropped, and the thread lives.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut flight = Flight::new(items, &shared.settings);
            while let Some(items) = flight.next() {
                let sent = items.len();
                let outcome = catch_unwind(AssertUnwindSafe(|| flush(items).into_results(sent)));
                flight.done(outcome.map_err(message));
            }
            callers.answer(flight.answers());
        }));
    }
    shared.teller.help();
    // Before the end is told: what it owns, a connection perhaps, is closed then.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(flush)));
    drop(life);
}

/// Sleeps until it is woken, or `due`. May return early.
fn idle<T, R, E>(shared: &Shared<T, R, E>, due: Option<Instant>) {
    let span = due.map(|due| due.saturating_duration_since(Instant::now()));
    if shared.teller.ring() {
        match span {
            Some(span) => thread::park_timeout(span),
            None => thread::park(),
        }
    } else {
        let began = Instant::now();
        thread::park_timeout(span.map_or(PATIENCE, |span| span.min(PATIENCE)));
        if began.elapsed() >= PATIENCE {
            shared.teller.help();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
