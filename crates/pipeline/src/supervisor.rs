//! Watches over the tasks of a run until the last has ended.

use crate::{
    crew::{Crew, Ended},
    error::{Cause, RunError},
    stats::{Ledger, Registry, Report, What},
};
use plimsoll_core::{Clock, Tick};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A stage whose worker has been at one call, or one chunk of quick ones, for
/// longer than it should: given to
/// [`on_stall`](crate::Pipeline::on_stall).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// The stage.
    pub stage: Arc<str>,
    /// Which of its workers, from 0.
    pub worker: usize,
    /// For how long.
    pub lasted: Duration,
}

/// Who is told of stalls, and when.
pub(crate) struct Watchdog {
    pub(crate) after: Duration,
    pub(crate) tell: Box<dyn Fn(&Stall) + Send>,
    /// What each worker was at when somebody was told of it.
    told: Vec<(usize, usize, Tick)>,
}

impl Watchdog {
    pub(crate) fn new(after: Duration, tell: Box<dyn Fn(&Stall) + Send>) -> Self {
        Self { after, tell, told: Vec::new() }
    }

    /// Tells of every worker that has not moved since `after` before `now`, once
    /// for each thing that it is stuck at.
    fn look(&mut self, registry: &Registry, now: Tick) {
        let mut stuck = Vec::new();
        for (stage, meter) in registry.stages().iter().enumerate().skip(1) {
            for (worker, slot) in meter.slots.iter().enumerate() {
                let (what, since) = slot.doing();
                let lasted = now.since(since);
                if what != What::Busy || lasted < self.after {
                    continue;
                }
                let it = (stage, worker, since);
                if !self.told.contains(&it) {
                    (self.tell)(&Stall { stage: Arc::clone(&meter.name), worker, lasted });
                }
                stuck.push(it);
            }
        }
        self.told = stuck;
    }
}

/// Something to be done every so often.
struct Ticker {
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Ticker {
    fn new(every: Duration) -> Self {
        Self { every, timer: Box::pin(sleep(every)) }
    }

    /// Whether it is time again.
    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let mut due = false;
        while self.timer.as_mut().poll(cx).is_ready() {
            due = true;
            self.timer.as_mut().reset(Instant::now() + self.every);
        }
        due
    }
}

/// What a run may have beside its stages.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) drain_within: Option<Duration>,
    pub(crate) watchdog: Option<Watchdog>,
    #[cfg(feature = "indicatif")]
    pub(crate) progress: Option<indicatif::ProgressBar>,
}

/// A run. Dropped, everything is cut off.
pub(crate) struct Supervisor {
    crew: Crew,
    extras: Extras,
    registry: Arc<Registry>,
    /// Whoever runs the pipeline wants it drained.
    asked: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Somebody else does.
    stopped: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The deadline has come, and everything was told to end.
    is_cut: bool,
    watch: Option<Ticker>,
    #[cfg(feature = "indicatif")]
    paint: Option<Ticker>,
    cause: Option<Cause>,
    _life: Life,
}

/// Whoever waits for the end of a pipeline hears of it, whatever the end.
pub(crate) struct Life(pub(crate) Arc<Registry>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Supervisor {
    pub(crate) fn new(
        crew: Crew,
        extras: Extras,
        life: Life,
        token: Option<CancellationToken>,
    ) -> Self {
        let registry = Arc::clone(&crew.registry);
        let watch = extras.watchdog.as_ref().map(|dog| Ticker::new(dog.after.max(GRAIN) / 2));
        Self {
            asked: token.map(|token| Box::pin(token.cancelled_owned())),
            stopped: Some(Box::pin(registry.stopped.clone().cancelled_owned())),
            #[cfg(feature = "indicatif")]
            paint: extras.progress.as_ref().map(|_| Ticker::new(PAINT)),
            crew,
            extras,
            registry,
            deadline: None,
            is_cut: false,
            watch,
            cause: None,
            _life: life,
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.registry.is_stopping()
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.registry.ledger
    }

    /// Ready when the last task has ended; not to be polled after that.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<Report, RunError>> {
        if let Some(asked) = &mut self.asked {
            if asked.as_mut().poll(cx).is_ready() {
                self.asked = None;
                self.registry.stop();
            }
        }
        if let Some(stopped) = &mut self.stopped {
            if stopped.as_mut().poll(cx).is_ready() {
                self.stopped = None;
                self.deadline = self.extras.drain_within.map(|within| {
                    let now = Instant::now();
                    Box::pin(sleep_until(now.checked_add(within).unwrap_or(now + YEARS)))
                });
            }
        }
        loop {
            match self.crew.poll_ended(cx) {
                Poll::Pending => break,
                Poll::Ready(Ended::All) => return Poll::Ready(self.finish()),
                Poll::Ready(Ended::Failed(before, cause)) => {
                    if self.cause.is_none() {
                        self.cause = Some(cause);
                    }
                    self.crew.cut(&before);
                    self.registry.stop();
                    cx.waker().wake_by_ref(); // for the deadline
                }
            }
        }
        if let Some(deadline) = &mut self.deadline {
            if deadline.as_mut().poll(cx).is_ready() {
                if self.is_cut {
                    return Poll::Ready(self.finish()); // without those that cannot be cut off
                }
                self.is_cut = true;
                let stages = at_work(&self.registry);
                self.cause.get_or_insert(Cause::CutOff { stages });
                self.crew.cut_all();
                deadline.as_mut().reset(Instant::now() + LAST);
                cx.waker().wake_by_ref();
            }
        }
        if let (Some(dog), Some(watch)) = (&mut self.extras.watchdog, &mut self.watch) {
            if watch.is_due(cx) {
                dog.look(&self.registry, self.registry.clock().now());
            }
        }
        #[cfg(feature = "indicatif")]
        if self.paint.as_mut().is_some_and(|paint| paint.is_due(cx)) {
            self.show();
        }
        Poll::Pending
    }

    fn finish(&mut self) -> Result<Report, RunError> {
        self.registry.end();
        let report = self.registry.report();
        #[cfg(feature = "indicatif")]
        self.show();
        match self.cause.take() {
            None => Ok(report),
            Some(cause) => Err(RunError::new(cause, report)),
        }
    }

    #[cfg(feature = "indicatif")]
    fn show(&self) {
        if let Some(bar) = &self.extras.progress {
            crate::progress::show(bar, &self.registry);
        }
    }
}

/// A watchdog looks no more often than tokio's timers tell apart.
const GRAIN: Duration = Duration::from_millis(2);
/// What was cut off ends when it next awaits something. What never does, such as
/// an endless loop in a plain function, is left behind.
const LAST: Duration = Duration::from_millis(100);
#[cfg(feature = "indicatif")]
const PAINT: Duration = Duration::from_millis(100);
/// A wait that nobody sees the end of.
const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The stages whose workers are not waiting for others.
fn at_work(registry: &Registry) -> Vec<Arc<str>> {
    let stages = registry.stages();
    let is_at_work = |slot: &crate::stats::Slot| slot.doing().0 == What::Busy;
    let busy = stages.iter().filter(|meter| meter.slots.iter().any(is_at_work));
    busy.map(|meter| Arc::clone(&meter.name)).collect()
}
