//! Loom models of the windows: `cargo xtask loom plimsoll-ratelimit`. Searched
//! whole, in the ways that `modelled` in core tells.

use super::{SlidingWindow, approximate::ApproximateWindow};
use crate::sync::search;
use loom::{sync::Arc, thread};
use plimsoll_core::{Admit, Clock, Gate, Outcome, PerKey, Tick};
use std::time::Duration;

const WINDOW: Duration = Duration::from_nanos(100);

/// A clock that stands.
struct At(u64);

impl Clock for At {
    fn now(&self) -> Tick {
        Tick::from_nanos(self.0)
    }
}

fn exact(limit: u32) -> Arc<SlidingWindow<At>> {
    Arc::new(SlidingWindow::new(limit, WINDOW).clock(At(1_000)))
}

fn approximate(limit: u32) -> Arc<ApproximateWindow<At>> {
    Arc::new(SlidingWindow::approximate(limit, WINDOW).clock(At(1_000)))
}

/// Of two that ask for the last place one gets it, and the window is full then.
/// Turns red when `decide` asks whether it fits under one lock and logs under
/// another.
#[test]
fn the_last_place_of_an_exact_window_goes_to_one() {
    search(|| {
        let window = exact(2);
        window.try_acquire().expect("it is empty");
        let ask = || {
            let window = Arc::clone(&window);
            thread::spawn(move || window.try_acquire().is_ok())
        };
        let (a, b) = (ask(), ask());
        let admitted = [a.join().unwrap(), b.join().unwrap()];
        assert_eq!(admitted.iter().filter(|&&ok| ok).count(), 1);
        assert!(window.try_acquire().is_err());
    });
}

/// One place is given back while another thread takes the last: a place is free
/// then, and whoever asks next sees it, also without the lock. Turns red when
/// `change` stores `shut_until` after it has let go of the lock.
#[test]
fn a_place_given_back_to_an_exact_window_is_not_lost() {
    search(|| {
        let window = exact(2);
        let ticket = window.try_enter(&()).expect("it is empty");
        let gives_back = {
            let window = Arc::clone(&window);
            thread::spawn(move || window.leave(ticket, Outcome::Unused))
        };
        let takes = {
            let window = Arc::clone(&window);
            thread::spawn(move || window.try_acquire().is_ok())
        };
        gives_back.join().unwrap();
        assert!(takes.join().unwrap(), "one place was free all the while");
        assert!(window.try_acquire().is_ok(), "the place was lost");
        assert!(window.try_acquire().is_err(), "three in two places");
    });
}

/// Of two that ask for the last place one gets it. Turns red when `admit`
/// stores the next word in place of the exchange.
#[test]
fn the_last_place_of_an_approximate_window_goes_to_one() {
    search(|| {
        let window = approximate(2);
        window.try_acquire().expect("it is empty");
        let ask = || {
            let window = Arc::clone(&window);
            thread::spawn(move || window.try_acquire().is_ok())
        };
        let (a, b) = (ask(), ask());
        let admitted = [a.join().unwrap(), b.join().unwrap()];
        assert_eq!(admitted.iter().filter(|&&ok| ok).count(), 1);
        assert_eq!(window.available(), 0);
    });
}

/// One that read the clock at the end of a window decides when another has
/// turned the word to the next one. The late one must not take the new word for
/// an old one and wipe it: with a limit of 1, exactly one of the two passes.
/// Turns red when `newest` is read before the word, when it is raised after the
/// exchange, and when the word is loaded or exchanged, either way, with `Relaxed`.
#[test]
fn a_late_reader_of_the_clock_does_not_wipe_the_next_window() {
    search(|| {
        let window = approximate(1);
        let state = Arc::new(window.fresh());
        let ask = |now| {
            let (window, state) = (Arc::clone(&window), Arc::clone(&state));
            thread::spawn(move || window.try_enter_in(&state, Tick::from_nanos(now)).is_ok())
        };
        let (late, early) = (ask(1_099), ask(1_100));
        let admitted = [late.join().unwrap(), early.join().unwrap()];
        assert_eq!(admitted.iter().filter(|&&ok| ok).count(), 1);
        assert!(!window.is_fresh(&state, Tick::from_nanos(1_100)));
    });
}

/// One place is given back while another thread takes the second, in the next
/// window. Neither undoes what the other did. Turns red when `give_back` stores
/// in place of the exchange.
#[test]
fn a_place_given_back_to_an_approximate_window_is_not_lost() {
    search(|| {
        let window = approximate(2);
        let state = Arc::new(window.fresh());
        let (now, next) = (Tick::from_nanos(1_099), Tick::from_nanos(1_150));
        let ticket = window.try_enter_in(&state, now).expect("it is empty");
        let gives_back = {
            let (window, state) = (Arc::clone(&window), Arc::clone(&state));
            thread::spawn(move || window.leave_in(&state, ticket, Outcome::Unused))
        };
        let takes = {
            let (window, state) = (Arc::clone(&window), Arc::clone(&state));
            thread::spawn(move || window.try_enter_in(&state, next))
        };
        gives_back.join().unwrap();
        let ticket = takes.join().unwrap().expect("one place was free all the while");
        assert!(!window.is_fresh(&state, next), "the second was forgotten");
        window.leave_in(&state, ticket, Outcome::Unused);
        assert!(window.is_fresh(&state, next), "something was left behind");
    });
}
