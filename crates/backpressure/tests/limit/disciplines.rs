//! Who is served first, and who is not served, by each discipline.

use super::MILLI;
use plimsoll_backpressure::{ConcurrencyLimit, Discipline, LimitTicket};
use plimsoll_core::{
    Admit, Clock, Deadline, Gate, GateExt, ManualClock, Outcome, Priority, Reason, Rejected, Weigh,
};
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

type Wait<'a> = Pin<Box<dyn Future<Output = Result<LimitTicket, Rejected>> + 'a>>;

fn poll(wait: &mut Wait<'_>) -> Option<Result<LimitTicket, Rejected>> {
    match wait.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A limit of one whose place is taken, and those who wait for it.
struct Line<'a, D: Discipline> {
    limit: &'a ConcurrencyLimit<D, ManualClock>,
    holds: Option<LimitTicket>,
    waits: Vec<(usize, Wait<'a>)>,
    came: usize,
}

impl<'a, D: Discipline> Line<'a, D> {
    fn behind<C: Sync>(limit: &'a ConcurrencyLimit<D, ManualClock>, first: &C) -> Self
    where
        ConcurrencyLimit<D, ManualClock>: Admit<C, Ticket = LimitTicket>,
    {
        let holds = Some(limit.try_enter(first).unwrap());
        Self { limit, holds, waits: Vec::new(), came: 0 }
    }

    /// Somebody comes, and waits or is refused.
    fn join<C: Sync>(&mut self, cx: &'a C) -> Option<Reason>
    where
        ConcurrencyLimit<D, ManualClock>: Admit<C, Ticket = LimitTicket>,
    {
        let mut wait: Wait<'a> = Box::pin(self.limit.enter(cx));
        let refused = poll(&mut wait).map(|now| now.unwrap_err().reason());
        if refused.is_none() {
            self.waits.push((self.came, wait));
        }
        self.came += 1;
        refused
    }

    /// The place is given back: who has it now, and who was refused meanwhile.
    fn next(&mut self) -> (Option<usize>, Vec<usize>) {
        if let Some(ticket) = self.holds.take() {
            self.limit.leave(ticket, Outcome::Success);
        }
        let (mut served, mut refused) = (None, Vec::new());
        let (limit, holds) = (self.limit, &mut self.holds);
        self.waits.retain_mut(|(who, wait)| match poll(wait) {
            None => true,
            Some(Ok(ticket)) => {
                assert!(served.replace(*who).is_none(), "two have the one place");
                assert_eq!(limit.in_flight(), 1);
                *holds = Some(ticket);
                false
            }
            Some(Err(_)) => {
                refused.push(*who);
                false
            }
        });
        (served, refused)
    }

    fn order(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.next().0).collect()
    }
}

fn one() -> (ConcurrencyLimit<plimsoll_backpressure::Fifo, ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (ConcurrencyLimit::new(1).clock(clock.clone()), clock)
}

#[test]
fn lifo_is_fair_to_a_burst_and_serves_the_newest_in_an_overload() {
    let (limit, clock) = one();
    let limit = limit.lifo(MILLI * 100);
    let mut line = Line::behind(&limit, &());
    (0..3).for_each(|_| assert_eq!(line.join(&()), None));
    clock.advance(MILLI * 100);
    assert_eq!(line.next().0, Some(0), "the line has not been there for longer than that");
    clock.advance(Duration::from_nanos(1));
    line.join(&());
    assert_eq!(line.order(), [3, 2, 1]);
    line.holds = limit.try_enter(&()).ok();
    (0..3).for_each(|_| assert_eq!(line.join(&()), None));
    assert_eq!(line.order(), [4, 5, 6], "it was empty: a burst again");
}

#[test]
fn a_full_lifo_line_refuses_the_newcomer_in_a_burst_and_the_oldest_in_an_overload() {
    let (limit, clock) = one();
    let limit = limit.lifo(MILLI * 100).queue(2);
    let mut line = Line::behind(&limit, &());
    (0..2).for_each(|_| assert_eq!(line.join(&()), None));
    assert_eq!(line.join(&()), Some(Reason::Concurrency));
    clock.advance(MILLI * 101);
    assert_eq!(line.join(&()), None);
    assert_eq!(limit.waiting(), 2);
    assert_eq!(line.next(), (Some(3), vec![0]));
}

#[test]
fn codel_refuses_some_in_front_while_waits_stand_and_says_overload() {
    let (limit, clock) = one();
    let limit = limit.codel(MILLI * 5, MILLI * 100);
    let mut line = Line::behind(&limit, &());
    let mut refused = Vec::new();
    for _ in 0..100 {
        line.join(&());
        line.join(&());
        clock.advance(MILLI * 10);
        refused.extend(line.next().1);
    }
    // A second of twice too many, of which it takes an interval to be sure.
    assert!((10..50).contains(&refused.len()), "{refused:?}");
    assert!(refused.is_sorted(), "from the front: {refused:?}");
    assert_eq!(limit.in_flight(), 1);
}

#[test]
fn codel_leaves_a_burst_alone() {
    let (limit, clock) = one();
    let limit = limit.codel(MILLI * 5, MILLI * 100);
    let mut line = Line::behind(&limit, &());
    (0..9).for_each(|_| assert_eq!(line.join(&()), None));
    for who in 0..9 {
        clock.advance(MILLI * 10);
        assert_eq!(line.next(), (Some(who), vec![]));
    }
}

#[test]
fn an_interval_that_means_nothing_is_an_error_that_says_what_is_allowed() {
    for (target, interval) in
        [(Duration::ZERO, Duration::ZERO), (MILLI * 5, MILLI * 4), (MILLI, Duration::MAX)]
    {
        let error = ConcurrencyLimit::new(1).try_codel(target, interval);
        let rule = "interval must be 1 ns to 584 years, and no shorter than the target";
        assert_eq!(error.unwrap_err().to_string(), format!("{rule}, but is {interval:?}"));
    }
}

#[test]
#[should_panic(expected = "interval must be 1 ns to 584 years")]
fn an_interval_that_means_nothing_panics_where_it_is_written() {
    let _ = ConcurrencyLimit::new(1).codel(MILLI, Duration::ZERO);
}

#[test]
fn the_highest_priority_goes_first_and_of_the_same_the_first_to_come() {
    let (limit, _clock) = one();
    let limit = limit.by_priority();
    let priorities = [5, 0, 10, 5, 10, 0].map(Priority::new);
    let mut line = Line::behind(&limit, &Priority::LOWEST);
    priorities.iter().for_each(|priority| assert_eq!(line.join(priority), None));
    assert_eq!(line.order(), [2, 4, 0, 3, 1, 5]);
}

#[test]
fn a_full_line_by_priority_refuses_its_lowest_and_nobody_of_the_same_rank() {
    let (limit, _clock) = one();
    let limit = limit.by_priority().queue(2);
    let [low, normal, high] = [Priority::LOWEST, Priority::NORMAL, Priority::HIGHEST];
    let mut line = Line::behind(&limit, &low);
    assert_eq!([line.join(&low), line.join(&normal)], [None, None]);
    assert_eq!(line.join(&low), Some(Reason::Concurrency));
    assert_eq!(line.join(&normal), None);
    assert_eq!(line.join(&normal), Some(Reason::Concurrency));
    assert_eq!(line.join(&high), None);
    assert_eq!(line.next(), (Some(5), vec![0, 3]));
    assert_eq!(line.order(), [1]);
}

#[test]
fn the_earliest_deadline_goes_first_and_what_has_passed_is_refused_not_run() {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        let (limit, clock) = one();
        let limit = limit.by_deadline();
        let at = [50, 20, 30, 40].map(|millis| Deadline::after_on(&clock, MILLI * millis));
        let mut line = Line::behind(&limit, &at[0]);
        at.iter().for_each(|deadline| assert_eq!(line.join(deadline), None));
        clock.advance(MILLI * 10);
        assert_eq!(line.next(), (Some(1), vec![]));
        clock.advance(MILLI * 20); // at which 30 has passed
        assert_eq!(line.next(), (Some(3), vec![2]));
        assert_eq!(limit.try_enter(&at[1]).unwrap_err().reason(), Reason::Deadline);
        clock.advance(MILLI * 20);
        assert_eq!(line.next(), (None, vec![0]));
        assert_eq!(limit.in_flight(), 0);
        let passed = limit.enter(&at[0]).await.unwrap_err();
        assert_eq!((passed.reason(), limit.in_flight()), (Reason::Deadline, 0));
    });
}

