//! Group commit: many clients place orders, one thread writes them to SQLite, and
//! an order is answered only when its transaction is on the disk.
//!
//! Run it with `cargo run --release -p plimsoll-batch --example sqlite_writer`.

use plimsoll_batch::{Batcher, SubmitError};
use rusqlite::{Connection, params};
use std::{env, fs, process, sync::Arc, time::Instant};

#[derive(Clone, Debug)]
struct Order {
    client: u32,
    amount: i64,
}

/// All or nothing: the ids, once they are durable.
fn insert(connection: &mut Connection, orders: &[Order]) -> rusqlite::Result<Vec<i64>> {
    let transaction = connection.transaction()?;
    let ids = {
        let sql = "INSERT INTO orders (client, amount) VALUES (?1, ?2)";
        let mut insert = transaction.prepare_cached(sql)?;
        orders
            .iter()
            .map(|order| insert.insert(params![order.client, order.amount]))
            .collect::<Result<_, _>>()?
    };
    transaction.commit()?;
    Ok(ids)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::temp_dir().join(format!("sqlite-writer-{}", process::id()));
    fs::create_dir(&folder)?;
    let path = folder.join("orders.db");
    let mut connection = Connection::open(&path)?;
    // FULL: a commit returns when the log is on the disk, and not before.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE orders (id INTEGER PRIMARY KEY, client INTEGER NOT NULL,
                              amount INTEGER NOT NULL CHECK (amount > 0));",
    )?;

    let start = Instant::now();
    for client in 0..100 {
        insert(&mut connection, &[Order { client, amount: 10 }])?;
    }
    println!("one by one: {:.0} orders/s", 100.0 / start.elapsed().as_secs_f64());

    // Adaptive: a lone order is written at once, a crowd shares commits. A bad
    // order fails alone, though its transaction fails as a whole.
    let orders = Batcher::blocking(move |batch: Vec<Order>| {
        insert(&mut connection, &batch).map_err(Arc::new)
    });
    let orders = orders.max_size(200).bisect();
    let start = Instant::now();
    let clients: Vec<_> = (0..2_000)
        .map(|client| {
            let orders = orders.clone();
            let amount = if client == 567 { -5 } else { 10 };
            tokio::spawn(async move { orders.submit(Order { client, amount }).await })
        })
        .collect();
    let mut written = 0;
    for client in clients {
        match client.await? {
            Ok(_id) => written += 1,
            Err(SubmitError::Failed(why)) => println!("refused: {why}"),
            Err(error) => println!("not written: {error}"),
        }
    }
    println!("together:   {:.0} orders/s", f64::from(written) / start.elapsed().as_secs_f64());
    orders.drain().await?; // and the connection is closed
    let stats = orders.stats();
    println!("{written} orders in {} batches of {} at most", stats.batches(), stats.largest());
    fs::remove_dir_all(folder)?;
    Ok(())
}
