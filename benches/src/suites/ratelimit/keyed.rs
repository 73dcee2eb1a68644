//! One bucket per key: time, growth with the number of keys, and memory.

use super::peers::change;
use crate::{
    bench::{Bench, Group},
    calls::finished,
    memory,
    on::{ONE, On, TWO},
    rounds::{Expect, Subject, admitted},
    row::{AtMost, Unit},
    sequence::{Draw, Walk, draw, key},
};
use anyhow::Result;
use governor::{Quota, RateLimiter, state::keyed::DashMapStateStore};
use plimsoll_core::{Admit, DefaultClock};
use plimsoll_keyed::PerKeyExt;
use plimsoll_ratelimit::TokenBucket;
use std::{
    hash::{BuildHasher, Hash},
    hint::black_box,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use Limit::{Ample, Single};

const MILLION: usize = 1_000_000;
/// The keys of a round and some: a round sees no key order twice.
const ASKED: usize = 1 << 20;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    for (how, name) in
        [(Draw::Zipf, "token bucket keyed"), (Draw::Uniform, "token bucket keyed uniform")]
    {
        let keys = Keys::drawn(MILLION, how);
        bench.run(allowed(&keys, name, true).peer(keys.pingora()))?;
    }
    bench.run(refused())?;
    growth(bench)?;
    bytes(bench)
}

/// Governor's default.
type Sip = std::hash::RandomState;

/// What every key may do.
#[derive(Clone, Copy)]
enum Limit {
    /// So many at once that no key is refused, and one more per second, so that a
    /// key is asked for while it has not earned the last one back, as a busy
    /// client's is.
    Ample,
    /// One, and the next an hour later.
    Single,
}

/// More than a whole run asks of one key.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(99_999_999);

impl Limit {
    fn governor(self) -> Quota {
        match self {
            Self::Ample => Quota::per_second(NonZeroU32::MIN).allow_burst(BURST),
            Self::Single => Quota::per_hour(NonZeroU32::MIN),
        }
    }

    fn ours(self) -> TokenBucket {
        match self {
            Self::Ample => TokenBucket::per_second(1).burst(BURST.get()),
            Self::Single => TokenBucket::per_hour(1),
        }
    }
}

type Dashmap<K, S> = RateLimiter<
    K,
    DashMapStateStore<K, S>,
    governor::clock::DefaultClock,
    governor::middleware::NoOpMiddleware<governor::clock::QuantaInstant>,
>;

fn dashmap<K, S>(limit: Limit) -> Dashmap<K, S>
where
    K: Hash + Eq + Clone,
    S: BuildHasher + Default + Clone,
{
    RateLimiter::dashmap_with_hasher(limit.governor(), S::default())
}

/// Keys, and the order in which they are asked for.
#[derive(Clone)]
struct Keys {
    many: usize,
    asked: Arc<[u64]>,
}

impl Keys {
    fn drawn(many: usize, how: Draw) -> Self {
        Self { many, asked: draw(how, many as u64, ASKED) }
    }

    /// A table in which every key has had its first token.
    fn ask<T: Send + Sync + 'static>(
        &self,
        name: &str,
        table: T,
        op: impl Fn(&T, &u64) -> bool + Copy + Send + 'static,
    ) -> Subject {
        for rank in 0..self.many as u64 {
            op(&table, &key(rank));
        }
        let table = Arc::new(table);
        Subject::per_thread(name, |thread| {
            let (table, mut walk) = (table.clone(), Walk::new(&self.asked, thread));
            move || op(&table, &walk.next())
        })
    }

    fn governor<S>(&self, name: &str, limit: Limit) -> Subject
    where
        S: BuildHasher + Default + Clone + Send + Sync + 'static,
    {
        let table = dashmap::<u64, S>(limit);
        self.ask(name, table, |table, key| admitted(table.check_key(key)))
    }

    fn ours(&self, name: &str, limit: Limit) -> Subject {
        let table = limit.ours().keyed(|key: &u64| *key).max_keys(self.many);
        self.ask(name, table, |table, key| finished(table, key))
    }

    /// The least that a table of as many bytes as ours can cost: a word in it for
    /// each key, found without a hash and without a look at whose it is.
    fn least(&self) -> Subject {
        let words = self.many * 20 / 8;
        let words: Box<[_]> = (0..words).map(|_| AtomicU64::new(0)).collect();
        let table = (DefaultClock::new(), words);
        self.ask("clock and CAS on a random slot", table, |(clock, words), key| {
            // The keys are spread evenly, so a part of one, scaled, is a place.
            let place = ((key >> 32) * words.len() as u64) >> 32;
            change(clock, &words[place as usize])
        })
    }

    fn pingora(&self) -> Subject {
        let rate = pingora_limits::rate::Rate::new(Duration::from_secs(1));
        self.ask("pingora-limits (counts only)", rate, |rate, key| {
            black_box(rate.observe(key, 1)) >= 0
        })
    }
}