#[test]
fn work_that_cannot_meet_its_deadline_is_refused_though_it_has_not_passed() {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
        let (limit, clock) = one();
        let limit = limit.work_takes(MILLI * 10).by_deadline();
        let at = Deadline::after_on(&clock, MILLI * 30);
        let mut line = Line::behind(&limit, &at);
        assert_eq!(line.join(&at), None);
        clock.advance(MILLI * 20);
        assert_eq!(line.next(), (None, vec![0]));
        assert_eq!(limit.try_admit_for(&at).unwrap_err().reason(), Reason::Deadline);
    });
}

/// A million ask for the one place, which is taken, and as many wait as may.
fn flood<C: Sync, D: Discipline>(
    limit: &ConcurrencyLimit<D, ManualClock>,
    clock: &ManualClock,
    all: &[C],
) where
    ConcurrencyLimit<D, ManualClock>: Admit<C, Ticket = LimitTicket>,
{
    let _held = limit.try_enter(&all[0]).unwrap();
    let mut waits: Vec<Wait<'_>> = Vec::new();
    for caller in 0..1_000_000_usize {
        let mut wait: Wait<'_> = Box::pin(limit.enter(&all[caller * 7 % all.len()]));
        if poll(&mut wait).is_none() {
            waits.push(wait);
        }
        // Those who were displaced, and have been told, go.
        if waits.len() == 200 {
            waits.retain_mut(|wait| poll(wait).is_none());
        }
        clock.advance(Duration::from_nanos(1));
        assert!(limit.waiting() <= 100 && waits.len() < 200);
    }
    waits.retain_mut(|wait| poll(wait).is_none());
    assert_eq!((waits.len(), limit.waiting()), (100, 100));
    drop(waits);
    assert_eq!(limit.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_million_callers_are_bounded_by_the_line_whatever_the_discipline() {
    let clock = ManualClock::new();
    let limit = || ConcurrencyLimit::new(1).queue(100).clock(clock.clone());
    flood(&limit(), &clock, &[()]);
    flood(&limit().lifo(MILLI * 10), &clock, &[()]);
    flood(&limit().codel(MILLI * 5, MILLI * 100), &clock, &[()]);
    let priorities: Vec<_> = (0..=10).map(Priority::new).collect();
    flood(&limit().by_priority(), &clock, &priorities);
    let in_time = |n| Deadline::after_on(&clock, MILLI * n);
    let deadlines: Vec<_> = (100..=110).map(in_time).collect();
    flood(&limit().by_deadline(), &clock, &deadlines);
}

/// A limit of three of which two are taken, and somebody who waits for two.
#[test]
fn a_newcomer_who_goes_first_and_fits_need_not_wait_for_a_large_one_behind_it() {
    let clock = ManualClock::new();
    let limit = ConcurrencyLimit::new(3).clock(clock.clone()).by_priority();
    let [low, high] = [(Priority::LOWEST, 2), (Priority::HIGHEST, 1)];
    let _held = limit.try_enter(&low).unwrap();
    let (mut large, mut small): (Wait<'_>, Wait<'_>) =
        (Box::pin(limit.enter(&low)), Box::pin(limit.enter(&high)));
    assert!(poll(&mut large).is_none());
    poll(&mut small);
    assert!(poll(&mut small).unwrap().is_ok(), "one place is free");
    assert!(poll(&mut large).is_none());

    let limit = ConcurrencyLimit::new(3).clock(clock.clone()).lifo(MILLI * 10);
    let _held = limit.try_enter_n(2).unwrap();
    let (mut large, mut small): (Wait<'_>, Wait<'_>) =
        (Box::pin(limit.enter_n(2)), Box::pin(limit.enter_n(1)));
    assert!(poll(&mut large).is_none());
    clock.advance(MILLI * 11);
    poll(&mut small);
    assert!(poll(&mut small).unwrap().is_ok(), "it is the newest of an overload");
}

#[test]
fn nobody_smaller_passes_a_large_one_who_is_next() {
    let (limit, _clock) = one();
    let limit = limit.by_priority();
    limit.resize(3).unwrap();
    let [low, high] = [(Priority::LOWEST, 1), (Priority::HIGHEST, 3)];
    let held = [0; 3].map(|_| limit.try_enter(&low).unwrap());
    let (mut small, mut large): (Wait<'_>, Wait<'_>) =
        (Box::pin(limit.enter(&low)), Box::pin(limit.enter(&high)));
    assert!(poll(&mut small).is_none() && poll(&mut large).is_none());
    for ticket in held {
        assert!(poll(&mut small).is_none() && poll(&mut large).is_none());
        limit.leave(ticket, Outcome::Success);
    }
    assert!(poll(&mut small).is_none());
    assert!(poll(&mut large).unwrap().is_ok(), "places came together for it");
}

#[test]
fn codel_does_not_judge_a_large_one_before_it_fits() {
    let clock = ManualClock::new();
    let limit = ConcurrencyLimit::new(2).clock(clock.clone()).codel(MILLI * 5, MILLI * 100);
    let held = [0; 2].map(|_| limit.try_enter_n(1).unwrap());
    let mut waits: Vec<Wait<'_>> = (0..3).map(|_| Box::pin(limit.enter_n(2)) as Wait<'_>).collect();
    assert!(waits.iter_mut().all(|wait| poll(wait).is_none()));
    clock.advance(MILLI * 10);
    let [first, second] = held;
    limit.leave(first, Outcome::Success); // too few for anybody: nothing is learned
    clock.advance(MILLI * 100);
    limit.leave(second, Outcome::Success); // the first time that anybody leaves the line
    assert!(poll(&mut waits[0]).unwrap().is_ok(), "an interval has only begun");
}

#[test]
fn a_weight_beyond_counting_is_refused_by_every_discipline_and_nothing_wraps() {
    let (limit, clock) = one();
    for n in [2, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
        assert!(limit.try_enter_n(n).is_err());
        assert!(poll(&mut (Box::pin(limit.enter_n(n)) as Wait<'_>)).unwrap().is_err());
    }
    let late = Deadline::at(plimsoll_core::Tick::MAX);
    let by_deadline = ConcurrencyLimit::new(1).clock(clock).by_deadline();
    assert!(by_deadline.try_enter(&(late, u64::MAX)).is_err());
    assert!(by_deadline.try_enter(&(late, 1)).is_ok());
    assert_eq!((limit.in_flight(), by_deadline.in_flight()), (0, 1));
}

#[test]
fn a_clock_that_stands_or_goes_back_neither_panics_nor_opens() {
    let (limit, clock) = one();
    let limit = limit.codel(MILLI * 5, MILLI * 100);
    let mut line = Line::behind(&limit, &());
    (0..50).for_each(|_| _ = line.join(&()));
    let start = clock.now();
    for round in 0..50 {
        clock.set(if round % 2 == 0 { start } else { plimsoll_core::Tick::MAX });
        line.next();
        assert!(limit.in_flight() <= 1);
    }
}
