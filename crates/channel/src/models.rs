//! Loom models: `cargo xtask loom plimsoll-channel`.

use crate::{Builder, Receiver, SendError, Sender};
use futures_core::Stream;
use futures_sink::Sink;
use loom::{
    future::block_on,
    model::Builder as Search,
    thread::{JoinHandle, spawn},
};
use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Two threads are searched whole.
fn search_whole(model: impl Fn() + Sync + Send + 'static) {
    Search::new().check(model);
}

/// A search of three threads that wake each other does not end. Bugs of this
/// kind need few preemptions: each planted one below is found with two; three
/// leave a margin.
const PREEMPTIONS: usize = 3;

fn search(model: impl Fn() + Sync + Send + 'static) {
    let mut search = Search::new();
    search.preemption_bound = Some(PREEMPTIONS);
    search.check(model);
}

/// Time is no part of these models.
fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    Builder::new(capacity).untimed().build().unwrap()
}

fn sends<T: 'static>(tx: Sender<T>, item: T) -> JoinHandle<Result<(), SendError<T>>> {
    spawn(move || block_on(tx.send(item)))
}

/// Polls once, as one who gives up right after.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Everything that comes until the end.
fn drained<T>(mut rx: Receiver<T>) -> Vec<T> {
    std::iter::from_fn(|| block_on(rx.recv())).collect()
}

/// Through one place, all arrive in order, and the end is seen. Turns red when
/// an item put in tells no receiver, when one taken out tells no sender, when
/// the last sender leaves without a word, and when a quick path does not look
/// for those who wait.
#[test]
fn no_wake_up_is_lost_at_capacity_one() {
    search_whole(|| {
        let (tx, rx) = bounded(1);
        let sender = spawn(move || {
            for n in 0..2 {
                block_on(tx.send(n)).unwrap();
            }
        });
        assert_eq!(drained(rx), [0, 1]);
        sender.join().unwrap();
    });
}

/// Two send through one place and each other's wake-ups. Turns red when an item
/// taken out tells no sender.
#[test]
fn two_senders_share_one_place() {
    search(|| {
        let (tx, rx) = bounded(1);
        let senders = [sends(tx.clone(), 1), sends(tx, 2)];
        let mut all = drained(rx);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap().unwrap());
    });
}

/// A sender gives up when the place is free and promised to it: the next sender
/// gets it. Turns red when one who gives up tells nobody.
#[test]
fn a_place_promised_to_a_send_that_is_dropped_goes_to_the_next() {
    search(|| {
        let (tx, mut rx) = bounded(1);
        tx.try_send(0).unwrap();
        let gives_up = {
            let tx = tx.clone();
            spawn(move || poll(pin!(tx.send(1))).is_ready())
        };
        let stays = sends(tx, 2);
        assert_eq!(block_on(rx.recv()), Some(0));
        // Nothing more is taken out until the one who stays has sent.
        let sent = gives_up.join().unwrap();
        let rest = if sent { drained(rx) } else { vec![block_on(rx.recv()).unwrap()] };
        assert!(rest.contains(&2) && rest.contains(&1) == sent);
        stays.join().unwrap().unwrap();
    });
}

/// A receiver gives up when an item is there and promised to it: the next
/// receiver gets it. Turns red when one who gives up tells nobody.
#[test]
fn an_item_promised_to_a_recv_that_is_dropped_goes_to_the_next() {
    search(|| {
        let (tx, mut rx) = bounded(1);
        let gives_up = {
            let mut rx = rx.clone();
            spawn(move || match poll(pin!(rx.recv())) {
                Poll::Ready(item) => item,
                Poll::Pending => None,
            })
        };
        let stays = spawn(move || block_on(rx.recv()));
        tx.try_send(7).unwrap();
        let taken = gives_up.join().unwrap();
        // The channel stays open: nothing but the item can wake the one who stays.
        if taken.is_some() {
            tx.try_send(8).unwrap();
        }
        assert_eq!(stays.join().unwrap(), Some(if taken.is_some() { 8 } else { 7 }));
    });
}

/// A stream that was polled leaves with its receiver: what it was promised goes
/// to the next. Turns red when a dropped receiver does not leave the line.
#[test]
fn an_item_promised_to_a_stream_that_is_dropped_goes_to_the_next() {
    search(|| {
        let (tx, mut rx) = bounded(1);
        let mut stream = rx.clone();
        let first = Pin::new(&mut stream).poll_next(&mut Context::from_waker(Waker::noop()));
        assert_eq!(first, Poll::Pending);
        let leaves = spawn(move || drop(stream));
        let stays = spawn(move || block_on(rx.recv()));
        tx.try_send(7).unwrap();
        assert_eq!(stays.join().unwrap(), Some(7));
        leaves.join().unwrap();
    });
}

