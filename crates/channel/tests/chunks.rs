//! Chunks, prefetching streams and feeders.

use futures::{Sink, SinkExt, Stream, StreamExt};
use plimsoll_channel::{Closed, Receiver, TryRecvError, TrySendError, bounded, bounded_by};
use plimsoll_core::Load;
use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

mod support;
use support::poll;

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn what_a_dropped_send_all_did_not_send_stays_with_the_caller() {
    let (tx, mut rx) = bounded(2);
    let mut items = VecDeque::from([1, 2, 3, 4, 5]);
    let mut sending = Box::pin(tx.send_all(&mut items));
    assert!(poll(sending.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Ok(1));
    assert!(poll(sending.as_mut()).is_pending(), "three fit so far");
    assert_eq!(rx.try_recv(), Ok(2));
    drop(sending);
    assert_eq!(items, [4, 5]);
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(3), Err(TryRecvError::Empty)));
    tx.try_send(6).expect("what the dropped one was promised is free again");
}

#[test]
fn a_channel_that_closes_leaves_the_rest_of_the_deque() {
    let (tx, rx) = bounded(2);
    let mut items = VecDeque::from([1, 2, 3]);
    let mut sending = Box::pin(tx.send_all(&mut items));
    assert!(poll(sending.as_mut()).is_pending());
    rx.close();
    assert_eq!(poll(sending.as_mut()), Poll::Ready(Err(Closed)));
    drop(sending);
    assert_eq!(items, [3]);
}

#[test]
fn an_empty_deque_is_sent_at_once() {
    let (tx, _rx) = bounded::<u8>(1);
    tx.try_send(1).expect("it is empty");
    assert_eq!(poll(pin!(tx.send_all(&mut VecDeque::new()))), Poll::Ready(Ok(())));
}

#[test]
fn the_room_of_a_chunk_is_given_to_no_send_by_any_way_in() {
    let (tx, mut rx) = bounded(2);
    assert!(poll(pin!(tx.send_all(&mut VecDeque::from([1, 2])))).is_ready());
    let mut into = VecDeque::new();
    let Poll::Ready(Some(chunk)) = poll(pin!(rx.recv_chunk(&mut into, 2))) else {
        panic!("two are there")
    };
    assert!(poll(pin!(tx.send(3))).is_pending());
    assert!(poll(pin!(tx.send_all(&mut VecDeque::from([3])))).is_pending());
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
    drop(chunk);
    assert!(poll(pin!(tx.send(3))).is_ready());
}

#[test]
fn whole_deques_are_swapped_and_not_copied() {
    let (tx, mut rx) = bounded(100);
    let mut items: VecDeque<u32> = (0..100).collect();
    let memory = items.as_slices().0.as_ptr();
    assert!(poll(pin!(tx.send_all(&mut items))).is_ready());
    let mut into = VecDeque::new();
    let chunk = poll(pin!(rx.recv_chunk(&mut into, 100)));
    drop(chunk);
    assert_eq!(into.as_slices().0.as_ptr(), memory);
}

#[test]
fn items_of_a_chunk_take_room_until_they_are_yielded() {
    let (tx, mut rx) = bounded(4);
    assert!(poll(pin!(tx.send_all(&mut (0..4).collect()))).is_ready());
    let mut items = VecDeque::new();
    let Poll::Ready(Some(mut chunk)) = poll(pin!(rx.recv_chunk(&mut items, 4))) else {
        panic!("four are there")
    };
    assert_eq!((tx.load(), tx.try_send(4)), (4, Err(TrySendError::Full(4))));
    assert_eq!((chunk.next(), tx.load()), (Some(0), 4));
    chunk.release();
    assert_eq!(tx.load(), 3, "asked for, the room comes back at once");
    assert_eq!((chunk.next(), tx.load()), (Some(1), 2), "half of the chunk is yielded");
    assert_eq!((chunk.next(), tx.load()), (Some(2), 2));
    assert_eq!((chunk.next(), tx.load(), chunk.next()), (Some(3), 0, None));
}

#[test]
fn at_capacity_one_a_chunk_gives_its_room_back_with_its_item() {
    let (tx, mut rx) = bounded(1);
    tx.try_send(1).expect("it is empty");
    let mut items = VecDeque::new();
    let Poll::Ready(Some(mut chunk)) = poll(pin!(rx.recv_chunk(&mut items, 64))) else {
        panic!("one is there")
    };
    assert!(tx.try_send(2).is_err());
    assert_eq!(chunk.next(), Some(1));
    assert!(tx.try_send(2).is_ok());
}

