//! Group commit: many clients place orders, one thread writes them to a store
//! that is slow to commit, and an order is answered only when it is durable.
//!
//! Run it with `cargo run -p plimsoll-batch --example order_writer`.

use plimsoll_batch::{Batcher, SubmitError};
use std::{
    thread,
    time::{Duration, Instant},
};

#[derive(Clone, Debug)]
struct Order {
    client: u32,
    amount: i64,
}

/// Stands in for a database: a commit costs the same for one row and for many.
#[derive(Default)]
struct Store {
    rows: Vec<Order>,
    commits: usize,
}

impl Store {
    /// All or nothing, as a transaction is: returns the numbers of the rows.
    fn insert(&mut self, orders: Vec<Order>) -> Result<Vec<usize>, String> {
        thread::sleep(Duration::from_millis(2));
        self.commits += 1;
        if let Some(bad) = orders.iter().find(|order| order.amount <= 0) {
            return Err(format!("client {} orders {}", bad.client, bad.amount));
        }
        let first = self.rows.len();
        self.rows.extend(orders);
        Ok((first..self.rows.len()).collect())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        println!("store: {} rows in {} commits", self.rows.len(), self.commits);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut store = Store::default();
    // Adaptive: a lone order is written at once, a crowd shares commits.
    // A bad order fails alone, though its transaction fails as a whole.
    let orders = Batcher::blocking(move |batch| store.insert(batch)).max_size(200).bisect();

    let start = Instant::now();
    let clients: Vec<_> = (0..1_000)
        .map(|client| {
            let orders = orders.clone();
            let amount = if client == 567 { -5 } else { 10 };
            tokio::spawn(async move { orders.submit(Order { client, amount }).await })
        })
        .collect();
    let mut accepted = 0;
    for client in clients {
        match client.await? {
            Ok(_row) => accepted += 1,
            Err(SubmitError::Failed(why)) => println!("refused: {why}"),
            Err(error) => println!("not written: {error}"),
        }
    }
    println!("{accepted} orders are durable after {:.0?}", start.elapsed());
    orders.drain().await?;
    Ok(())
}
