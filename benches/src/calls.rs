//! Calls as users make them, for every suite: a gate asked for a permit, a service
//! asked when it is ready, a future polled to its end.

use crate::rounds::{Apart, Subject, admitted};
use plimsoll_core::{Admit, GateExt, Outcome};
use std::{
    convert::Infallible,
    future::{Ready, poll_fn, ready},
    hint::{self, black_box},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tower::{Service, service_fn};

/// As any gate is asked: a permit, held for the work, finished with its outcome.
#[inline]
pub(crate) fn finished<C: ?Sized, G: Admit<C>>(gate: &G, cx: &C) -> bool {
    match gate.try_admit_for(cx) {
        Ok(permit) => {
            permit.finish(Outcome::Success);
            true
        }
        Err(refusal) => admitted::<(), _>(Err(refusal)),
    }
}

/// A permit, held for the work and dropped; what remains of a refusal is looked at.
#[inline]
pub(crate) fn held<P, E>(taken: Result<P, E>) -> bool {
    admitted(taken.map(drop))
}

/// Polls without end are a lost wake-up, and no figure.
const POLLS: u64 = 1 << 32;

/// Polls a future until it is ready. One that waits for another thread is asked
/// again at once, so that no sleep of the system is counted as its own; `None` if
/// it is never ready. Inlined as an `.await` is: a call would move the future.
#[inline(always)]
pub(crate) fn ended<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..POLLS {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        hint::spin_loop();
    }
    None
}

/// A service that is ready and answers at once.
pub(crate) type Inner = tower::util::ServiceFn<fn(()) -> Ready<Result<(), Infallible>>>;

pub(crate) fn inner() -> Inner {
    service_fn(|()| ready(Ok(())))
}

/// One request through a service: ready, called, answered.
#[inline]
pub(crate) fn ask<R: Default, S: Service<R>>(service: &mut S) -> bool {
    match ended(poll_fn(|cx| service.poll_ready(cx))) {
        Some(Ok(())) => ended(service.call(R::default())).is_some_and(admitted),
        _ => false,
    }
}

/// A service that is asked. Each thread has a clone of its own, as a server's
/// connections have, and all clones share what they ask.
pub(crate) fn served<R, S>(name: &str, mut make: impl FnMut() -> S) -> Subject
where
    R: Default,
    S: Service<R> + Clone + Send + 'static,
{
    Subject::copied(name, || {
        let service = make();
        move |_| {
            let mut service = service.clone();
            move || ask(&mut service)
        }
    })
}

/// An object that threads share, and of which each thread's every tenth operation
/// is told that its work is to fail.
pub(crate) fn every_tenth<T, F>(name: &str, mut make: impl FnMut() -> T, op: F) -> Subject
where
    T: Send + Sync + 'static,
    F: Fn(&T, bool) -> bool + Clone + Send + 'static,
{
    Subject::copied(name, || {
        let (object, op) = (Arc::new(Apart(make())), op.clone());
        move |_| {
            let (object, op, mut n) = (object.clone(), op.clone(), 0_u32);
            move || {
                n = if n == 9 { 0 } else { n + 1 };
                op(black_box(&object.0), n == 0)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_is_not_ready_at_once_is_asked_again() {
        let mut polls = 0;
        let third = poll_fn(|_| {
            polls += 1;
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        });
        assert_eq!(ended(third), Some(3));
    }

    #[test]
    fn a_service_that_answers_admits() {
        assert!(ask::<(), _>(&mut inner()));
    }
}
