//! Whatever is done at either end, in whatever order: nothing is lost, doubled
//! or overtaken, and the bound holds. 256 cases each.

use futures::{SinkExt, StreamExt};
use plimsoll_channel::{Receiver, Sender, bounded, bounded_by};
use plimsoll_core::Load;
use proptest::{collection::vec, prelude::*};
use std::{
    collections::{BTreeSet, VecDeque},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    task::{JoinSet, yield_now},
    time::{sleep, timeout},
};

mod support;
use support::poll;

/// Who sent it, and as which of theirs.
type Name = (usize, usize);

struct Item {
    name: Name,
    weight: usize,
    /// Counts the items that are alive.
    _alive: Arc<()>,
}

#[derive(Clone, Copy, Debug)]
enum Send {
    One,
    Try,
    /// Polled once, and dropped some time later.
    GivenUp,
    All(usize),
    AllGivenUp(usize),
    Fed {
        batch: usize,
        n: usize,
    },
    Pause(u64),
}

#[derive(Clone, Copy, Debug)]
enum Recv {
    One,
    Try,
    /// Polled once, and dropped some time later.
    GivenUp,
    /// Up to `max`, of which some are yielded; the others stay in the deque.
    Chunk {
        max: usize,
        yields: usize,
    },
    /// A stream that yields some and is dropped. Sole receivers only.
    Prefetch {
        max: usize,
        yields: usize,
    },
    Pause(u64),
}

fn send() -> impl Strategy<Value = Send> {
    prop_oneof![
        3 => Just(Send::One),
        1 => Just(Send::Try),
        1 => Just(Send::GivenUp),
        2 => (1..9_usize).prop_map(Send::All),
        1 => (1..9_usize).prop_map(Send::AllGivenUp),
        2 => (1..6_usize, 0..9_usize).prop_map(|(batch, n)| Send::Fed { batch, n }),
        1 => (0..4_u64).prop_map(Send::Pause),
    ]
}

fn recv() -> impl Strategy<Value = Recv> {
    prop_oneof![
        2 => Just(Recv::One),
        1 => Just(Recv::Try),
        1 => Just(Recv::GivenUp),
        3 => (1..9_usize, 0..9_usize).prop_map(|(max, yields)| Recv::Chunk { max, yields }),
        1 => (1..9_usize, 1..9_usize).prop_map(|(max, yields)| Recv::Prefetch { max, yields }),
        1 => (0..4_u64).prop_map(Recv::Pause),
    ]
}

/// Polled once without success, it may be told before it is dropped.
async fn poll_and_give_up<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match poll(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => {
            for _ in 0..3 {
                yield_now().await;
            }
            None
        }
    }
}

struct Producer {
    number: usize,
    tx: Sender<Item>,
    by_weight: bool,
    alive: Arc<()>,
    made: usize,
}

impl Producer {
    fn make(&mut self) -> Item {
        let name = (self.number, self.made);
        self.made += 1;
        Item { name, weight: name.1 % 5, _alive: Arc::clone(&self.alive) }
    }

