//! One round: a fixed number of operations on one, or on two threads at once; or
//! of items through a flow.

use crate::{
    flow::{Flow, Runtimes},
    on::On,
};
use anyhow::{Context, Result};
use futures::FutureExt as _;
use std::{
    fs::File,
    hint::{self, black_box},
    io::{Read, Seek},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// What is measured, as one thread sees it.
pub(crate) trait Lane: Send {
    /// Does `ops` operations and says how many of them were admitted.
    fn round(&mut self, ops: u64) -> u64;
}

/// Something on cache lines of its own. What the allocator happens to put beside
/// a subject must not decide its figure on two threads.
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

/// One operation at a time, in a loop compiled for this very closure: no
/// subject pays for an indirect call that another does not pay for.
struct Each<F>(Apart<F>);

impl<F: FnMut() -> bool + Send> Lane for Each<F> {
    fn round(&mut self, ops: u64) -> u64 {
        let mut admitted = 0;
        for _ in 0..ops {
            admitted += u64::from((self.0.0)());
        }
        admitted
    }
}

/// What every operation of a subject must answer. Checked after each round, so
/// that a bucket which runs dry is not mistaken for a fast one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expect {
    Admitted,
    Refused,
}

/// One contestant.
pub(crate) struct Subject {
    pub(crate) name: String,
    work: Work,
}

enum Work {
    /// Several of it that take turns, each with a lane for each thread that takes
    /// part.
    Lanes {
        copies: Vec<Lanes>,
        next: usize,
    },
    Flow(Flow),
}

type Lanes = Vec<Option<Box<dyn Lane>>>;

/// The most threads that a round has.
pub(crate) const THREADS: usize = 2;

/// How many of a small object take turns. Where one happens to lie in memory
/// decides a fifth of what two threads pay for it.
const COPIES: usize = 8;