/// A send that waits is told of the close. It gets its item back, or the item
/// is received, and nothing comes after the end. Turns red when one that was
/// promised a place still sends after the close, and when the quick path does.
#[test]
fn close_ends_a_send_that_waits_and_nothing_enters_after_it() {
    search(|| {
        let (tx, mut rx) = bounded(1);
        tx.try_send(0).unwrap();
        let sender = sends(tx.clone(), 1);
        let closer = spawn(move || tx.close());
        let mut received = Vec::new();
        while let Some(item) = block_on(rx.recv()) {
            received.push(item);
        }
        let sent = sender.join().unwrap();
        closer.join().unwrap();
        match sent {
            Ok(()) => assert_eq!(received, [0, 1]),
            Err(SendError(back)) => assert_eq!((back, received), (1, vec![0])),
        }
    });
}

/// The same when nobody receives: nothing but the close can wake the sender.
/// Turns red when `close` wakes no sender.
#[test]
fn close_ends_a_send_to_a_channel_that_stays_full() {
    search_whole(|| {
        let (tx, rx) = bounded(1);
        tx.try_send(0).unwrap();
        let sender = sends(tx, 1);
        rx.close();
        assert_eq!(sender.join().unwrap(), Err(SendError(1)));
    });
}

/// The last receiver goes while items come in: each is dropped, or handed back
/// and dropped, and none is forgotten in the channel. Turns red when the last
/// receiver leaves the queue as it is, and when it does not close.
#[test]
fn an_item_sent_to_a_receiver_that_goes_is_dropped_once() {
    search_whole(|| {
        let (tx, rx) = bounded(1);
        let item = Arc::new(());
        tx.try_send(Arc::clone(&item)).unwrap();
        let sender = {
            let (tx, item) = (tx.clone(), Arc::clone(&item));
            spawn(move || drop(block_on(tx.send(item))))
        };
        drop(rx);
        sender.join().unwrap();
        assert_eq!(Arc::strong_count(&item), 1, "one is still in the channel");
    });
}

/// Chunks pass in order through fewer places than they have items, and the room
/// taken is never more than there is. Turns red when a chunk keeps its room,
/// when it returns it twice, when its quick way back does not look for a sender,
/// and when the rest of a deque waits without having joined the line.
#[test]
fn send_all_and_recv_chunk_meet() {
    search_whole(|| {
        let (tx, mut rx) = bounded(2);
        let sender = spawn(move || block_on(tx.send_all(&mut VecDeque::from([0, 1, 2]))));
        let (mut items, mut all) = (VecDeque::new(), Vec::new());
        while let Some(chunk) = block_on(rx.recv_chunk(&mut items, 2)) {
            all.extend(chunk);
        }
        assert_eq!(all, [0, 1, 2]);
        sender.join().unwrap().unwrap();
        assert_eq!((rx.stats().load, rx.stats().high_water <= 2), (0, true));
    });
}

/// A deque for which there is room wakes who waits for it. Turns red when the quick
/// way in does not look for a receiver.
#[test]
fn a_deque_that_fits_wakes_a_receiver() {
    search_whole(|| {
        let (tx, mut rx) = bounded(2);
        let sender = spawn(move || {
            block_on(tx.send_all(&mut VecDeque::from([0, 1]))).unwrap();
            tx // Nothing but the items wakes the receiver.
        });
        let mut items = VecDeque::new();
        assert_eq!(block_on(rx.recv_chunk(&mut items, 2)).unwrap().len(), 2);
        sender.join().unwrap();
    });
}

/// A chunk is taken while an item is promised to another receiver: it is none of
/// the chunk's. Turns red when the quick way out does not leave those items alone.
#[test]
fn an_item_promised_to_a_recv_is_in_nobody_elses_chunk() {
    search(|| {
        let (tx, rx) = bounded(1);
        let waits = {
            let mut rx = rx.clone();
            spawn(move || block_on(rx.recv()))
        };
        let takes = {
            let mut rx = rx;
            spawn(move || {
                let mut items = VecDeque::new();
                poll(pin!(rx.recv_chunk(&mut items, 1))).is_ready()
            })
        };
        tx.try_send(7).unwrap();
        let taken = takes.join().unwrap();
        // Nothing but a second item can wake the one who waits.
        if taken {
            tx.try_send(8).unwrap();
        }
        assert_eq!(waits.join().unwrap(), Some(if taken { 8 } else { 7 }));
    });
}

/// A feeder reserves the only place and goes, with or without an item, while
/// another sender waits: the item arrives, and the place is free again. Turns
/// red when a dropped feeder keeps its room, and when it drops its item.
#[test]
fn room_reserved_by_a_feeder_that_is_dropped_goes_to_the_next() {
    for feeds in [false, true] {
        search(move || {
            let (tx, rx) = bounded(1);
            let feeder = {
                let mut feeder = tx.clone().into_feeder(4);
                spawn(move || {
                    let mut feeder = Pin::new(&mut feeder);
                    let ready = feeder.as_mut().poll_ready(&mut Context::from_waker(Waker::noop()));
                    if ready.is_ready() && feeds {
                        feeder.start_send(1).unwrap();
                    }
                    ready.is_ready() && feeds
                })
            };
            let sender = sends(tx, 2);
            let mut all = drained(rx);
            all.sort_unstable();
            let fed = feeder.join().unwrap();
            assert_eq!(all, if fed { vec![1, 2] } else { vec![2] });
            sender.join().unwrap().unwrap();
        });
    }
}