    /// Does what it is told, and returns what went into the channel.
    async fn run(mut self, ops: Vec<Send>) -> Vec<Name> {
        let mut sent = Vec::new();
        let tx = self.tx.clone();
        for op in ops {
            match op {
                Send::One => {
                    let item = self.make();
                    let name = item.name;
                    sent.extend(tx.send(item).await.is_ok().then_some(name));
                }
                Send::Try => {
                    let item = self.make();
                    let name = item.name;
                    sent.extend(tx.try_send(item).is_ok().then_some(name));
                }
                Send::GivenUp => {
                    let item = self.make();
                    let name = item.name;
                    let polled = poll_and_give_up(tx.send(item)).await;
                    sent.extend(matches!(polled, Some(Ok(()))).then_some(name));
                }
                Send::All(n) | Send::AllGivenUp(n) => {
                    let mut items: VecDeque<_> = (0..n).map(|_| self.make()).collect();
                    let names: Vec<_> = items.iter().map(|item| item.name).collect();
                    if let Send::All(_) = op {
                        let _ = tx.send_all(&mut items).await;
                    } else {
                        let _ = poll_and_give_up(tx.send_all(&mut items)).await;
                    }
                    sent.extend(&names[..n - items.len()]);
                }
                Send::Fed { batch, n } => {
                    let mut feeder = tx.clone().into_feeder(batch);
                    let mut names = Vec::new();
                    for _ in 0..n {
                        let item = self.make();
                        let name = item.name;
                        names.extend(feeder.feed(item).await.is_ok().then_some(name));
                    }
                    if self.by_weight || n % 2 == 0 {
                        let _ = feeder.flush().await;
                    }
                    if tx.is_closed() {
                        names.truncate(names.len() - feeder.unsent().len());
                    }
                    sent.extend(names);
                }
                Send::Pause(ms) => sleep(Duration::from_millis(ms)).await,
            }
        }
        sent
    }
}

async fn consume(mut rx: Receiver<Item>, ops: Vec<Recv>, sole: bool, most: usize) -> Vec<Name> {
    let mut got = Vec::new();
    let mut items = VecDeque::new();
    for op in ops.into_iter().chain([Recv::One]).cycle() {
        assert!(rx.load().max(rx.len()) <= most, "{rx:?}, at most {most}");
        if !matches!(op, Recv::Chunk { .. }) {
            got.extend(items.drain(..).map(|item: Item| item.name));
        }
        match op {
            Recv::One => match rx.recv().await {
                Some(item) => got.push(item.name),
                None => break,
            },
            Recv::Try => got.extend(rx.try_recv().map(|item| item.name)),
            Recv::GivenUp => {
                let item = poll_and_give_up(rx.recv()).await.flatten();
                got.extend(item.map(|item| item.name));
            }
            Recv::Chunk { max, yields } => {
                if let Some(chunk) = rx.recv_chunk(&mut items, max).await {
                    got.extend(chunk.take(yields).map(|item| item.name));
                }
            }
            Recv::Prefetch { max, yields } if sole => {
                let stream = rx.clone().into_prefetch(max);
                got.extend(stream.take(yields).map(|item| item.name).collect::<Vec<_>>().await);
            }
            Recv::Prefetch { .. } => {}
            Recv::Pause(ms) => sleep(Duration::from_millis(ms)).await,
        }
    }
    got
}