impl Subject {
    /// An object that all threads share. `op` answers whether it was admitted.
    pub(crate) fn shared<T, F>(name: &str, mut make: impl FnMut() -> T, op: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(&T) -> bool + Clone + Send + 'static,
    {
        Self::copied(name, || {
            let (object, op) = (Arc::new(Apart(make())), op.clone());
            move |_| {
                let (object, op) = (object.clone(), op.clone());
                // The compiler must look at the object anew for each operation.
                move || op(black_box(&object.0))
            }
        })
    }

    /// Like [`shared`](Self::shared) for objects that each thread holds in its
    /// own way: `make` makes one, and a lane for each thread out of it.
    pub(crate) fn copied<F, L>(name: &str, mut make: impl FnMut() -> L) -> Self
    where
        F: FnMut() -> bool + Send + 'static,
        L: FnMut(usize) -> F,
    {
        let copies = (0..COPIES).map(|_| lanes(make())).collect();
        Self { name: name.into(), work: Work::Lanes { copies, next: 0 } }
    }

    /// Only one, of something large: an operation per thread, which may own what
    /// a thread would own, such as its place in a sequence of keys.
    pub(crate) fn per_thread<F>(name: &str, lane: impl FnMut(usize) -> F) -> Self
    where
        F: FnMut() -> bool + Send + 'static,
    {
        Self { name: name.into(), work: Work::Lanes { copies: vec![lanes(lane)], next: 0 } }
    }

    /// Tasks that pass items on: `start` builds all of it for so many items, and
    /// answers how many came out.
    pub(crate) fn flow<F>(name: &str, start: impl Fn(u64) -> F + Send + 'static) -> Self
    where
        F: Future<Output = u64> + Send + 'static,
    {
        let flow: Flow = Box::new(move |items| start(items).boxed());
        Self { name: name.into(), work: Work::Flow(flow) }
    }
}

fn lanes<F>(mut lane: impl FnMut(usize) -> F) -> Lanes
where
    F: FnMut() -> bool + Send + 'static,
{
    let boxed = |i| Some(Box::new(Each(Apart(lane(i)))) as Box<dyn Lane>);
    (0..THREADS).map(boxed).collect()
}

/// What a caller has in hand afterwards. The refusal is built, not only told
/// apart: it is what the caller answers with.
#[inline]
pub(crate) fn admitted<T, E>(result: Result<T, E>) -> bool {
    match result {
        Ok(value) => {
            black_box(value);
            true
        }
        Err(refusal) => {
            black_box(refusal);
            false
        }
    }
}

/// How one thread's part of a round went.
struct Part {
    took: Duration,
    /// Time it was ready to run and had no CPU, where the system tells.
    waited: Option<Duration>,
    admitted: u64,
}

/// How a round went.
pub(crate) struct Round {
    /// Nanoseconds per operation as a thread sees it; the mean of the threads.
    pub(crate) ns: f64,
    /// Whether every thread had a CPU for all but 1 % of it. True where the
    /// system does not tell.
    pub(crate) clean: bool,
    pub(crate) admitted: u64,
}

struct Job {
    lane: Box<dyn Lane>,
    warm: u64,
    ops: u64,
    /// How many threads start together, and how many have arrived.
    threads: usize,
    arrived: Arc<AtomicUsize>,
}

type Answer = (Box<dyn Lane>, Part);

/// The threads and runtimes that run the rounds. They live as long as the suite,
/// as the threads of a service do: what a subject keeps per thread stays warm.
pub(crate) struct Crew {
    members: Vec<(Sender<Job>, Receiver<Answer>)>,
    runtimes: Runtimes,
}

impl Crew {
    pub(crate) fn new() -> Result<Self> {
        let runtimes = Runtimes::new()?;
        let member = |i| {
            let (jobs, inbox) = channel();
            let (outbox, answers) = channel();
            let runtime = runtimes.handle();
            thread::Builder::new()
                .name(format!("round-{i}"))
                .spawn(move || {
                    // Some limiters arm a timer, and panic where there is none.
                    let _timers = runtime.enter();
                    work(&inbox, &outbox);
                })
                .context("could not start a thread")?;
            Ok((jobs, answers))
        };
        let members = (0..THREADS).map(member).collect::<Result<_>>()?;
        Ok(Self { members, runtimes })
    }

    /// Runs one round of `ops` operations, on each of the threads where it runs on
    /// threads. `warm` more of them come before.
    pub(crate) fn round(
        &self,
        subject: &mut Subject,
        on: On,
        warm: u64,
        ops: u64,
    ) -> Result<Round> {
        let gone = || format!("a round of {} panicked", subject.name);
        let (copies, next) = match &mut subject.work {
            Work::Lanes { copies, next } => (copies, next),
            Work::Flow(flow) => {
                return self.runtimes.round(flow, on, warm, ops).with_context(gone);
            }
        };
        let On::Threads(threads) = on else { anyhow::bail!("{} is no flow", subject.name) };
        let arrived = Arc::new(AtomicUsize::new(0));
        let crew = &self.members[..threads];
        let turn = *next % copies.len();
        let lanes = &mut copies[turn];
        *next += 1;
        for ((jobs, _), lane) in crew.iter().zip(&mut *lanes) {
            let lane = lane.take().with_context(gone)?;
            let job = Job { lane, warm, ops, threads, arrived: arrived.clone() };
            jobs.send(job).ok().with_context(gone)?;
        }
        let mut round = Round { ns: 0.0, clean: true, admitted: 0 };
        for ((_, answers), place) in crew.iter().zip(lanes) {
            let (lane, part) = answers.recv().with_context(gone)?;
            *place = Some(lane);
            round.ns += part.took.as_secs_f64() * 1e9 / ops as f64 / threads as f64;
            round.clean &= part.waited.is_none_or(|waited| waited < part.took / 100);
            round.admitted += part.admitted;
        }
        Ok(round)
    }
}

/// A member of the crew.
fn work(inbox: &Receiver<Job>, outbox: &Sender<Answer>) {
    let mut sched = Schedstat::open();
    while let Ok(Job { mut lane, warm, ops, threads, arrived }) = inbox.recv() {
        // The other rounds of this turn have used the caches meanwhile.
        lane.round(warm);
        let before = sched.waited();
        arrived.fetch_add(1, Ordering::AcqRel);
        while arrived.load(Ordering::Acquire) < threads {
            hint::spin_loop();
        }
        let start = Instant::now();
        let admitted = lane.round(ops);
        let took = start.elapsed();
        let waited = sched.waited().zip(before).map(|(after, before)| after - before);
        if outbox.send((lane, Part { took, waited, admitted })).is_err() {
            return;
        }
    }
}

/// What Linux tells of a thread: `<ns on a CPU> <ns waiting for one> <slices>`.
struct Schedstat(Option<File>);

impl Schedstat {
    /// Of the thread that opens it.
    fn open() -> Self {
        Self(File::open("/proc/thread-self/schedstat").ok())
    }

    fn waited(&mut self) -> Option<Duration> {
        let file = self.0.as_mut()?;
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        text.split(' ').nth(1)?.parse().ok().map(Duration::from_nanos)
    }
}

/// Whether this system tells how long a thread waited for a CPU.
pub(crate) fn tells_waiting() -> bool {
    Schedstat::open().waited().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::on::{ONE, TWO};

    #[test]
    fn a_round_runs_every_lane_the_same_number_of_times() {
        let mut subject = Subject::shared("counter", AtomicUsize::default, |counter| {
            counter.fetch_add(1, Ordering::Relaxed) % 2 == 0
        });
        let crew = Crew::new().unwrap();
        let one = crew.round(&mut subject, ONE, 100, 800).unwrap();
        assert_eq!(one.admitted, 400);
        let two = crew.round(&mut subject, TWO, 100, 800).unwrap();
        // Half of all are even; warming up shifts each lane's share by at most its own.
        assert!((700..=900).contains(&two.admitted), "{}", two.admitted);
        assert!(two.ns > 0.0);
    }

    #[test]
    fn the_copies_of_a_subject_take_turns() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut made = 0;
        let make = || {
            made += 1;
            (made, asked.clone())
        };
        let mut subject = Subject::shared("copies", make, |(copy, asked)| {
            asked.fetch_or(1 << copy, Ordering::Relaxed);
            true
        });
        let crew = Crew::new().unwrap();
        for _ in 0..COPIES {
            crew.round(&mut subject, ONE, 1, 8).unwrap();
        }
        assert_eq!(asked.load(Ordering::Relaxed).count_ones() as usize, COPIES);
    }

    #[test]
    fn a_subject_that_panics_is_an_error_that_names_it() {
        let mut subject = Subject::per_thread("broken", |_| || panic!("no"));
        let error = Crew::new().unwrap().round(&mut subject, ONE, 1, 8).err().unwrap();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
