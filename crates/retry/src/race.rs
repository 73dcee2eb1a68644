//! The waiting: several calls, and the first that succeeds.

use crate::{Hedge, HedgeEvent, Judge, ObserveHedge, Verdict, budget::Reserved};
use plimsoll_core::{Clock, Tick};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

impl<J, O: ObserveHedge, K: Clock> Hedge<J, O, K> {
    /// Makes a call, and others beside it if it takes long; see [`Hedge`] for
    /// what happens when.
    ///
    /// # Errors
    ///
    /// The error of the call that failed last, or the first permanent one.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if the first call does not succeed at
    /// once.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops all calls. The budget keeps what hedges have cost.
    pub async fn run<T, E, F, A>(&self, mut call: F) -> Result<T, E>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
    {
        self.run_numbered(move |_| call()).await
    }

    /// [`run`](Self::run), telling each call its number, 1 for the first: for a
    /// header that tells the server, or another address each time.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn run_numbered<T, E, F, A>(&self, mut call: F) -> Result<T, E>
    where
        F: FnMut(u32) -> A,
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
    {
        let paid = move |number, reserved: Reserved<'_>| {
            reserved.spend();
            (call(number), true)
        };
        self.run_paid(paid).await
    }

    /// For layers, whose calls may have to wait until they really begin: each says
    /// when, and so is paid for. `call` also says whether another could follow.
    #[doc(hidden)]
    pub async fn run_paid<'a, T, E, F, A>(&'a self, mut call: F) -> Result<T, E>
    where
        F: FnMut(u32, Reserved<'a>) -> (A, bool),
        A: Future<Output = Result<T, E>>,
        J: Judge<E>,
    {
        let mut race = Race::of(self);
        let (first, more) = call(1, Reserved::FREE);
        race.made(more);
        let mut first = pin!(Some(first));
        let mut others: Vec<(u32, Pin<Box<A>>)> = Vec::new();
        let mut timer = pin!(None);
        // All calls live in this function, so they are gone before its answer is
        // there: whoever has that can rely on it that nothing else is under way.
        poll_fn(|cx| {
            loop {
                let step = match race.poll_calls(first.as_mut(), &mut others, cx) {
                    Poll::Ready((number, result)) => race.ended(number, result),
                    Poll::Pending => race.poll_timer(timer.as_mut(), cx),
                };
                match step {
                    Step::Call(reserved) => {
                        timer.set(None); // the delay begins anew
                        let number = race.made.saturating_add(1);
                        let (call, more) = call(number, reserved);
                        others.push((number, Box::pin(call)));
                        race.made(more);
                    }
                    Step::Wait => {}
                    Step::Pending => return Poll::Pending,
                    Step::Done(result) => return Poll::Ready(result),
                }
            }
        })
        .await
    }
}

/// What comes next.
enum Step<'a, T, E> {
    /// Another call, paid for.
    Call(Reserved<'a>),
    /// Look again at those under way.
    Wait,
    /// Nothing until somebody wakes the task.
    Pending,
    Done(Result<T, E>),
}

/// How a hedged call stands.
struct Race<'a, J, O, K> {
    hedge: &'a Hedge<J, O, K>,
    made: u32,
    /// So many there may be, the first included.
    most: u32,
    running: u32,
    /// The delay of this call, if it is known; looked up when the first call has
    /// to be waited for.
    delay: Option<Option<Duration>>,
    /// No more calls because of time: the budget is spent.
    spent: bool,
    /// When the first call began, until it is measured.
    measured_from: Option<Tick>,
}

impl<'a, J, O: ObserveHedge, K: Clock> Race<'a, J, O, K> {
    fn of(hedge: &'a Hedge<J, O, K>) -> Self {
        let measured_from = hedge.delay.quantile().map(|_| hedge.clock.now());
        let most = hedge.calls;
        Self { hedge, made: 0, most, running: 0, delay: None, spent: false, measured_from }
    }

