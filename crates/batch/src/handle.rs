//! What clones share: the way in, and how the flusher is started.

use crate::{
    driver::{self, Flush},
    settings::Settings,
    shared::Shared,
    sync::{OnceLock, StartMutex, mpsc},
    teller,
};
use std::sync::{Arc, PoisonError};
use tokio::runtime;

/// What all clones of a batcher share, and its flusher does not.
pub(crate) struct Handle<T, R, E> {
    pub(crate) shared: Arc<Shared<T, R, E>>,
    /// Set when the flusher has been started.
    started: OnceLock<()>,
    /// What it takes to start it, until then.
    start: StartMutex<Option<Start<T, R, E>>>,
}

pub(crate) enum Start<T, R, E> {
    Task(Flush<T, R, E>),
    /// The thread is there, and waits for what it shares with the handles.
    Thread(mpsc::Sender<Arc<Shared<T, R, E>>>),
}

impl<T, R, E> Handle<T, R, E> {
    pub(crate) fn new(start: Start<T, R, E>, settings: Settings<T, R, E>) -> Self {
        let shared = Arc::new(Shared::new(settings));
        Self { shared, started: OnceLock::new(), start: StartMutex::new(Some(start)) }
    }
}

impl<T, R, E> Handle<T, R, E>
where
    T: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    /// Starts the flusher, once. Panics where a task is to be started and there
    /// is no runtime; nothing has happened then.
    pub(crate) fn start(&self) {
        self.started.get_or_init(|| {
            let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
            // Asked for first: without one it panics.
            let runtime = matches!(*start, Some(Start::Task(_))).then(runtime::Handle::current);
            match (start.take(), runtime) {
                (Some(Start::Task(flush)), Some(runtime)) => {
                    driver::spawn(&runtime, flush, Arc::clone(&self.shared));
                }
                (Some(Start::Thread(thread)), _) => {
                    teller::spawn(&self.shared.teller);
                    // Fails only if the thread is gone, which it is not.
                    let _ = thread.send(Arc::clone(&self.shared));
                }
                _ => {}
            }
        });
    }
}

impl<T, R, E> Drop for Handle<T, R, E> {
    fn drop(&mut self) {
        self.shared.close();
    }
}
