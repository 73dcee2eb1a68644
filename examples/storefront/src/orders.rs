//! Orders: answered when they are on the disk, and not before.
//!
//! A commit that survives a power cut waits for the disk, and costs the same for
//! one order and for a hundred. Behind Plimsoll one thread owns the connection
//! and commits whatever has gathered while the last commit ran; bare, each order
//! is a transaction of its own. Either way the journal is a write-ahead log with
//! `synchronous = FULL`: SQLite syncs the log before a commit returns. With
//! `NORMAL`, its usual companion, a power cut takes the last commits with it, and
//! the customers would have been told otherwise.

mod line;
pub(crate) mod route;
pub mod rush;

use std::{fmt, sync::Arc};

use anyhow::Context;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use plimsoll::batch::{Batcher, Emitted, Stats, SubmitError};
use rusqlite::{Connection, TransactionBehavior, ffi, params};

use self::line::OneByOne;
use crate::store::Store;

/// The most that one order may ask for.
pub const MAX_QUANTITY: u16 = 1_000;

/// The longest note, in bytes.
pub const MAX_NOTE: usize = 256;

/// The most orders of one commit.
const BATCH: usize = 200;

/// How many orders may wait before one is refused.
const IN_LINE: usize = 1_000;

/// What somebody wants. Whether there is such a product, the database knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The product's id.
    pub product: i64,
    /// 1 to [`MAX_QUANTITY`].
    pub quantity: u16,
    /// Whatever the customer has to say, up to [`MAX_NOTE`] bytes.
    pub note: Option<String>,
}

/// Why an order was not placed.
#[derive(Clone, Debug)]
pub enum OrderError {
    /// Too many wait already, or the service stops. Nothing has happened.
    Busy,
    /// There is no such product.
    NoSuchProduct(i64),
    /// SQLite said no, to this order and to all that shared its transaction.
    Sqlite(Arc<rusqlite::Error>),
    /// The write ended without a result.
    Lost(String),
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many orders wait"),
            Self::NoSuchProduct(id) => write!(f, "there is no product with the id {id}"),
            Self::Sqlite(error) => write!(f, "the order could not be written: {error}"),
            Self::Lost(why) => write!(f, "the order has no result: {why}"),
        }
    }
}

impl From<SubmitError<OrderError>> for OrderError {
    fn from(error: SubmitError<OrderError>) -> Self {
        match error {
            SubmitError::Rejected(_) => Self::Busy,
            SubmitError::Failed(error) => error,
            other => Self::Lost(other.to_string()),
        }
    }
}

/// Where orders go. Cloning gives another handle to the same connection.
#[derive(Clone, Debug)]
pub struct Orders(Writer);

#[derive(Clone, Debug)]
enum Writer {
    Together(Batcher<Order, i64, OrderError>),
    OneByOne(Arc<OneByOne>),
}

impl Orders {
    /// Orders that come at the same time share a commit.
    ///
    /// # Errors
    ///
    /// When the database can't be opened, or the system gives no thread.
    pub fn together(store: &Store) -> anyhow::Result<Self> {
        let mut connection = connect(store)?;
        let writer =
            Batcher::try_blocking(move |orders: Vec<Order>| write(&mut connection, &orders))
                .context("could not start the thread that writes orders")?;
        Ok(Self(Writer::Together(writer.max_size(BATCH).queue(IN_LINE))))
    }

    /// Each order is a transaction of its own.
    ///
    /// # Errors
    ///
    /// When the database can't be opened.
    pub fn one_by_one(store: &Store) -> anyhow::Result<Self> {
        Ok(Self(Writer::OneByOne(Arc::new(OneByOne::new(connect(store)?, IN_LINE)))))
    }

