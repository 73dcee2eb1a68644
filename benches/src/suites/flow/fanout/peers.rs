//! Other ways to give several workers something to do, and the ideal ones.

use super::{IDEAL, SLEEP};
use crate::{rounds::Subject, suites::flow::work::cheap as work};
use futures::{StreamExt as _, future::join_all, stream};
use rayon::iter::{IntoParallelIterator as _, ParallelBridge as _, ParallelIterator as _};
use std::{hint::black_box, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

const WORKERS: u64 = 2;
/// Room in the channels to the workers and back.
const ROOM: usize = 128;

/// Uses a result and counts it.
pub(super) fn used(result: u64) -> u64 {
    black_box(result);
    1
}

/// Two workers that take from one channel and put into another.
macro_rules! two_tasks {
    ($name:literal, $channel:expr, $send:ident, $recv:ident) => {
        Subject::flow(concat!("two tasks over ", $name), |items| async move {
            let ((tx, work_for), (done, results)) = ($channel, $channel);
            tokio::spawn(async move {
                for n in 0..items {
                    if tx.$send(n).await.is_err() {
                        return;
                    }
                }
            });
            for _ in 0..WORKERS {
                let (work_for, done) = (work_for.clone(), done.clone());
                tokio::spawn(async move {
                    while let Ok(n) = work_for.$recv().await {
                        if done.$send(work(n)).await.is_err() {
                            return;
                        }
                    }
                });
            }
            drop((work_for, done));
            let mut count = 0;
            while let Ok(result) = results.$recv().await {
                count += used(result);
            }
            count
        })
    };
}

pub(super) fn cheap() -> Vec<Subject> {
    vec![
        Subject::flow(IDEAL, |items| async move {
            let half =
                |from, to| tokio::spawn(async move { (from..to).map(|n| used(work(n))).sum() });
            let halves: [u64; 2] = tokio::try_join!(half(0, items / 2), half(items / 2, items))
                .map(Into::into)
                .expect("no half panics");
            halves.into_iter().sum()
        }),
        Subject::flow("one after the other", |items| async move {
            (0..items).map(|n| used(work(n))).sum()
        }),
        Subject::flow("futures buffer_unordered(2), a task each", |items| async move {
            let tasks = stream::iter(0..items).map(|n| tokio::spawn(async move { work(n) }));
            let results = tasks.buffer_unordered(2);
            results.fold(0, async |count, result| count + used(result.unwrap_or(0))).await
        }),
        Subject::flow("JoinSet + Semaphore(2)", |items| async move {
            let permits = Arc::new(Semaphore::new(2));
            let (mut tasks, mut count) = (JoinSet::new(), 0);
            for n in 0..items {
                let permit = Arc::clone(&permits).acquire_owned().await;
                tasks.spawn(async move {
                    let _permit = permit;
                    work(n)
                });
                while let Some(result) = tasks.try_join_next() {
                    count += used(result.unwrap_or(0));
                }
            }
            while let Some(result) = tasks.join_next().await {
                count += used(result.unwrap_or(0));
            }
            count
        }),
        two_tasks!("async-channel", async_channel::bounded(ROOM), send, recv),
        two_tasks!("flume", flume::bounded(ROOM), send_async, recv_async),
        two_tasks!("kanal", kanal::bounded_async(ROOM), send, recv),
        Subject::flow("rayon par_iter", |items| async move {
            (0..items).into_par_iter().map(|n| used(work(n))).sum()
        }),
        Subject::flow("rayon par_bridge", |items| async move {
            (0..items).par_bridge().map(|n| used(work(n))).sum()
        }),
    ]
}

/// An item that waits for so many times [`SLEEP`].
pub(super) async fn slow(times: u32) -> u64 {
    sleep(SLEEP * times).await;
    1
}

/// Items that wait, each so long as `times` says of its number.
pub(super) fn sleeping(workers: usize, times: fn(u64) -> u32) -> Vec<Subject> {
    vec![
        Subject::flow(IDEAL, move |items| async move {
            // A share each, known before; nothing is handed over.
            let share = move |worker| async move {
                let mine = (0..items).skip(worker).step_by(workers);
                let mut count = 0;
                for n in mine {
                    count += item(times(n)).await;
                }
                count
            };
            let shares = (0..workers).map(|worker| tokio::spawn(share(worker)));
            join_all(shares).await.into_iter().map(|count| count.unwrap_or(0)).sum()
        }),
        Subject::flow("futures buffer_unordered", move |items| async move {
            let tasks = stream::iter(0..items).map(|n| item(times(n)));
            tasks.buffer_unordered(workers).fold(0, async |count, one| count + one).await
        }),
        Subject::flow("JoinSet + Semaphore", move |items| async move {
            let permits = Arc::new(Semaphore::new(workers));
            let mut tasks = JoinSet::new();
            let mut count = 0;
            for n in 0..items {
                let permit = Arc::clone(&permits).acquire_owned().await;
                tasks.spawn(async move {
                    let _permit = permit;
                    item(times(n)).await
                });
                while let Some(one) = tasks.try_join_next() {
                    count += one.unwrap_or(0);
                }
            }
            while let Some(one) = tasks.join_next().await {
                count += one.unwrap_or(0);
            }
            count
        }),
    ]
}

/// Cheap if it does not wait.
pub(super) async fn item(times: u32) -> u64 {
    if times > 0 { slow(times).await } else { used(work(1)) }
}
