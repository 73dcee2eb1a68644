//! One round of a flow: a fixed number of items through an arrangement of tasks.

use crate::{on::On, rounds::Round};
use anyhow::{Context, Result, ensure};
use futures::future::BoxFuture;
use std::{fs, time::Duration};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::Instant,
};

/// Builds an arrangement for so many items; the future, which alone is timed, sends
/// them through and says how many came out.
pub(crate) type Flow = Box<dyn Fn(u64) -> BoxFuture<'static, u64> + Send>;

/// The runtimes that flows run on. They live as long as the suite.
pub(crate) struct Runtimes {
    current_thread: Runtime,
    multi_thread: Runtime,
}

impl Runtimes {
    pub(crate) fn new() -> Result<Self> {
        let made = |mut builder: Builder| {
            builder.enable_time().build().context("could not start a runtime")
        };
        let mut two = Builder::new_multi_thread();
        two.worker_threads(2);
        Ok(Self { current_thread: made(Builder::new_current_thread())?, multi_thread: made(two)? })
    }

    /// The runtime whose timers threads outside of it may use.
    pub(crate) fn handle(&self) -> Handle {
        self.multi_thread.handle().clone()
    }

    /// Runs one round of `items`, after `warm` to warm up.
    pub(crate) fn round(&self, flow: &Flow, on: On, warm: u64, items: u64) -> Result<Round> {
        let paused;
        let runtime = match on {
            On::Threads(_) => anyhow::bail!("a flow runs on a runtime, not on bare threads"),
            On::CurrentThread => &self.current_thread,
            On::MultiThread => &self.multi_thread,
            On::Paused => {
                let mut builder = Builder::new_current_thread();
                paused = builder.enable_time().start_paused(true).build()?;
                &paused
            }
        };
        // In a task of the runtime: what drives it must not be a third thread.
        let through = |items| runtime.block_on(runtime.spawn(flow(items)));
        if warm > 0 {
            ensure!(through(warm).context("a flow panicked")? == warm, "items were lost");
        }
        let before = waited();
        let flow = flow(items);
        let timed = async {
            let start = Instant::now();
            let arrived = runtime.spawn(flow).await;
            (arrived, start.elapsed())
        };
        let (arrived, took) = runtime.block_on(timed);
        let waited = waited().zip(before).map(|(after, before)| after.saturating_sub(before));
        Ok(Round {
            ns: took.as_secs_f64() * 1e9 / items as f64,
            clean: on == On::Paused || waited.is_none_or(|waited| waited < took / 100),
            admitted: arrived.context("a flow panicked")?,
        })
    }
}

/// How long all threads of this process were ready to run and had no CPU.
fn waited() -> Option<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").ok()? {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanos += text.split(' ').nth(1)?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    fn through(flow: &Flow, on: On, items: u64) -> Round {
        Runtimes::new().unwrap().round(flow, on, 0, items).unwrap()
    }

    #[test]
    fn a_round_says_how_many_items_came_out() {
        for on in [On::CurrentThread, On::MultiThread] {
            let half: Flow = Box::new(|items| Box::pin(async move { items / 2 }));
            assert_eq!(through(&half, on, 100).admitted, 50);
        }
    }

    #[test]
    fn in_paused_time_only_sleep_takes_time() {
        let sleeps: Flow = Box::new(|items| {
            Box::pin(async move {
                for _ in 0..items {
                    sleep(Duration::from_secs(1)).await;
                }
                items
            })
        });
        assert_eq!(through(&sleeps, On::Paused, 10).ns, 1e9);
    }

    #[test]
    fn a_flow_that_panics_is_an_error() {
        let broken: Flow = Box::new(|_| Box::pin(async { panic!("no") }));
        let error = Runtimes::new().unwrap().round(&broken, On::CurrentThread, 0, 1).err().unwrap();
        assert_eq!(error.to_string(), "a flow panicked");
    }
}
