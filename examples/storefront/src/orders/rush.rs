//! Many clients order at once: a closed loop, for how much the service writes
//! and how long each order takes.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use hdrhistogram::Histogram;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    caller::{Caller, Ordered},
    load::{apart, latencies},
};

/// As many, each with one order at a time. Each is two open files.
pub const CLIENTS: u16 = 64;

/// How long they order.
pub const ORDERING: Duration = Duration::from_secs(2);

/// How long their last answers may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub struct Rush {
    /// The numbers of the orders that were answered with one.
    pub ids: Vec<i64>,
    /// Answered with 503 and when to come back.
    pub refused: u64,
    /// Anything else.
    pub failed: u64,
    /// From the request to its 201, in microseconds.
    pub written_us: Histogram<u64>,
    /// Until the last answer.
    pub took: Duration,
    /// The first few failures, in words.
    pub errors: Vec<String>,
}

impl Default for Rush {
    fn default() -> Self {
        let written_us = latencies();
        let (ids, errors) = (Vec::new(), Vec::new());
        Self { ids, refused: 0, failed: 0, written_us, took: Duration::ZERO, errors }
    }
}

impl Rush {
    fn count(&mut self, answer: Ordered, took: Duration) {
        match answer {
            Ordered::Written(id) => {
                self.ids.push(id);
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.written_us.saturating_record(micros);
            }
            Ordered::Refused => self.refused += 1,
            Ordered::Wrong(error) => {
                self.failed += 1;
                if self.errors.len() < 5 {
                    self.errors.push(error);
                }
            }
        }
    }

    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.ids.extend(other.ids);
        (self.refused, self.failed) = (self.refused + other.refused, self.failed + other.failed);
        self.written_us.add(other.written_us)?;
        let room = 5_usize.saturating_sub(self.errors.len());
        self.errors.extend(other.errors.into_iter().take(room));
        Ok(())
    }
}

/// [`CLIENTS`] clients order `products` for [`ORDERING`], each its next as soon
/// as the last is answered.
///
/// Cancel safe: dropped, it ends the clients.
///
/// # Errors
///
/// When there are no products, or the last answers do not come.
pub async fn rush(address: SocketAddr, products: Vec<i64>) -> anyhow::Result<Rush> {
    anyhow::ensure!(!products.is_empty(), "there is nothing to order");
    apart("orders", move || async move {
        let ordering = order_all(address, products);
        timeout(ORDERING + ANSWER_WITHIN, ordering).await.context("orders are not answered")?
    })
    .await?
}

async fn order_all(address: SocketAddr, products: Vec<i64>) -> anyhow::Result<Rush> {
    let shared = Arc::new((Caller::new(address), products));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..usize::from(CLIENTS) {
        let shared = Arc::clone(&shared);
        clients.spawn(async move {
            let (caller, products) = &*shared;
            let mut own = Rush::default();
            let choices = products.iter().cycle().skip(number % products.len());
            for product in choices.step_by(usize::from(CLIENTS)) {
                let left = Instant::now();
                if start.elapsed() >= ORDERING {
                    break;
                }
                own.count(caller.order(*product).await, left.elapsed());
            }
            own
        });
    }
    let mut all = Rush::default();
    while let Some(own) = clients.join_next().await {
        all.add(own?)?;
    }
    all.took = start.elapsed();
    Ok(all)
}
