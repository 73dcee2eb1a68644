//! The limit against a plain list of who waits and a sum of who is inside.

use plimsoll_backpressure::{ConcurrencyLimit, LimitTicket};
use plimsoll_core::{Gate, Outcome, Rejected, Weigh};
use proptest::prelude::*;
use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, Waker},
};

type Wait<'a> = Pin<Box<dyn Future<Output = Result<LimitTicket, Rejected>> + 'a>>;

const QUEUE: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Try(u32),
    Wait(u32),
    /// Drops one who waits, whatever has become of it.
    Cancel(prop::sample::Index),
    Leave(prop::sample::Index),
    Resize(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_u32..4).prop_map(Step::Try),
        5 => (0_u32..4).prop_map(Step::Wait),
        3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        5 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => (0_u32..8).prop_map(Step::Resize),
    ];
    prop::collection::vec(step, 0..120)
}

/// What should be the case.
#[derive(Default)]
struct Model {
    limit: u32,
    used: u32,
    /// Who waits: which, and for how many.
    line: VecDeque<(usize, u32)>,
    /// Who has been given places or refused, and has not yet looked.
    told: Vec<(usize, Result<u32, ()>)>,
}

impl Model {
    fn serve(&mut self) {
        while let Some(&(who, n)) = self.line.front() {
            if self.used + n > self.limit {
                return;
            }
            self.line.pop_front();
            self.used += n;
            self.told.push((who, Ok(n)));
        }
    }

    fn resize(&mut self, limit: u32) {
        self.limit = limit;
        let (fit, not): (VecDeque<_>, VecDeque<_>) =
            self.line.iter().partition(|who| who.1 <= limit);
        self.line = fit;
        self.told.extend(not.into_iter().map(|(who, _)| (who, Err(()))));
        self.serve();
    }

    fn free(&self, n: u32) -> bool {
        n == 0 || (self.line.is_empty() && self.used + n <= self.limit)
    }
}

proptest! {
    #[test]
    fn it_does_what_a_list_does_whoever_gives_up_and_however_it_is_resized(
        steps in steps(), start in 0_u32..6
    ) {
        let limit = ConcurrencyLimit::new(start).queue(QUEUE);
        let mut model = Model { limit: start, ..Model::default() };
        let mut inside: Vec<(LimitTicket, u32)> = Vec::new();
        let mut waits: Vec<(usize, Wait<'_>)> = Vec::new();
        for (name, step) in steps.into_iter().enumerate() {
            match step {
                Step::Try(n) => {
                    let ticket = limit.try_enter_n(n.into());
                    prop_assert_eq!(ticket.is_ok(), model.free(n));
                    if let Ok(ticket) = ticket {
                        model.used += n;
                        inside.push((ticket, n));
                    }
                }
                Step::Wait(n) => {
                    let mut wait: Wait<'_> = Box::pin(limit.enter_n(n.into()));
                    let now = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    if model.free(n) {
                        let Poll::Ready(Ok(ticket)) = now else {
                            return Err(TestCaseError::fail("a free place was refused"));
                        };
                        model.used += n;
                        inside.push((ticket, n));
                    } else if n > model.limit || model.line.len() == QUEUE {
                        prop_assert!(matches!(now, Poll::Ready(Err(_))));
                    } else {
                        prop_assert!(now.is_pending());
                        model.line.push_back((name, n));
                        waits.push((name, wait));
                    }
                }
                Step::Cancel(which) if !waits.is_empty() => {
                    let (name, wait) = waits.remove(which.index(waits.len()));
                    drop(wait);
                    model.line.retain(|&(who, _)| who != name);
                    if let Some(at) = model.told.iter().position(|&(who, _)| who == name) {
                        model.used -= model.told.remove(at).1.unwrap_or(0);
                    }
                    model.serve();
                }
                Step::Leave(which) if !inside.is_empty() => {
                    let (ticket, n) = inside.remove(which.index(inside.len()));
                    limit.leave(ticket, Outcome::Success);
                    model.used -= n;
                    model.serve();
                }
                Step::Resize(to) => {
                    limit.resize(to).unwrap();
                    model.resize(to);
                }
                Step::Cancel(_) | Step::Leave(_) => {}
            }
            prop_assert_eq!(limit.in_flight(), model.used);
            prop_assert_eq!(limit.waiting(), model.line.len());
            if name % 3 == 0 {
                // Everybody looks: exactly those who were told are done.
                let mut still = Vec::new();
                for (name, mut wait) in waits {
                    let now = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    let told = model.told.iter().position(|&(who, _)| who == name);
                    match (now, told.map(|at| model.told.remove(at).1)) {
                        (Poll::Pending, None) => still.push((name, wait)),
                        (Poll::Ready(Ok(ticket)), Some(Ok(n))) => inside.push((ticket, n)),
                        (Poll::Ready(Err(_)), Some(Err(()))) => {}
                        (now, told) => {
                            return Err(TestCaseError::fail(format!("{now:?}, expected {told:?}")));
                        }
                    }
                }
                waits = still;
            }
        }
    }
}
