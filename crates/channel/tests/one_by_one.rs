//! `send` and `recv`, one item at a time.

use futures::StreamExt;
use plimsoll_channel::{
    Builder, Closed, SendError, TryRecvError, TrySendError, bounded, bounded_by,
};
use plimsoll_core::{Clock, Load, ManualClock};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

mod support;
use support::poll;

#[test]
fn items_come_out_in_the_order_they_went_in() {
    let (tx, mut rx) = bounded(3);
    for n in 0..3 {
        tx.try_send(n).expect("there is room");
    }
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
    drop(tx);
    let all: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
    assert_eq!((all, rx.try_recv()), (vec![0, 1, 2], Err(TryRecvError::Closed)));
}

#[test]
fn when_send_returns_the_item_is_in_the_channel() {
    let (tx, mut rx) = bounded(1);
    assert_eq!(poll(pin!(tx.send(1))), Poll::Ready(Ok(())));
    assert_eq!((rx.len(), rx.try_recv()), (1, Ok(1)));
}

#[test]
fn those_who_wait_to_send_go_in_the_order_they_came() {
    let (tx, mut rx) = bounded(1);
    tx.try_send(0).expect("it is empty");
    let (mut a, mut b) = (Box::pin(tx.send(1)), Box::pin(tx.send(2)));
    assert!(poll(a.as_mut()).is_pending() && poll(b.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Ok(0));
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)), "the room is promised to the first");
    assert!(poll(b.as_mut()).is_pending(), "the second overtook the first");
    assert_eq!(poll(a.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(poll(b.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn those_who_wait_to_receive_go_in_the_order_they_came() {
    let (tx, mut a) = bounded(4);
    let (mut b, mut late) = (a.clone(), a.clone());
    let (mut a, mut b) = (Box::pin(a.recv()), Box::pin(b.recv()));
    assert!(poll(a.as_mut()).is_pending() && poll(b.as_mut()).is_pending());
    tx.try_send(1).expect("there is room");
    assert_eq!(late.try_recv(), Err(TryRecvError::Empty), "the item is promised to the first");
    assert!(poll(b.as_mut()).is_pending());
    tx.try_send(2).expect("there is room");
    tx.try_send(3).expect("there is room");
    assert_eq!(late.try_recv(), Ok(1), "three for two who wait");
    assert!(poll(a.as_mut()).is_ready() && poll(b.as_mut()).is_ready());
}

#[test]
fn a_send_dropped_when_it_was_told_lets_the_next_go() {
    let (tx, mut rx) = bounded(1);
    tx.try_send(0).expect("it is empty");
    let (mut gone, mut next) = (Box::pin(tx.send(1)), Box::pin(tx.send(2)));
    assert!(poll(gone.as_mut()).is_pending() && poll(next.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Ok(0));
    drop(gone);
    assert_eq!(poll(next.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(rx.try_recv(), Ok(2));
}

#[test]
fn a_recv_dropped_when_it_was_told_lets_the_next_go() {
    let (tx, mut a) = bounded(1);
    let mut b = a.clone();
    let (mut gone, mut next) = (Box::pin(a.recv()), Box::pin(b.recv()));
    assert!(poll(gone.as_mut()).is_pending() && poll(next.as_mut()).is_pending());
    tx.try_send(1).expect("it is empty");
    drop(gone);
    assert_eq!(poll(next.as_mut()), Poll::Ready(Some(1)));
}

/// A send to a full channel whose other end had gone blocked
/// for ever.
#[test]
fn closed_wins_over_full() {
    let (tx, rx) = bounded(1);
    tx.try_send(0).expect("it is empty");
    let mut waits = Box::pin(tx.send(1));
    assert!(poll(waits.as_mut()).is_pending());
    rx.close();
    assert_eq!(poll(waits.as_mut()), Poll::Ready(Err(SendError(1))));
    assert_eq!(tx.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(tx.blocking_send(3), Err(SendError(3)));
}

#[test]
fn closed_wins_over_room_that_was_promised() {
    let (tx, mut rx) = bounded(1);
    tx.try_send(0).expect("it is empty");
    let mut told = Box::pin(tx.send(1));
    assert!(poll(told.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Ok(0));
    tx.close();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(poll(told.as_mut()), Poll::Ready(Err(SendError(1))), "it came after the end");
}

/// The worker had died, and other clones kept the channel open.
#[test]
fn a_channel_is_open_while_a_sender_is_left_and_no_longer() {
    let (tx, mut rx) = bounded::<u8>(1);
    let last = tx.clone();
    drop(tx);
    let mut waits = Box::pin(rx.recv());
    assert!(poll(waits.as_mut()).is_pending());
    drop(last);
    assert_eq!(poll(waits.as_mut()), Poll::Ready(None));
}

#[test]
fn what_is_inside_when_it_closes_can_be_received() {
    let (tx, mut rx) = bounded(2);
    tx.try_send(1).expect("it is empty");
    tx.close();
    assert!(rx.is_closed());
    assert_eq!((rx.blocking_recv(), rx.blocking_recv()), (Some(1), None));
}

/// Items nobody would ever receive kept what they held, so
/// that whoever waited for an answer waited for ever.
#[test]
fn items_left_are_dropped_when_the_last_receiver_goes() {
    let (tx, rx) = bounded(2);
    let item = Arc::new(());
    tx.try_send(Arc::clone(&item)).expect("it is empty");
    let other = rx.clone();
    drop(rx);
    assert_eq!(Arc::strong_count(&item), 2, "a receiver is left");
    drop(other);
    assert_eq!(Arc::strong_count(&item), 1, "the sender alone keeps nothing alive");
    assert_eq!((tx.load(), tx.is_closed()), (0, true));
}

#[test]
fn an_item_that_holds_an_end_of_its_own_channel_can_be_dropped_with_it() {
    struct Item(#[expect(dead_code, reason = "dropped")] plimsoll_channel::Sender<Item>);
    let (tx, rx) = bounded(2);
    assert!(tx.try_send(Item(tx.clone())).is_ok());
    drop(rx);
}

/// The last waker of a task may drop the task, and with it an end of the channel.
#[test]
fn a_waker_may_drop_an_end_of_the_channel_that_it_waits_for() {
    struct Task(#[expect(dead_code, reason = "dropped")] Mutex<plimsoll_channel::Sender<u8>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (tx, mut rx) = bounded(1);
    let waker = Waker::from(Arc::new(Task(Mutex::new(tx.clone()))));
    let mut recv = Box::pin(rx.recv());
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert!(poll(recv.as_mut()).is_pending(), "another waker took its place");
    drop(recv);
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed), "and its sender has gone with it");
}

#[test]
fn a_poll_with_another_waker_wakes_that_one() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (tx, mut rx) = bounded(1);
    let [old, new] = [0, 0].map(|n| Arc::new(Count(AtomicUsize::new(n))));
    let mut recv = Box::pin(rx.recv());
    for count in [&old, &new] {
        let waker = Waker::from(Arc::clone(count));
        assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    tx.try_send(1).expect("it is empty");
    assert_eq!((old.0.load(Ordering::Relaxed), new.0.load(Ordering::Relaxed)), (0, 1));
}

/// A stream that was polled stands in line; `recv` on the same receiver must not
/// wait behind it.
#[tokio::test]
async fn a_recv_goes_on_where_the_stream_of_the_same_receiver_stood() {
    use futures::Stream;
    let (tx, mut rx) = bounded(1);
    poll_fn(|cx| {
        assert!(Pin::new(&mut rx).poll_next(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    tx.send(1).await.expect("a receiver is left");
    assert_eq!(rx.try_recv(), Ok(1));
    poll_fn(|cx| {
        assert!(Pin::new(&mut rx).poll_next(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    tx.send(2).await.expect("a receiver is left");
    assert_eq!(rx.recv().await, Some(2));
}

#[test]
fn an_item_heavier_than_the_bound_passes_alone() {
    let (tx, mut rx) = bounded_by(10, |weight: &usize| *weight);
    tx.try_send(4).expect("it is empty");
    let (mut heavy, mut light) = (Box::pin(tx.send(50)), Box::pin(tx.send(1)));
    assert!(poll(heavy.as_mut()).is_pending());
    assert!(poll(light.as_mut()).is_pending(), "a light one does not overtake a heavy one");
    assert_eq!(rx.try_recv(), Ok(4));
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)), "the room is promised to the heavy one");
    assert_eq!(poll(heavy.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(light.as_mut()).is_pending());
    assert_eq!((tx.load(), rx.try_recv()), (50, Ok(50)));
    assert_eq!(poll(light.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn a_heavy_send_that_goes_away_lets_the_light_one_behind_it_pass() {
    let (tx, _rx) = bounded_by(10, |weight: &usize| *weight);
    tx.try_send(4).expect("it is empty");
    let (mut heavy, mut light) = (Box::pin(tx.send(8)), Box::pin(tx.send(6)));
    assert!(poll(heavy.as_mut()).is_pending() && poll(light.as_mut()).is_pending());
    drop(heavy);
    assert_eq!(poll(light.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(tx.load(), 10);
}

#[test]
fn an_item_without_weight_takes_room_all_the_same() {
    let (tx, _rx) = bounded_by(2, |_: &u8| 0);
    assert!(tx.try_send(1).is_ok() && tx.try_send(2).is_ok());
    assert_eq!(tx.try_send(3), Err(TrySendError::Full(3)));
}

#[test]
fn weights_without_end_do_not_run_over() {
    let (tx, mut rx) = bounded_by(usize::MAX, |weight: &usize| *weight);
    tx.try_send(usize::MAX).expect("it is empty");
    assert!(matches!(tx.try_send(1), Err(TrySendError::Full(1))));
    assert_eq!(rx.try_recv(), Ok(usize::MAX));
    tx.try_send(1).expect("it is empty");
    assert!(matches!(tx.try_send(usize::MAX), Err(TrySendError::Full(_))));
}

/// A bound of 0 hung for ever.
#[test]
fn a_capacity_of_zero_is_an_error_that_says_the_rule() {
    let error = plimsoll_channel::try_bounded::<u8>(0).expect_err("nothing could pass");
    assert_eq!(error.to_string(), "capacity must be at least 1, but is 0");
    assert!(plimsoll_channel::try_bounded_by(0, |_: &u8| 1).is_err());
}

#[test]
#[should_panic(expected = "capacity must be at least 1, but is 0")]
fn a_literal_capacity_of_zero_panics() {
    let _ = bounded::<u8>(0);
}

#[test]
fn threads_can_wait_at_both_ends() {
    let (tx, mut rx) = bounded(1);
    let sender = std::thread::spawn(move || {
        (0..1_000).try_for_each(|n| tx.blocking_send(n)).map_err(|SendError(n)| n)
    });
    let all: Vec<u32> = std::iter::from_fn(|| rx.blocking_recv()).collect();
    assert!(all.into_iter().eq(0..1_000));
    assert_eq!(sender.join().expect("it does not panic"), Ok(()));
}

#[test]
fn time_spent_waiting_is_counted_on_the_side_that_waits() {
    let clock = ManualClock::new();
    let (tx, mut rx) = Builder::new(1).clock(clock.clone()).build().expect("the capacity is not 0");
    let second = Duration::from_secs(1);
    let mut recv = Box::pin(rx.recv());
    assert!(poll(recv.as_mut()).is_pending());
    clock.advance(second);
    tx.try_send(0).expect("it is empty");
    assert_eq!(poll(recv.as_mut()), Poll::Ready(Some(0)));
    drop(recv);

    tx.try_send(1).expect("it is empty");
    let (mut a, mut b) = (Box::pin(tx.send(2)), Box::pin(tx.send(3)));
    assert!(poll(a.as_mut()).is_pending() && poll(b.as_mut()).is_pending());
    clock.advance(second);
    let stats = tx.stats();
    assert_eq!((stats.sends_waiting, stats.recvs_waiting), (2, 0));
    assert_eq!((stats.send_blocked, stats.recv_blocked), (second * 2, second));
    drop((a, b));
    clock.advance(second);
    assert_eq!(rx.stats().send_blocked, second * 2, "nobody waits any more");
}

#[test]
fn no_wait_is_counted_twice_when_the_clock_steps_back() {
    let clock = ManualClock::new();
    let (tx, _rx) = Builder::new(1).clock(clock.clone()).build().expect("the capacity is not 0");
    let (start, second) = (clock.now(), Duration::from_secs(1));
    tx.try_send(0).expect("it is empty");
    let (mut a, mut b) = (Box::pin(tx.send(1)), Box::pin(tx.send(2)));
    assert!(poll(a.as_mut()).is_pending());
    clock.advance(second);
    drop(a);
    clock.set(start);
    assert!(poll(b.as_mut()).is_pending());
    clock.advance(second);
    assert_eq!(tx.stats().send_blocked, second, "this second has been counted");
}

#[tokio::test(start_paused = true)]
async fn items_that_a_stream_puts_back_wake_who_waits_for_them() {
    let (tx, rx) = bounded(2);
    let mut other = rx.clone();
    tx.send_all(&mut [0, 1].into()).await.expect("it is open");
    let mut stream = rx.into_prefetch(2);
    assert_eq!(stream.next().await, Some(0));
    let waits = tokio::spawn(async move { other.recv().await });
    tokio::task::yield_now().await;
    drop(stream);
    let got = tokio::time::timeout(Duration::from_secs(1), waits).await.expect("it was not told");
    assert_eq!(got.expect("it does not panic"), Some(1));
}

#[test]
fn an_untimed_channel_reads_no_clock() {
    let (tx, _rx) = Builder::new(1).untimed().build().expect("the capacity is not 0");
    tx.try_send(0).expect("it is empty");
    let mut waits = Box::pin(tx.send(1));
    assert!(poll(waits.as_mut()).is_pending());
    let stats = tx.stats();
    assert_eq!((stats.sends_waiting, stats.send_blocked), (1, Duration::ZERO));
}

#[test]
fn the_load_can_be_read_at_both_ends_and_by_a_handle() {
    let (tx, mut rx) = bounded(5);
    let handle = tx.load_handle();
    for n in 0..3 {
        tx.try_send(n).expect("there is room");
    }
    assert_eq!((tx.load(), rx.load(), handle.load()), (3, 3, 3));
    assert_eq!((tx.capacity(), handle.capacity()), (Some(5), Some(5)));
    while rx.try_recv().is_ok() {}
    assert_eq!((handle.load(), rx.stats().high_water), (0, 3));
    drop(tx);
    assert!(rx.is_closed(), "a handle keeps no channel open");
}

#[test]
fn errors_say_what_is_wrong_and_keep_the_item_to_themselves() {
    let (tx, rx) = bounded(1);
    tx.try_send("secret").expect("it is empty");
    let full = tx.try_send("secret").expect_err("it is full");
    assert_eq!((full.to_string(), format!("{full:?}")), text("the channel is full", "Full(..)"));
    drop(rx);
    let closed = tx.try_send("secret").expect_err("it is closed");
    assert_eq!(
        (closed.to_string(), format!("{closed:?}")),
        text("the channel is closed", "Closed(..)")
    );
    let closed = SendError(closed.into_inner());
    assert_eq!(
        (closed.to_string(), format!("{closed:?}")),
        text("the channel is closed", "SendError(..)")
    );
    assert_eq!(Closed.to_string(), "the channel is closed");
    assert_eq!(TryRecvError::Empty.to_string(), "the channel is empty");
    assert_eq!(TryRecvError::Closed.to_string(), "the channel is closed and empty");
}

fn text(display: &str, debug: &str) -> (String, String) {
    (display.to_owned(), debug.to_owned())
}
