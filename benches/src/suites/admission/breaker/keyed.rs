//! One breaker per key: time and memory.

use super::{TEN, ours, peers};
use crate::{
    bench::{Bench, Group},
    calls::finished,
    memory,
    on::ONE,
    rounds::{Expect, Subject, admitted},
    row::Unit,
    sequence::{Draw, Walk, draw, key},
};
use anyhow::Result;
use plimsoll_core::Admit;
use plimsoll_keyed::PerKeyExt;
use recloser::Recloser;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

const MILLION: usize = 1_000_000;
/// The keys of a round and some.
const ASKED: usize = 1 << 20;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    if bench.wants(TIME) {
        bench.run(closed())?;
    }
    bytes(bench)
}

const TIME: &str = "breaker keyed, 10^6 keys, closed";
const BYTES: &str = "bytes per breaker at 10^6 keys";
const MAP: &str = "recloser, 10 calls, in a locked map";

/// Keys by Zipf's law, each of which was asked for once before.
fn closed() -> Group {
    let asked = draw(Draw::Zipf, MILLION as u64, ASKED);
    let group = Group::new(Expect::Admitted).lengthened(10);
    group.ours(ask(&asked, TIME, ours()), &[]).peer(ask(&asked, MAP, Map::default()))
}

/// A table in which breakers are found by key.
trait Table: Send + Sync + 'static {
    fn call(&self, key: u64) -> bool;
}

struct Ours<G>(G);

impl<G: Admit<u64> + 'static> Table for Ours<G> {
    fn call(&self, key: u64) -> bool {
        finished(&self.0, &key)
    }
}

fn ours() -> Ours<impl Admit<u64>> {
    Ours(ours::time(TEN)().keyed(|key: &u64| *key).max_keys(MILLION))
}

/// What a service would put recloser in; each takes as few calls as can be judged
/// by, because a ring has a byte for each.
#[derive(Default)]
struct Map(RwLock<HashMap<u64, Arc<Recloser>>>);

impl Map {
    fn of(&self, key: u64) -> Arc<Recloser> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            all.entry(key).or_insert_with(|| Arc::new(peers::recloser_of(10))).clone()
        })
    }
}

impl Table for Map {
    fn call(&self, key: u64) -> bool {
        admitted(self.of(key).call(|| Ok::<_, ()>(())))
    }
}

fn ask(asked: &Arc<[u64]>, name: &str, table: impl Table) -> Subject {
    for rank in 0..MILLION as u64 {
        table.call(key(rank));
    }
    let table = Arc::new(table);
    Subject::per_thread(name, |thread| {
        let (table, mut walk) = (table.clone(), Walk::new(asked, thread));
        move || table.call(walk.next())
    })
}

/// For the report: there is no target.
fn bytes(bench: &mut Bench) -> Result<()> {
    if !bench.wants(BYTES) || !memory::tells_resident() {
        return Ok(());
    }
    let ours = memory::in_children("admission", BYTES)?;
    let peer = [(MAP, memory::in_children("admission", MAP)?)];
    bench.compare(BYTES, ONE, Unit::Bytes, ours, peer.into_iter(), &[]);
    Ok(())
}

/// The memory of one subject with a million keys.
pub(in super::super) fn child(subject: &str) -> Result<Option<f64>> {
    let bytes = match subject {
        BYTES => memory::per_key(MILLION, ours, |table, key| assert!(table.call(key))),
        MAP => memory::per_key(MILLION, Map::default, |table, key| assert!(table.call(key))),
        _ => return Ok(None),
    };
    bytes.map(Some)
}
