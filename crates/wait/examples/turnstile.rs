//! A turnstile that lets three visitors into a gallery at a time: a gate of
//! one's own over `Places`, with a permit that gives its place back.
//!
//! Run it with `cargo run -p plimsoll-wait --example turnstile`.

use plimsoll_core::{Admit, Gate, GateExt, Outcome, Reason, Rejected};
use plimsoll_wait::{NoPlace, Places};
use std::sync::Arc;
use tokio::task::JoinSet;

struct Turnstile(Places);

impl Gate for Turnstile {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {
        self.0.give_back(1);
    }
}

fn full(_: NoPlace) -> Rejected {
    Rejected::new(Reason::Concurrency, "turnstile")
}

impl<C: ?Sized> Admit<C> for Turnstile {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        self.0.try_take(1).map_err(full)
    }

    async fn enter<'a>(&'a self, _: &'a C) -> Result<(), Rejected>
    where
        C: Sync,
    {
        self.0.take(1).await.map_err(full)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let turnstile = Arc::new(Turnstile(Places::new(3, 5)));
    let mut visitors = JoinSet::new();
    for visitor in 1..=10 {
        let turnstile = Arc::clone(&turnstile);
        visitors.spawn(async move {
            match turnstile.admit().await {
                Ok(_permit) => {
                    println!(
                        "visitor {visitor:2} is in, {} of 3 places are taken",
                        turnstile.0.used()
                    );
                    tokio::task::yield_now().await;
                }
                Err(refusal) => println!("visitor {visitor:2} goes home: {refusal}"),
            }
        });
    }
    while visitors.join_next().await.is_some() {}
    println!("in the evening {} places are taken", turnstile.0.used());
}