    /// A call was made, and whether another could follow.
    fn made(&mut self, more: bool) {
        self.made += 1;
        self.running += 1;
        if !more {
            self.most = self.made;
        }
    }

    /// The next call to end, and its number.
    fn poll_calls<T, E, A>(
        &mut self,
        mut first: Pin<&mut Option<A>>,
        others: &mut Vec<(u32, Pin<Box<A>>)>,
        cx: &mut Context<'_>,
    ) -> Poll<(u32, Result<T, E>)>
    where
        A: Future<Output = Result<T, E>>,
    {
        if let Some(call) = first.as_mut().as_pin_mut() {
            if let Poll::Ready(result) = call.poll(cx) {
                first.set(None);
                self.first_ended(result.is_ok());
                return Poll::Ready((1, result));
            }
        }
        for at in 0..others.len() {
            if let Poll::Ready(result) = others[at].1.as_mut().poll(cx) {
                let (number, call) = others.swap_remove(at);
                drop(call);
                return Poll::Ready((number, result));
            }
        }
        Poll::Pending
    }

    /// A failure may be quick or slow for reasons of its own: it is not measured.
    fn first_ended(&mut self, succeeded: bool) {
        let Some(start) = self.measured_from.take().filter(|_| succeeded) else { return };
        if let Some(quantile) = self.hedge.delay.quantile() {
            quantile.record(self.hedge.clock.now().since(start));
        }
    }
}

impl<'a, J, O: ObserveHedge, K: Clock> Race<'a, J, O, K> {
    /// The call with this number has ended.
    fn ended<T, E>(&mut self, number: u32, result: Result<T, E>) -> Step<'a, T, E>
    where
        J: Judge<E>,
    {
        self.running -= 1;
        let error = match result {
            Ok(answer) => {
                if let Some(budget) = &self.hedge.budget {
                    budget.deposit();
                }
                self.hedge.observer.hedging(HedgeEvent::Won(number));
                return Step::Done(Ok(answer));
            }
            Err(error) => error,
        };
        let next = match self.hedge.judge.judge(&error) {
            Verdict::Permanent => return Step::Done(Err(error)),
            Verdict::Transient => self.pay(),
            Verdict::NotBefore(_) => None,
        };
        match next {
            Some(reserved) => Step::Call(reserved),
            None if self.running == 0 => Step::Done(Err(error)),
            None => Step::Wait,
        }
    }

    /// Pays for another call, if there may be one.
    fn pay(&mut self) -> Option<Reserved<'a>> {
        if self.made >= self.most {
            return None;
        }
        let Hedge { budget, clock, observer, .. } = self.hedge;
        let reserved = Reserved::from(budget.as_ref(), clock.now());
        self.spent = reserved.is_none();
        let made = HedgeEvent::Made(self.made.saturating_add(1));
        observer.hedging(if self.spent { HedgeEvent::Unpaid } else { made });
        reserved
    }

    fn poll_timer<T, E>(
        &mut self,
        mut timer: Pin<&mut Option<Sleep>>,
        cx: &mut Context<'_>,
    ) -> Step<'a, T, E> {
        if self.spent || self.made >= self.most {
            return Step::Pending;
        }
        let known = self.delay.get_or_insert_with(|| self.hedge.delay.get());
        let Some(delay) = *known else { return Step::Pending };
        if timer.is_none() {
            timer.set(Some(sleep(delay)));
        }
        match timer.as_mut().as_pin_mut().map(|timer| timer.poll(cx)) {
            Some(Poll::Ready(())) => {
                self.first_is_slow(delay);
                self.pay().map_or(Step::Pending, Step::Call)
            }
            _ => Step::Pending,
        }
    }

    /// The first call is not waited for alone any more, if it still runs.
    fn first_is_slow(&mut self, delay: Duration) {
        if self.measured_from.take().is_some() {
            if let Some(quantile) = self.hedge.delay.quantile() {
                quantile.record_over(delay);
            }
        }
    }
}
