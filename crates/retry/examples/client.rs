//! A client that helps a dependency through an outage instead of prolonging it:
//! `cargo run --example client`.
//!
//! From the outside in: budget, retry, breaker, limit, timeout. An attempt's
//! timeout is an error like any other, so the breaker counts it; a refusal by the
//! breaker ends the retries; and the budget bounds them over all requests. The
//! breaker here is made by hand, in place of the crate `plimsoll-breaker`.

use plimsoll_core::{
    Admit, Clock, Error, Gate, GateExt, Outcome, Reason, Rejected, Tick, TokioClock,
    testing::Places,
};
use plimsoll_retry::{Refusals, Retry, RetryBudget, RetryError, Stop, Unobserved};
use std::{cell::Cell, io, rc::Rc, sync::Mutex, time::Duration};
use tokio::{
    task::LocalSet,
    time::{sleep, timeout},
};

const MS: Duration = Duration::from_millis(1);

/// Opens for half a second after ten failures in a row.
struct Breaker(Mutex<(u32, Tick)>);

impl Gate for Breaker {
    type Ticket = ();
    fn leave(&self, (): (), outcome: Outcome) {
        let Ok(mut state) = self.0.lock() else { return };
        match outcome {
            Outcome::Failure => *state = (state.0 + 1, TokioClock.now() + 500 * MS),
            Outcome::Success => state.0 = 0,
            _ => {}
        }
    }
}

impl<C: ?Sized> Admit<C> for Breaker {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        let closed = Rejected::new(Reason::Closed, "breaker");
        let (in_a_row, until) = *self.0.lock().map_err(|_| closed)?;
        let left = until.since(TokioClock.now());
        if in_a_row < 10 || left.is_zero() {
            return Ok(());
        }
        Err(Rejected::new(Reason::Open, "breaker").retry_in(left))
    }
}

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
    gates: (Breaker, Places), // the breaker is asked first
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
    let gates = (Breaker(Mutex::default()), Places::new(32));
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