/// Runs all of them to their end, which a lost wake-up would prevent: nothing
/// would be left to do but the timeout.
async fn conserves(
    capacity: usize,
    by_weight: bool,
    sends: Vec<Vec<Send>>,
    recvs: Vec<Vec<Recv>>,
    close_after: Option<u64>,
) {
    const HEAVIEST: usize = 4;
    let (tx, rx) =
        if by_weight { bounded_by(capacity, |item: &Item| item.weight) } else { bounded(capacity) };
    let most = if by_weight { capacity.max(HEAVIEST) } else { capacity };
    let alive = Arc::new(());
    let (mut producers, mut consumers) = (JoinSet::new(), JoinSet::new());
    for (number, ops) in sends.into_iter().enumerate() {
        let (tx, alive) = (tx.clone(), Arc::clone(&alive));
        producers.spawn(Producer { number, tx, by_weight, alive, made: 0 }.run(ops));
    }
    let sole = recvs.len() == 1;
    for ops in recvs {
        consumers.spawn(consume(rx.clone(), ops, sole, most));
    }
    let load = tx.load_handle();
    drop(rx);
    if let Some(ms) = close_after {
        sleep(Duration::from_millis(ms)).await;
        tx.close();
    }
    drop(tx);
    let all = async { (producers.join_all().await, consumers.join_all().await) };
    let (sent, got) = timeout(Duration::from_secs(3600), all).await.expect("somebody still waits");

    for names in &got {
        for producer in 0..sent.len() {
            let of_one = names.iter().filter(|name| name.0 == producer);
            assert!(of_one.is_sorted(), "producer {producer}: {names:?}");
        }
    }
    let (sent, got): (Vec<_>, Vec<_>) = (sent.concat(), got.concat());
    assert_eq!(got.len(), sent.len());
    assert_eq!(BTreeSet::from_iter(got), BTreeSet::from_iter(sent));
    assert_eq!((load.load(), Arc::strong_count(&alive)), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_item_sent_is_received_once_in_order_and_within_the_bound(
        capacity in 1..7_usize,
        by_weight: bool,
        sends in vec(vec(send(), 0..12), 1..4),
        recvs in vec(vec(recv(), 0..6), 1..4),
        close_after in proptest::option::weighted(0.3, 0..6_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without drivers");
        runtime.block_on(conserves(capacity, by_weight, sends, recvs, close_after));
    }

    /// Nobody waits: exactly a `VecDeque` with a bound.
    #[test]
    fn without_waiters_it_is_a_bounded_queue(
        capacity in 1..7_usize,
        by_weight: bool,
        ops in vec((0..4_usize, 1..6_usize), 0..60),
    ) {
        let weight = if by_weight { |n: &usize| n % 4 } else { |_: &usize| 1 };
        let weigh = |n: &usize| weight(n).max(1);
        let (tx, mut rx) =
            if by_weight { bounded_by(capacity, weight) } else { bounded(capacity) };
        let (mut model, mut made) = (VecDeque::new(), 0);
        for (op, n) in ops {
            let taken: usize = model.iter().map(weigh).sum();
            let fits = |taken: usize, item: &usize| taken == 0 || taken + weigh(item) <= capacity;
            match op {
                0 => {
                    prop_assert_eq!(tx.try_send(made).is_ok(), fits(taken, &made));
                    model.extend(fits(taken, &made).then_some(made));
                    made += 1;
                }
                1 => prop_assert_eq!(rx.try_recv().ok(), model.pop_front()),
                2 => {
                    let mut items: VecDeque<_> = (made..made + n).collect();
                    made += n;
                    let mut left = items.clone();
                    let done = poll(pin!(tx.send_all(&mut items))).is_ready();
                    let mut taken = taken;
                    while left.front().is_some_and(|item| fits(taken, item)) {
                        taken += left.front().map_or(0, weigh);
                        model.extend(left.pop_front());
                    }
                    prop_assert_eq!((done, items), (left.is_empty(), left));
                }
                _ => {
                    let mut items = VecDeque::new();
                    let got = poll(pin!(rx.recv_chunk(&mut items, n)));
                    let got = got.map(|chunk| chunk.map(Vec::from_iter).unwrap_or_default());
                    let wanted: Vec<_> = model.drain(..n.min(model.len())).collect();
                    prop_assert_eq!(got.is_pending(), wanted.is_empty());
                    if let Poll::Ready(got) = got {
                        prop_assert_eq!(got, wanted);
                    }
                }
            }
            prop_assert_eq!((tx.load(), rx.len()), (model.iter().map(weigh).sum(), model.len()));
        }
    }
}

/// The same on two threads at once, without the time to think.
#[test]
fn threads_lose_and_double_nothing() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime without drivers");
    let sends = [Send::One, Send::All(7), Send::GivenUp, Send::Fed { batch: 4, n: 5 }, Send::Try];
    let recvs = [Recv::One, Recv::Chunk { max: 3, yields: 2 }, Recv::GivenUp];
    for (capacity, by_weight) in [(1, false), (3, false), (64, false), (5, true)] {
        let sends = vec![sends.repeat(400); 3];
        let recvs = vec![recvs.to_vec(); 2];
        runtime.block_on(conserves(capacity, by_weight, sends, recvs, None));
    }
}