#[test]
fn a_chunk_dropped_early_leaves_its_items_with_the_caller() {
    let (tx, mut rx) = bounded(4);
    assert!(poll(pin!(tx.send_all(&mut (1..=4).collect()))).is_ready());
    let mut items = VecDeque::from([0]);
    if let Poll::Ready(Some(chunk)) = poll(pin!(rx.recv_chunk(&mut items, 3))) {
        assert_eq!(chunk.take(2).collect::<Vec<_>>(), [0, 1]);
    }
    assert_eq!((items, tx.load(), rx.try_recv()), (VecDeque::from([2, 3]), 1, Ok(4)));
}

#[test]
fn items_taken_out_of_a_chunk_keep_their_room_until_they_are_done() {
    let (tx, mut rx) = bounded(4);
    assert!(poll(pin!(tx.send_all(&mut (1..=4).collect()))).is_ready());
    let (mut items, mut all) = (VecDeque::from([0]), Vec::new());
    let Poll::Ready(Some(mut chunk)) = poll(pin!(rx.recv_chunk(&mut items, 4))) else {
        panic!("four are there")
    };
    assert_eq!(chunk.next(), Some(0), "the caller's own");
    chunk.take_all(&mut all);
    assert_eq!((&*all, chunk.next(), tx.load()), (&[1, 2, 3, 4][..], None, 4));
    chunk.release_all_but(3);
    assert_eq!(tx.load(), 3);
    chunk.release_all_but(4);
    assert_eq!(tx.load(), 3, "what was given back stays so");
    drop(chunk);
    assert_eq!((tx.load(), items.len()), (0, 0));
}

#[test]
fn items_go_behind_what_the_vector_has_and_otherwise_its_memory_is_swapped() {
    let (tx, mut rx) = bounded(4);
    let mut items = VecDeque::new();
    let mut all = Vec::with_capacity(64);
    let memory = all.as_ptr();
    for numbers in [[1, 2], [3, 4]] {
        assert!(poll(pin!(tx.send_all(&mut numbers.into()))).is_ready());
        let Poll::Ready(Some(mut chunk)) = poll(pin!(rx.recv_chunk(&mut items, 4))) else {
            panic!("two are there")
        };
        let swaps = all.is_empty();
        chunk.take_all(&mut all);
        drop(chunk);
        assert_eq!(items.as_slices().0.as_ptr() == memory, swaps);
    }
    assert_eq!(all, [1, 2, 3, 4]);
}

#[test]
fn a_chunk_takes_nothing_that_others_were_promised() {
    let (tx, mut a) = bounded(4);
    let mut b = a.clone();
    let mut waits = Box::pin(a.recv());
    assert!(poll(waits.as_mut()).is_pending());
    assert!(poll(pin!(tx.send_all(&mut (0..3).collect()))).is_ready());
    let mut items = VecDeque::new();
    let taken = poll(pin!(b.recv_chunk(&mut items, 64))).map(|chunk| chunk.map(Vec::from_iter));
    assert_eq!(taken, Poll::Ready(Some(vec![0, 1])));
    assert_eq!(poll(waits.as_mut()), Poll::Ready(Some(2)));
}