/// Ours beside governor's, each with so many keys.
fn allowed(keys: &Keys, name: &str, judged: bool) -> Group {
    let targets = [ONE, TWO].map(|threads| (threads, AtMost::times(0.7, "governor dashmap")));
    let targets = if judged { &targets[..] } else { &[] };
    beside_governor(Group::new(Expect::Admitted), keys, name, targets, Ample)
}

fn refused() -> Group {
    let group = Group::new(Expect::Refused);
    beside_governor(
        group,
        &Keys::drawn(MILLION, Draw::Zipf),
        "token bucket keyed refused",
        &[],
        Single,
    )
}

fn beside_governor(
    group: Group,
    keys: &Keys,
    name: &str,
    targets: &[(On, AtMost)],
    limit: Limit,
) -> Group {
    // With governor's default hasher, and with the one that ours has.
    group
        .lengthened(10)
        .ours(keys.ours(name, limit), targets)
        .peer(keys.governor::<Sip>("governor dashmap", limit))
        .peer(keys.governor::<foldhash::quality::RandomState>("governor dashmap, foldhash", limit))
}

/// The same at every size. Only cache misses may grow.
fn growth(bench: &mut Bench) -> Result<()> {
    let mut sizes = vec![(1_000, "10^3"), (10_000, "10^4"), (100_000, "10^5"), (MILLION, "10^6")];
    if !bench.quick() {
        if memory::available().is_none_or(|bytes| bytes >= 4 << 30) {
            sizes.push((10 * MILLION, "10^7"));
        } else {
            bench.note("10^7 keys were left out: they need 4 GiB of free memory.");
        }
    }
    let mut first = None;
    for (i, &(keys, power)) in sizes.iter().enumerate() {
        let keys = Keys::drawn(keys, Draw::Uniform);
        let group = allowed(&keys, &format!("token bucket keyed uniform, {power} keys"), false);
        let ours = bench.run(group.peer(keys.least()).only_on(&[ONE]))?;
        let Some(&ours) = ours.first() else { continue };
        let (least, smallest) = *first.get_or_insert((ours, power));
        if i + 1 == sizes.len() {
            let name = format!("token bucket keyed growth, {power} keys");
            let itself = format!("itself at {smallest} keys");
            let target = AtMost::times(3.0, &itself);
            let peer = [(itself.as_str(), least)];
            bench.compare(&name, ONE, Unit::Nanoseconds, ours, peer.into_iter(), &[target]);
        }
    }
    Ok(())
}

fn bytes(bench: &mut Bench) -> Result<()> {
    if !memory::tells_resident() {
        bench.note("Bytes per key were left out: this system has no /proc/self/status.");
        return Ok(());
    }
    let cases: [(_, &[_]); 2] = [
        ("bytes per key at 10^6 keys", &["governor dashmap", "moka"]),
        ("bytes per key at 10^6 keys, strings", &["governor dashmap, strings"]),
    ];
    for (case, peers) in cases {
        if !bench.wants(case) {
            continue;
        }
        let ours = memory::in_children("ratelimit", case)?;
        let mut measured = Vec::new();
        for &peer in peers {
            measured.push((peer, memory::in_children("ratelimit", peer)?));
        }
        let target = AtMost::exactly(32.0);
        bench.compare(case, ONE, Unit::Bytes, ours, measured.into_iter(), &[target]);
    }
    Ok(())
}

/// As a client's name may look.
fn text(key: u64) -> String {
    format!("client-{key:016x}")
}

/// The memory of one subject with a million keys.
pub(super) fn child(subject: &str) -> Result<Option<f64>> {
    let bytes = match subject {
        "bytes per key at 10^6 keys" => memory::per_key(
            MILLION,
            || Ample.ours().keyed(|key: &u64| *key).max_keys(MILLION),
            |table, key| assert!(table.try_enter(&key).is_ok()),
        ),
        "bytes per key at 10^6 keys, strings" => memory::per_key(
            MILLION,
            || Ample.ours().keyed_ref(|name: &str| name).max_keys(MILLION),
            |table, key| assert!(table.try_enter(&*text(key)).is_ok()),
        ),
        "governor dashmap" => memory::per_key(
            MILLION,
            || dashmap::<u64, Sip>(Ample),
            |table, key| assert!(table.check_key(&key).is_ok()),
        ),
        "governor dashmap, strings" => memory::per_key(
            MILLION,
            || dashmap::<String, Sip>(Ample),
            |table, key| assert!(table.check_key(&text(key)).is_ok()),
        ),
        // A cache of counters, as limits per client are often built.
        "moka" => memory::per_key(
            MILLION,
            || {
                moka::sync::Cache::builder()
                    .max_capacity(2 * MILLION as u64)
                    .time_to_idle(Duration::from_secs(3600))
                    .build()
            },
            |cache, key| {
                let word: Arc<AtomicU64> = cache.get_with(key, Arc::default);
                word.fetch_add(1, Ordering::Relaxed);
            },
        ),
        _ => return Ok(None),
    };
    bytes.map(Some)
}
