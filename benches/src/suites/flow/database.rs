//! Rows into SQLite, from a thousand callers, each with its own answer.

use super::both;
use crate::{
    bench::{Bench, Group},
    machine,
    on::On,
    rounds::Subject,
    row::AtMost,
};
use anyhow::{Context, Result};
use futures::future::join_all;
use plimsoll_batch::Batcher;
use rusqlite::{Connection, Transaction, params};
use std::{fs, sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

const CALLERS: u64 = 1_000;
/// The most rows in a transaction, for everybody.
const MOST: usize = 1_000;
/// Rows that are also inserted one by one: so many that to open and close the database,
/// which each round does, is a small part of it.
const SINGLES: u64 = 30_000;
const HAND: &str = "hand-batched loop";
const MPSC: &str = "mpsc + oneshot";
const SINGLE: &str = "single inserts";

/// A new database in a file: write-ahead log, which is synced at checkpoints only.
fn database() -> Result<Connection> {
    let folder = machine::output()?;
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(folder.join(format!("rows.db{end}")));
    }
    let database = Connection::open(folder.join("rows.db"))?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer, items)", [])?;
    Ok(database)
}

/// Inserts rows in one transaction and answers their ids.
fn insert(database: &mut Connection, customers: &[u64]) -> Result<Vec<i64>, rusqlite::Error> {
    fn one(transaction: &Transaction<'_>, customer: u64) -> Result<i64, rusqlite::Error> {
        let sql = "INSERT INTO orders (customer, items) VALUES (?1, ?2)";
        let mut statement = transaction.prepare_cached(sql)?;
        statement.insert(params![customer, "a pair of boots, brown, size 43"])
    }
    let transaction = database.transaction()?;
    let ids = customers.iter().map(|&customer| one(&transaction, customer)).collect();
    transaction.commit()?;
    ids
}

/// A flow that starts with a new database.
fn rows<F>(name: &str, through: impl Fn(Connection, u64) -> F + Send + 'static) -> Subject
where
    F: Future<Output = Ids> + Send + 'static,
{
    Subject::flow(name, move |items| {
        let ids = through(database().expect("a file can be written here"), items);
        async move { ids.await.counted() }
    })
}

/// The ids that callers were told.
#[derive(Default)]
struct Ids {
    count: u64,
    sum: u64,
}

impl Ids {
    fn add(&mut self, id: i64) {
        self.count += 1;
        self.sum += id.unsigned_abs();
    }

    /// How many, if each is another one.
    fn counted(self) -> u64 {
        assert_eq!(self.sum, self.count * (self.count + 1) / 2, "two callers have one row");
        self.count
    }
}

/// Many callers, each of which submits its rows one after the other.
async fn callers<F>(rows: u64, submit: impl Fn(u64) -> F + Clone + Send + 'static) -> Ids
where
    F: Future<Output = i64> + Send,
{
    let caller = |caller: u64| {
        let (submit, share) = (submit.clone(), rows / CALLERS);
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for _ in 0..share {
                ids.push(submit(caller).await);
            }
            ids
        })
    };
    let mut all = Ids::default();
    for ids in join_all((0..CALLERS).map(caller)).await {
        ids.expect("no caller panics").into_iter().for_each(|id| all.add(id));
    }
    all
}

fn ours(name: &str, most: usize) -> Subject {
    rows(name, move |mut database, items| async move {
        let writes =
            Batcher::blocking(move |rows: Vec<u64>| insert(&mut database, &rows).map_err(Arc::new));
        let writes = writes.max_size(most);
        let submit = writes.clone();
        let ids = callers(items, move |customer| {
            let writes = submit.clone();
            async move { writes.submit(customer).await.expect("SQLite takes the row") }
        })
        .await;
        // Closes the database, as the others do within their time.
        writes.drain().await.expect("every caller was told");
        ids
    })
}

type Inbox = mpsc::Receiver<(u64, oneshot::Sender<i64>)>;
type Inbound = Vec<(u64, oneshot::Sender<i64>)>;

/// What there is, one by one: the usual way.
fn one_by_one(inbox: &mut Inbox, batch: &mut Inbound) {
    batch.extend(inbox.blocking_recv());
    while batch.len() < MOST && !batch.is_empty() {
        let Ok(next) = inbox.try_recv() else { break };
        batch.push(next);
    }
}

/// What there is, at once.
fn all_at_once(inbox: &mut Inbox, batch: &mut Inbound) {
    inbox.blocking_recv_many(batch, MOST);
}

/// The usual construction: a thread takes what there is, and answers each.
fn by_hand(name: &str, take: fn(&mut Inbox, &mut Inbound)) -> Subject {
    rows(name, move |mut database, items| async move {
        let (tx, mut rx) = mpsc::channel(MOST);
        let writer = thread::spawn(move || {
            let mut batch = Vec::with_capacity(MOST);
            loop {
                take(&mut rx, &mut batch);
                if batch.is_empty() {
                    break; // and the database is closed
                }
                let customers: Vec<_> = batch.iter().map(|(customer, _)| *customer).collect();
                let ids = insert(&mut database, &customers).expect("SQLite takes the rows");
                for ((_, reply), id) in batch.drain(..).zip(ids) {
                    let _ = reply.send(id);
                }
            }
        });
        let ids = callers(items, move |customer| {
            let tx = tx.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                tx.send((customer, reply)).await.expect("the writer stays");
                answer.await.expect("the writer answers")
            }
        })
        .await;
        writer.join().expect("the writer does not panic");
        ids
    })
}

/// What all of it must be compared with: nobody asks, nobody is answered.
fn in_a_loop(name: &str, most: u64) -> Subject {
    rows(name, move |mut database, items| async move {
        let (mut ids, mut next) = (Ids::default(), 0);
        while next < items {
            let customers: Vec<_> = (next..items.min(next + most)).collect();
            next += most;
            let told = insert(&mut database, &customers).expect("SQLite takes the rows");
            told.into_iter().for_each(|id| ids.add(id));
        }
        ids
    })
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    database().context("the database cases")?;
    let quick = bench.quick();
    let inserts = |many: u64, rounds, shares: [f64; 2]| {
        let name = format!("batched inserts, {many} rows, SQLite (WAL, synchronous=NORMAL)");
        let [current, multi] = shares.map(|share| AtMost::times(1.0 / share, HAND));
        let mut targets = both(&[AtMost::fraction(1.5, MPSC)]);
        targets.extend([(On::CurrentThread, current), (On::MultiThread, multi)]);
        Group::flows()
            .sized(many, if quick { 2 } else { rounds })
            .crowded()
            .ours(ours(&name, MOST), &targets)
            .peer(in_a_loop(HAND, MOST as u64))
            .peer(by_hand(MPSC, one_by_one))
            .peer(by_hand("mpsc recv_many + oneshot", all_at_once))
    };
    bench.run(inserts(10_000, 51, [0.7, 0.7]))?;
    bench.run(inserts(100_000, 15, [0.9, 0.8]))?;
    let name = "batches of 100 against single inserts, SQLite (WAL, synchronous=NORMAL)";
    bench.run(
        Group::flows()
            .sized(SINGLES, if quick { 2 } else { 15 })
            .crowded()
            .ours(ours(name, 100), &both(&[AtMost::fraction(8.0, SINGLE)]))
            .peer(in_a_loop(SINGLE, 1)),
    )?;
    Ok(())
}
