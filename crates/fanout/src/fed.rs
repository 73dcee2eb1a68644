//! A stream for models, fed by another thread.

use futures_core::Stream;
use loom::sync::Mutex;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// What the feeding side puts in, and the end once that is gone.
pub(crate) struct Fed<T>(Arc<Mutex<Feed<T>>>);

struct Feed<T> {
    items: VecDeque<T>,
    open: bool,
    waker: Option<Waker>,
}

pub(crate) struct Feeder<T>(Arc<Mutex<Feed<T>>>);

pub(crate) fn fed<T>() -> (Feeder<T>, Fed<T>) {
    let feed = Feed { items: VecDeque::new(), open: true, waker: None };
    let feed = Arc::new(Mutex::new(feed));
    (Feeder(Arc::clone(&feed)), Fed(feed))
}

impl<T> Feeder<T> {
    fn change(&self, change: impl FnOnce(&mut Feed<T>)) {
        let mut feed = self.0.lock().unwrap();
        change(&mut feed);
        let waker = feed.waker.take();
        drop(feed);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn put(&self, item: T) {
        self.change(|feed| feed.items.push_back(item));
    }
}

impl<T> Drop for Feeder<T> {
    fn drop(&mut self) {
        self.change(|feed| feed.open = false);
    }
}

impl<T> Stream for Fed<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut feed = self.0.lock().unwrap();
        match feed.items.pop_front() {
            None if feed.open => {
                feed.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            item => Poll::Ready(item),
        }
    }
}
