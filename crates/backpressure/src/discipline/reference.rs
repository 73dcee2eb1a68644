//! Each discipline beside a list and a rule, whatever comes in whatever order:
//! who is served, who is refused, and when.

use super::{ByDeadline, ByPriority, CoDel, Discipline, Lifo};
use plimsoll_core::{Clock, Deadline, ManualClock, Priority, Tick};
use plimsoll_wait::{NoPlace, Order, Places, Take};
use proptest::{prelude::*, sample::Index};
use std::{
    cmp::Reverse,
    fmt::Debug,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

const MILLI: Duration = Duration::from_millis(1);
const QUEUE: usize = 4;
const LIMIT: u32 = 3;

/// Somebody in the list.
#[derive(Clone, Copy, Debug)]
struct Waiting<A> {
    who: usize,
    n: u32,
    about: A,
    since: Tick,
}

/// Who is next in a list of those who wait, the oldest first, and whether it is
/// to be refused; and who makes way for a newcomer in a full one.
trait Rule<A> {
    fn next(&mut self, list: &[Waiting<A>], free: u32, now: Tick) -> (usize, bool);
    fn makes_way(&self, list: &[Waiting<A>], newcomer: A, now: Tick) -> Option<usize>;
    /// The list was empty until now.
    fn began(&mut self, _: Tick) {}
    fn emptied(&mut self) {}
}

struct Model<A, R> {
    list: Vec<Waiting<A>>,
    /// What became of those who waited and have not been told.
    fates: Vec<(usize, Result<(), NoPlace>)>,
    used: u32,
    rule: R,
    now: Tick,
}

impl<A: Copy, R: Rule<A>> Model<A, R> {
    /// Somebody comes: `None` if it waits.
    fn join(&mut self, who: usize, n: u32, about: A) -> Option<Result<(), NoPlace>> {
        if n > LIMIT {
            return Some(Err(NoPlace::TooLarge));
        }
        if n == 0 || self.list.is_empty() && self.used + n <= LIMIT {
            self.used += n;
            return Some(Ok(()));
        }
        if self.list.len() == QUEUE {
            let Some(at) = self.rule.makes_way(&self.list, about, self.now) else {
                return Some(Err(NoPlace::LineFull));
            };
            self.conclude(at, Err(NoPlace::Dropped));
        }
        if self.list.is_empty() {
            self.rule.began(self.now);
        }
        self.list.push(Waiting { who, n, about, since: self.now });
        self.serve();
        None
    }

    fn conclude(&mut self, at: usize, fate: Result<(), NoPlace>) {
        let gone = self.list.remove(at);
        self.fates.push((gone.who, fate));
        if self.list.is_empty() {
            self.rule.emptied();
        }
    }

    fn serve(&mut self) {
        while self.used < LIMIT && !self.list.is_empty() {
            let free = LIMIT - self.used;
            let (at, refused) = self.rule.next(&self.list, free, self.now);
            let n = self.list[at].n;
            if refused {
                self.conclude(at, Err(NoPlace::Dropped));
            } else if n <= free {
                self.used += n;
                self.conclude(at, Ok(()));
            } else {
                return;
            }
        }
    }

    fn give_back(&mut self, n: u32) {
        self.used -= n;
        self.serve();
    }

    /// Somebody gives up, told or not.
    fn cancel(&mut self, who: usize, n: u32) {
        if let Some(at) = self.fates.iter().position(|fate| fate.0 == who) {
            if self.fates.remove(at).1.is_ok() {
                self.give_back(n);
            }
        } else if let Some(at) = self.list.iter().position(|waiting| waiting.who == who) {
            self.list.remove(at);
            if self.list.is_empty() {
                self.rule.emptied();
            }
            self.serve();
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// With a weight, and something that the order must know.
    Join(u32, u8),
    GiveUp(Index),
    Leave(Index),
    Pass(u32),
    /// Everybody looks what has become of them.
    Look,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0_u32..5, 0_u8..11).prop_map(|(n, about)| Step::Join(n, about)),
        1 => any::<Index>().prop_map(Step::GiveUp),
        3 => any::<Index>().prop_map(Step::Leave),
        3 => (1_u32..60).prop_map(Step::Pass),
        3 => Just(Step::Look),
    ];
    prop::collection::vec(step, 0..120)
}

/// Goes through `steps` with both, and compares after each.
fn follow<D, A, R>(
    steps: Vec<Step>,
    discipline: &D,
    rule: R,
    about: impl Fn(u8, Tick) -> A,
) -> Result<(), TestCaseError>
where
    D: Discipline<Order<ManualClock>: Order<About = A>>,
    A: Copy + Debug,
    R: Rule<A>,
{
    let clock = ManualClock::new();
    let places = Places::ordered(LIMIT, QUEUE, discipline.order(clock.clone()));
    let mut model = Model { list: Vec::new(), fates: Vec::new(), used: 0, rule, now: clock.now() };
    let poll = |take: &mut Pin<Box<Take<'_, _>>>| match take
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(taken) => Some(taken),
        Poll::Pending => None,
    };
    let mut takes: Vec<(usize, u32, Pin<Box<Take<'_, _>>>)> = Vec::new();
    let mut inside: Vec<u32> = Vec::new();
    for (who, step) in steps.into_iter().enumerate() {
        match step {
            Step::Join(n, class) => {
                let about = about(class, model.now);
                let mut take = Box::pin(places.take_as(n, about));
                let taken = poll(&mut take);
                prop_assert_eq!(taken, model.join(who, n, about), "{} joins for {}", who, n);
                match taken {
                    None => takes.push((who, n, take)),
                    Some(Ok(())) => inside.push(n),
                    Some(Err(_)) => {}
                }
            }
            Step::GiveUp(which) if !takes.is_empty() => {
                let (who, n, take) = takes.remove(which.index(takes.len()));
                drop(take);
                model.cancel(who, n);
            }
            Step::Leave(which) if !inside.is_empty() => {
                let n = inside.remove(which.index(inside.len()));
                if n > 0 {
                    places.give_back(n);
                    model.give_back(n);
                }
            }
            Step::Pass(millis) => {
                clock.advance(MILLI * millis);
                model.now = clock.now();
            }
            Step::Look => {
                let mut still = Vec::new();
                for (who, n, mut take) in takes {
                    let fate = model.fates.iter().position(|fate| fate.0 == who);
                    let fate = fate.map(|at| model.fates.remove(at).1);
                    let taken = poll(&mut take);
                    prop_assert_eq!(taken, fate, "what became of {}", who);
                    match taken {
                        None => still.push((who, n, take)),
                        Some(Ok(())) => inside.push(n),
                        Some(Err(_)) => {}
                    }
                }
                takes = still;
            }
            Step::GiveUp(_) | Step::Leave(_) => {}
        }
        prop_assert_eq!((places.used(), places.waiting()), (model.used, model.list.len()));
    }
    Ok(())
}

/// The oldest first, the newest once there has always been somebody for so long.
struct NewestFirst {
    after: Duration,
    since: Tick,
}

impl NewestFirst {
    fn is_overloaded(&self, now: Tick) -> bool {
        now.since(self.since) > self.after
    }
}

impl Rule<()> for NewestFirst {
    fn next(&mut self, list: &[Waiting<()>], _: u32, now: Tick) -> (usize, bool) {
        (if self.is_overloaded(now) { list.len() - 1 } else { 0 }, false)
    }

    fn makes_way(&self, _: &[Waiting<()>], (): (), now: Tick) -> Option<usize> {
        self.is_overloaded(now).then_some(0)
    }

    fn began(&mut self, now: Tick) {
        self.since = now;
    }
}

/// The least of what they are told, the oldest of those that are equal.
struct LeastFirst<L>(L);

impl<A: Copy + Ord, L: Fn(A, Tick) -> bool> Rule<A> for LeastFirst<L> {
    fn next(&mut self, list: &[Waiting<A>], _: u32, now: Tick) -> (usize, bool) {
        let least = (0..list.len()).min_by_key(|&at| (list[at].about, at)).unwrap_or_default();
        (least, (self.0)(list[least].about, now))
    }

    fn makes_way(&self, list: &[Waiting<A>], newcomer: A, _: Tick) -> Option<usize> {
        let most = (0..list.len()).max_by_key(|&at| (list[at].about, at))?;
        (list[most].about > newcomer).then_some(most)
    }
}

/// The pseudocode of RFC 8289, section 5.
struct Rfc8289 {
    rules: CoDel,
    first_above: Option<Tick>,
    dropping: bool,
    drop_next: Tick,
    count: u32,
    last_count: u32,
}

impl Rfc8289 {
    fn control_law(&self, from: Tick) -> Tick {
        from + self.rules.interval.div_f64(f64::from(self.count).sqrt())
    }

    fn ok_to_drop(&mut self, sojourn: Duration, backlog: usize, now: Tick) -> bool {
        if sojourn < self.rules.target || backlog == 1 {
            self.first_above = None;
        } else if self.first_above.is_none() {
            self.first_above = Some(now + self.rules.interval);
        } else {
            return Some(now) >= self.first_above;
        }
        false
    }
}

impl Rule<()> for Rfc8289 {
    fn next(&mut self, list: &[Waiting<()>], free: u32, now: Tick) -> (usize, bool) {
        if list[0].n > free {
            return (0, false);
        }
        let ok_to_drop = self.ok_to_drop(now.since(list[0].since), list.len(), now);
        let mut drop = false;
        if self.dropping {
            if !ok_to_drop {
                self.dropping = false;
            } else if now >= self.drop_next {
                self.count += 1;
                self.drop_next = self.control_law(self.drop_next);
                drop = true;
            }
        } else if ok_to_drop {
            self.dropping = true;
            let delta = self.count - self.last_count;
            let recent = now.since(self.drop_next) < self.rules.interval * 16;
            self.count = if delta > 1 && recent { delta } else { 1 };
            self.last_count = self.count;
            self.drop_next = self.control_law(now);
            drop = true;
        }
        (0, drop)
    }

    fn makes_way(&self, _: &[Waiting<()>], (): (), _: Tick) -> Option<usize> {
        None
    }

    fn emptied(&mut self) {
        self.first_above = None;
        self.dropping = false;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn lifo_is_a_list_served_from_the_front_and_in_an_overload_from_the_back(steps in steps()) {
        let after = MILLI * 40;
        follow(steps, &Lifo { after }, NewestFirst { after, since: Tick::ZERO }, |_, _| ())?;
    }

    #[test]
    fn by_priority_is_a_list_sorted_by_priority(steps in steps()) {
        let rule = LeastFirst(|_: Reverse<Priority>, _| false);
        follow(steps, &ByPriority, rule, |class, _| Reverse(Priority::new(class)))?;
    }

    #[test]
    fn by_deadline_is_a_list_sorted_by_deadline_in_which_what_is_late_is_refused(
        steps in steps()
    ) {
        let work_takes = MILLI * 5;
        let rule = LeastFirst(move |deadline: Deadline, now| now >= deadline.tick() - work_takes);
        follow(steps, &ByDeadline { work_takes }, rule, |class, now| {
            Deadline::at(now + MILLI * (10 + 20 * u32::from(class)))
        })?;
    }

    #[test]
    fn codel_refuses_in_front_whom_rfc_8289_would_drop(steps in steps()) {
        let rules = CoDel { target: MILLI * 5, interval: MILLI * 40 };
        let (first_above, dropping, drop_next) = (None, false, Tick::ZERO);
        let rule = Rfc8289 { rules, first_above, dropping, drop_next, count: 0, last_count: 0 };
        follow(steps, &rules, rule, |_, _| ())?;
    }
}