#[test]
fn chunks_of_a_channel_by_weight_return_what_their_items_weigh() {
    let (tx, mut rx) = bounded_by(10, |weight: &usize| *weight);
    let mut items = VecDeque::from([3, 4, 9, 2, 50]);
    let mut sending = Box::pin(tx.send_all(&mut items));
    let mut into = VecDeque::new();
    let mut all = Vec::new();
    for loads in [&[7, 4, 0][..], &[9, 0], &[2, 0], &[50, 0]] {
        let _ = poll(sending.as_mut());
        let Poll::Ready(Some(mut chunk)) = poll(pin!(rx.recv_chunk(&mut into, 64))) else {
            panic!("one fits at least")
        };
        assert_eq!(tx.load(), loads[0]);
        for load in &loads[1..] {
            all.extend(chunk.next());
            assert_eq!(tx.load(), *load);
        }
    }
    assert_eq!(all, [3, 4, 9, 2, 50]);
    assert_eq!(poll(sending.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(rx.stats().high_water, 50);

    drop(sending);
    assert!(poll(pin!(tx.send_all(&mut VecDeque::from([2, 3, 4])))).is_ready());
    let Poll::Ready(Some(mut chunk)) = poll(pin!(rx.recv_chunk(&mut into, 64))) else {
        panic!("three are there")
    };
    chunk.take_all(&mut Vec::new());
    chunk.release_all_but(1);
    assert_eq!(tx.load(), 4, "the last one's weight");
}

#[test]
#[should_panic(expected = "max must be at least 1, but is 0")]
fn a_chunk_of_no_items_panics() {
    let (_tx, mut rx) = bounded::<u8>(1);
    drop(rx.recv_chunk(&mut VecDeque::new(), 0));
}

/// The load is a copy, for those who look without the lock.
#[test]
fn the_load_and_the_high_water_follow_each_item_beside_a_chunk() {
    let (tx, mut rx) = bounded(9);
    let mut other = rx.clone();
    let seen = || (tx.load(), tx.stats().load, tx.stats().high_water);
    assert!(poll(pin!(tx.send_all(&mut (0..3).collect()))).is_ready());
    assert_eq!(seen(), (3, 3, 3));
    let mut items = VecDeque::new();
    let chunk = poll(pin!(rx.recv_chunk(&mut items, 2)));
    assert!(poll(pin!(tx.send_all(&mut (3..6).collect()))).is_ready());
    assert_eq!(seen(), (6, 6, 4));
    assert!(poll(pin!(tx.send(6))).is_ready());
    assert_eq!(seen(), (7, 7, 5));
    assert_eq!((poll(pin!(other.recv())), seen()), (Poll::Ready(Some(2)), (6, 6, 5)));
    drop(chunk);
    assert_eq!(seen(), (4, 4, 5));
}

#[test]
fn a_deque_by_weight_does_not_overtake_who_waits_behind_its_first_item() {
    let (tx, mut rx) = bounded_by(4, |item: &usize| *item);
    tx.try_send(4).expect("it is empty");
    let mut light = VecDeque::from([1, 1]);
    let (mut light, mut heavy) = (Box::pin(tx.send_all(&mut light)), Box::pin(tx.send(4)));
    assert!(poll(light.as_mut()).is_pending() && poll(heavy.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Ok(4));
    assert!(poll(light.as_mut()).is_pending(), "the second item waits behind the heavy one");
    assert_eq!((rx.try_recv(), poll(heavy.as_mut())), (Ok(1), Poll::Ready(Ok(()))));
    assert_eq!((rx.try_recv(), poll(light.as_mut())), (Ok(4), Poll::Ready(Ok(()))));
    assert_eq!(rx.try_recv(), Ok(1));
}

/// What was read and not yet yielded was lost with the reader.
#[test]
fn a_prefetch_that_is_dropped_puts_back_what_it_has_not_yielded() {
    for by_weight in [false, true] {
        let (tx, rx) = if by_weight { bounded_by(6, |_: &u8| 2) } else { bounded(3) };
        let mut other = rx.clone();
        assert!(poll(pin!(tx.send_all(&mut (0..3).collect()))).is_ready());
        let full = tx.load();
        let mut stream = rx.into_prefetch(2);
        assert_eq!(Pin::new(&mut stream).poll_next(&mut noop()), Poll::Ready(Some(0)));
        assert!(tx.load() < full);
        drop(stream);
        let all: Vec<_> = std::iter::from_fn(|| other.try_recv().ok()).collect();
        assert_eq!((all, tx.load()), (vec![1, 2], 0));
    }
}

/// Items lay where nobody would look again.
#[test]
fn items_in_a_prefetch_are_dropped_with_the_last_receiver() {
    let (tx, rx) = bounded_by(3, |_: &Arc<()>| 1);
    let item = Arc::new(());
    assert!(poll(pin!(tx.send_all(&mut vec![Arc::clone(&item); 3].into()))).is_ready());
    let mut stream = rx.into_prefetch(64);
    assert!(Pin::new(&mut stream).poll_next(&mut noop()).is_ready());
    drop(stream);
    assert_eq!((Arc::strong_count(&item), tx.load()), (1, 0));
}

#[test]
fn a_feeder_holds_room_only_until_it_is_flushed() {
    let (tx, mut rx) = bounded(4);
    let mut feeder = tx.clone().into_feeder(3);
    let mut feed = Pin::new(&mut feeder);
    assert_eq!(feed.as_mut().poll_ready(&mut noop()), Poll::Ready(Ok(())));
    feed.as_mut().start_send(1).expect("it is ready");
    assert_eq!((tx.load(), rx.len()), (3, 0));
    assert!(tx.try_send(9).is_ok() && tx.try_send(9).is_err(), "one place is not reserved");
    assert_eq!(feed.poll_flush(&mut noop()), Poll::Ready(Ok(())));
    assert_eq!((tx.load(), rx.try_recv(), rx.try_recv()), (2, Ok(9), Ok(1)));
}

#[test]
fn a_feeder_that_is_dropped_sends_what_it_has() {
    for capacity in [1, 2, 3] {
        let (tx, mut rx) = bounded(capacity);
        let mut feeder = tx.into_feeder(64);
        let mut feed = Pin::new(&mut feeder);
        let mut fed = 0;
        while feed.as_mut().poll_ready(&mut noop()).is_ready() {
            feed.as_mut().start_send(fed).expect("it is ready");
            fed += 1;
        }
        assert_eq!(fed, capacity);
        drop(feeder);
        let all: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
        assert!(all.into_iter().eq(0..capacity));
        assert_eq!((rx.load(), rx.try_recv()), (0, Err(TryRecvError::Closed)));
    }
}

#[tokio::test]
async fn forward_holds_nothing_back_when_its_source_pauses() {
    let (tx, mut rx) = bounded(100);
    let source = futures::stream::iter(0..3).map(Ok).chain(futures::stream::pending());
    let mut forward = Box::pin(source.forward(tx.into_feeder(64)));
    assert!(poll(forward.as_mut()).is_pending());
    assert_eq!((rx.len(), rx.load(), rx.recv().await), (3, 3, Some(0)));
}

/// Downstream had gone, and upstream saw only "closed".
#[tokio::test]
async fn a_feeder_of_a_closed_channel_hands_back_what_it_gathered() {
    let (tx, rx) = bounded(4);
    let mut feeder = tx.into_feeder(4);
    feeder.feed(1).await.expect("it is open");
    feeder.feed(2).await.expect("it is open");
    drop(rx);
    assert_eq!(feeder.flush().await, Err(Closed));
    assert_eq!(feeder.unsent(), [1, 2]);
    assert_eq!(feeder.close().await, Ok(()));
}

#[tokio::test]
async fn closing_a_feeder_ends_the_channel_while_the_feeder_is_still_there() {
    let (tx, mut rx) = bounded(4);
    let mut feeder = tx.into_feeder(4);
    feeder.feed(1).await.expect("it is open");
    feeder.close().await.expect("it is open");
    assert_eq!((rx.recv().await, rx.recv().await), (Some(1), None));
    assert_eq!(feeder.close().await, Ok(()));
    assert_eq!(feeder.feed(2).await, Err(Closed));
}

#[tokio::test]
async fn a_feeder_by_weight_waits_for_the_room_of_each_item() {
    let (tx, mut rx) = bounded_by(10, |weight: &usize| *weight);
    let mut feeder = tx.clone().into_feeder(64);
    feeder.send(6).await.expect("it is open");
    feeder.feed(5).await.expect("it is open");
    assert!(poll(pin!(feeder.flush())).is_pending());
    assert_eq!((tx.load(), rx.recv().await), (6, Some(6)));
    assert_eq!(tx.try_send(6), Err(TrySendError::Full(6)), "it is promised to the feeder");
    drop(feeder);
    assert_eq!((tx.load(), rx.recv().await), (5, Some(5)));
}

#[tokio::test]
async fn a_feeder_whose_item_was_taken_back_does_not_use_the_room_of_it_for_a_heavier_one() {
    let (tx, mut rx) = bounded_by(10, |weight: &usize| *weight);
    let mut feeder = tx.clone().into_feeder(1);
    feeder.send(6).await.expect("it is open");
    feeder.feed(5).await.expect("it is open");
    assert!(poll(pin!(feeder.flush())).is_pending());
    assert_eq!(feeder.unsent(), [5]);
    feeder.feed(9).await.expect("it is open");
    tx.try_send(4).expect("nobody waits");
    assert_eq!(rx.recv().await, Some(6));
    assert!(poll(pin!(feeder.flush())).is_pending());
    assert_eq!((tx.load(), rx.recv().await), (4, Some(4)));
    assert_eq!(feeder.flush().await, Ok(()));
}

#[test]
#[should_panic(expected = "start_send before poll_ready")]
fn feeding_without_room_panics() {
    let (tx, _rx) = bounded(1);
    let mut feeder = tx.into_feeder(1);
    let _ = Pin::new(&mut feeder).start_send(1);
}

#[test]
fn chunks_are_numbered_in_the_order_of_the_channel_whoever_takes_them() {
    let (tx, mut one) = bounded(10);
    let mut two = one.clone();
    assert!(poll(pin!(tx.send_all(&mut (0..10_u64).collect()))).is_ready());
    let number = |rx: &mut Receiver<u64>, max| {
        let mut items = VecDeque::new();
        match poll(pin!(rx.recv_chunk(&mut items, max))) {
            Poll::Ready(Some(chunk)) => {
                let first = chunk.first();
                assert!(chunk.eq(first..(first + max as u64).min(10)));
                first
            }
            _ => panic!("there are items"),
        }
    };
    assert_eq!([number(&mut one, 3), number(&mut two, 2), number(&mut one, 64)], [0, 3, 5]);
}
