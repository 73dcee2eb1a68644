//! At most five wrong passwords per account in any minute:
//! `cargo run --example login_attempts`.
//!
//! The promise is about any minute, so it takes the exact window. Counting per
//! calendar minute would let ten guesses through around its turn. The clock is
//! moved by hand here; a service leaves `.clock(…)` out, and holds its accounts
//! in a bounded table such as `KeyedGates` of the crate `plimsoll-keyed`.

use plimsoll_core::{GateExt, ManualClock, Rejected};
use plimsoll_ratelimit::SlidingWindow;
use std::{collections::HashMap, time::Duration};

struct Logins {
    passwords: HashMap<&'static str, &'static str>,
    attempts: HashMap<&'static str, SlidingWindow<ManualClock>>,
}

impl Logins {
    fn new(accounts: &[(&'static str, &'static str)], clock: &ManualClock) -> Self {
        let attempts = || SlidingWindow::new(5, Duration::from_secs(60)).clock(clock.clone());
        Self {
            passwords: accounts.iter().copied().collect(),
            attempts: accounts.iter().map(|(account, _)| (*account, attempts())).collect(),
        }
    }

    /// Whether the password is right, or that it may not be tried now.
    fn log_in(&self, account: &str, password: &str) -> Result<bool, Rejected> {
        let Some(attempts) = self.attempts.get(account) else { return Ok(false) };
        // Before the password is looked at, or refusals would still be guesses.
        let attempt = attempts.try_admit()?;
        let right = self.passwords.get(account) == Some(&password);
        if right {
            attempt.cancel(); // only wrong ones count
        }
        Ok(right)
    }
}

fn main() {
    let clock = ManualClock::new();
    let logins = Logins::new(&[("ada", "engine"), ("grace", "compiler")], &clock);

    // An attacker guesses every four seconds, for three minutes. The owner logs
    // in once a minute, and so does somebody else.
    let (mut guesses, mut refused) = (0, 0);
    for second in (0..180).step_by(4) {
        match logins.log_in("ada", "guess") {
            Ok(_) => guesses += 1,
            Err(_) => refused += 1,
        }
        if second % 60 == 40 {
            for (account, password) in [("ada", "engine"), ("grace", "compiler")] {
                match logins.log_in(account, password) {
                    Ok(right) => println!("{second:3} s  {account}: logged in: {right}"),
                    Err(refusal) => println!("{second:3} s  {account}: {refusal}"),
                }
            }
        }
        clock.advance(Duration::from_secs(4));
    }
    println!("in three minutes the attacker had {guesses} guesses, {refused} were refused");
    assert_eq!((guesses, refused), (15, 30));
}
