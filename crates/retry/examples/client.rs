//! A client that helps a dependency through an outage instead of prolonging it:
//! `cargo run --example client`.
//!
//! From the outside in: budget, retry, breaker, limit, timeout. An attempt's
//! timeout is an error like any other, so the breaker counts it; a refusal by the
//! breaker ends the retries; and the budget bounds them over all requests.

use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_breaker::CircuitBreaker;
use plimsoll_core::{Clock, Error, GateExt, Tick, TokioClock};
use plimsoll_retry::{Refusals, Retry, RetryBudget, RetryError, Stop, Unobserved};
use std::{cell::Cell, io, rc::Rc, time::Duration};
use tokio::{
    task::LocalSet,
    time::{sleep, timeout},
};

const MS: Duration = Duration::from_millis(1);

/// Does not answer in its third second.
struct Dependency {
    born: Tick,
    calls: Cell<u32>,
}

impl Dependency {
    async fn get(&self) -> io::Result<()> {
        self.calls.set(self.calls.get() + 1);
        let second = TokioClock.now().since(self.born).as_secs();
        let answer = sleep(if second == 2 { Duration::MAX } else { 5 * MS });
        // The innermost: each attempt has a timeout of its own.
        timeout(50 * MS, answer).await.map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

struct Client {
    retry: Retry<Refusals, Unobserved, TokioClock>,
    gates: (CircuitBreaker<TokioClock>, ConcurrencyLimit), // the breaker is asked first
    dependency: Dependency,
}

impl Client {
    async fn get(&self) -> Result<(), RetryError<Error<io::Error>>> {
        self.retry.run(|| self.gates.run(self.dependency.get())).await
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let budget = RetryBudget::new(0.2).at_least(5).saving(10);
    let retry = Retry::exponential(20 * MS).attempts(4).budget(&budget).clock(TokioClock).seed(1);
    let dependency = Dependency { born: TokioClock.now(), calls: Cell::new(0) };
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(10)
        .open_for(500 * MS)
        .clock(TokioClock)
        .build()
        .expect("these settings are in range");
    let gates = (breaker, ConcurrencyLimit::new(32));
    let client = Rc::new(Client { retry, gates, dependency });

    println!("second  requests  calls  answered  breaker open  budget spent  attempts spent");
    for second in 1..=5 {
        let ends = Rc::new(Cell::new([0; 4]));
        let before = client.dependency.calls.get();
        let requests = LocalSet::new();
        for request in 0..100 {
            let (client, ends) = (Rc::clone(&client), Rc::clone(&ends));
            requests.spawn_local(async move {
                sleep(10 * MS * request).await;
                let end = match client.get().await.map_err(|error| error.why()) {
                    Ok(()) => 0,
                    Err(Stop::Permanent) => 1,
                    Err(Stop::Budget) => 2,
                    Err(_) => 3,
                };
                let mut so_far = ends.get();
                so_far[end] += 1;
                ends.set(so_far);
            });
        }
        requests.await;
        let calls = client.dependency.calls.get() - before;
        let [answered, open, budget, attempts] = ends.get();
        println!("{second:6} {:9} {calls:6} {answered:9} {open:13} {budget:13} {attempts:15}", 100);
        assert!(calls <= 100 + 20 + 5 + 10, "more retries than the budget has");
    }
}