    /// Places an order, and returns its number when it is on the disk.
    ///
    /// Cancel safe: dropped, the order is written all the same, or was never
    /// accepted.
    ///
    /// # Errors
    ///
    /// See [`OrderError`].
    pub async fn place(&self, order: Order) -> Result<i64, OrderError> {
        match &self.0 {
            Writer::Together(batcher) => {
                // Not `submit`: a line without end only makes every answer late.
                let reply = batcher.try_submit(order).map_err(|_| OrderError::Busy)?;
                Ok(reply.await?)
            }
            Writer::OneByOne(line) => line.place(order).await,
        }
    }

    /// Takes no more, writes what was accepted, and closes the connection.
    ///
    /// # Errors
    ///
    /// When an accepted order was not written and nobody was told.
    pub async fn close(&self) -> anyhow::Result<()> {
        match &self.0 {
            Writer::Together(batcher) => batcher.drain().await?,
            Writer::OneByOne(line) => line.close().await,
        }
        Ok(())
    }

    /// How full the batches were, where there are any.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        match &self.0 {
            Writer::Together(batcher) => Some(batcher.stats()),
            Writer::OneByOne(_) => None,
        }
    }
}

/// Brings what `/metrics` says of batches up to date. Their mean size is orders
/// by batches.
pub(crate) fn record(orders: &Orders) {
    let Some(stats) = orders.stats() else { return };
    for (why, emitted) in
        [("full", Emitted::Full), ("free", Emitted::Free), ("ended", Emitted::Ended)]
    {
        let batches = counter!("storefront_order_batches_total", "why" => why);
        batches.absolute(stats.emitted(emitted));
    }
    counter!("storefront_orders_in_batches_total").absolute(stats.items());
    gauge!("storefront_order_batch_largest")
        .set(f64::from(u32::try_from(stats.largest()).unwrap_or(u32::MAX)));
}

/// Describes them, once there is a recorder.
pub(crate) fn describe() {
    describe_counter!("storefront_order_batches_total", "Commits, by why their batch was closed.");
    describe_counter!("storefront_orders_in_batches_total", "Orders handed to these commits.");
    describe_gauge!("storefront_order_batch_largest", "The most orders of one commit.");
}

/// A connection that syncs every commit, and knows which products there are.
fn connect(store: &Store) -> anyhow::Result<Connection> {
    let connection = store.connect()?;
    let set = || {
        // The file is in WAL mode since it was filled.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)
    };
    set().context("could not prepare the database for orders")?;
    Ok(connection)
}

/// One transaction for all of them, and a result for each: its number, or why
/// not. None is told a number before the commit.
///
/// An order of a product that is not there fails alone: SQLite undoes the
/// statement and keeps the transaction, so there is nothing to take apart and
/// write again, as [`bisect`](Batcher::bisect) would, with one more sync of the
/// disk for each half. Any other error fails all of them, and undoes all.
fn write(connection: &mut Connection, orders: &[Order]) -> Vec<Result<i64, OrderError>> {
    try_write(connection, orders).unwrap_or_else(|error| {
        let error = OrderError::Sqlite(Arc::new(error));
        vec![Err(error); orders.len()]
    })
}

fn try_write(
    connection: &mut Connection,
    orders: &[Order],
) -> rusqlite::Result<Vec<Result<i64, OrderError>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut numbers = Vec::with_capacity(orders.len());
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO orders (product, quantity, note, placed_at)
             VALUES (?1, ?2, ?3, unixepoch())",
        )?;
        for order in orders {
            let Order { product, quantity, note } = order;
            numbers.push(match insert.insert(params![product, quantity, note]) {
                Ok(number) => Ok(number),
                Err(error) if is_unknown_product(&error) => {
                    Err(OrderError::NoSuchProduct(*product))
                }
                // After some errors SQLite has given the transaction up; dropped,
                // it is undone after all others too.
                Err(error) => return Err(error),
            });
        }
    }
    transaction.commit()?;
    Ok(numbers)
}

fn is_unknown_product(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

#[cfg(test)]
mod tests;
