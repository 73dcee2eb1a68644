//! Loom models of the merge, whose sources and handles live in other threads.

use super::fan_in;
use crate::fed::fed;
use futures_core::Stream;
use loom::{future::block_on, model::Builder, thread::spawn};
use std::{future::poll_fn, pin::Pin};

/// Threads that put into one line and wake another: a whole search did not end in
/// two minutes. Each planted bug below is found with two preemptions.
fn search(model: impl Fn() + Sync + Send + 'static) {
    let mut search = Builder::new();
    search.preemption_bound = Some(2);
    search.check(model);
}

fn collect<S: Stream + Unpin>(mut stream: S) -> Vec<S::Item> {
    let mut next = || block_on(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)));
    std::iter::from_fn(&mut next).collect()
}

/// Two sources are fed by two threads: all comes, and the end. Turns red when a
/// wake lists nobody, when it does not wake the task, and when the task is known
/// only after the line was looked at.
#[test]
fn no_wake_up_of_a_source_is_lost() {
    search(|| {
        let ((feed_a, a), (feed_b, b)) = (fed(), fed());
        let feeders = [(feed_a, 1), (feed_b, 2)].map(|(feeder, item)| {
            spawn(move || {
                feeder.put(item);
                drop(feeder);
            })
        });
        let mut all = collect(fan_in([a, b]));
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        feeders.into_iter().for_each(|feeder| feeder.join().unwrap());
    });
}

/// A source is added, and the last handle goes: the source is polled to its end
/// before the stream ends. Turns red when a handle that goes wakes nobody, and
/// when what was added last is not looked for.
#[test]
fn a_source_added_by_the_last_handle_is_not_missed() {
    search(|| {
        let (feeder, source) = fed();
        let merged = fan_in([]);
        let handle = merged.handle();
        let adds = spawn(move || {
            feeder.put(7);
            assert!(handle.add(source).is_ok());
            drop((handle, feeder));
        });
        assert_eq!(collect(merged), [7]);
        adds.join().unwrap();
    });
}

/// A handle adds while the stream is dropped: the source comes back, or is
/// dropped. Searched whole. Turns red when a closed inbox still takes sources.
#[test]
fn a_source_added_to_a_stream_that_goes_is_not_kept() {
    loom::model(|| {
        let item = std::sync::Arc::new(());
        let (feeder, source) = fed();
        feeder.put(std::sync::Arc::clone(&item));
        drop(feeder);
        let merged = fan_in([]);
        let handle = merged.handle();
        let adds = spawn(move || {
            let added = handle.add(source);
            drop(added);
            handle // keeps the inbox, but nothing in it
        });
        drop(merged);
        let _handle = adds.join().unwrap();
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
    });
}
