//! A flush on a thread of its own.

use crate::sync::mpsc;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
};
use tokio::sync::oneshot;

/// A batch, and where its results go.
type Job<T, O> = (Vec<T>, oneshot::Sender<thread::Result<O>>);

/// A thread that flushes one batch after the other. Ends when this is dropped
/// and the last batch is done.
pub(crate) struct Thread<T, O> {
    jobs: mpsc::Sender<Job<T, O>>,
}

impl<T: Send + 'static, O: Send + 'static> Thread<T, O> {
    pub(crate) fn start(mut flush: impl FnMut(Vec<T>) -> O + Send + 'static) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job<T, O>>();
        thread::Builder::new().name("plimsoll-batch".into()).spawn(move || {
            for (items, results) in inbox {
                let output = catch_unwind(AssertUnwindSafe(|| flush(items)));
                // Nobody waits where the runtime has ended.
                let _ = results.send(output);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Flushes `items`. A panic on the thread goes on here.
    pub(crate) fn run(&self, items: Vec<T>) -> impl Future<Output = O> + Send + use<T, O> {
        let (results, output) = oneshot::channel();
        // Fails only without a thread, and then so does the receiver.
        let _ = self.jobs.send((items, results));
        async move {
            match output.await {
                Ok(Ok(output)) => output,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => panic!("the batcher's thread is gone"),
            }
        }
    }
}
