//! Groups of subjects, measured in turn, and what they must reach.

use crate::{
    machine::CpuTime,
    on::{FLAVOURS, ONE, On, TWO},
    rounds::{Crew, Expect, Subject, tells_waiting},
    row::{AtMost, Row, Unit, Verdict},
    stats::Summary,
};
use anyhow::{Context, Result, ensure};
use std::{mem, time::Duration};

/// One of ours: the case it stands for and the targets, by what it runs on.
struct Case {
    name: String,
    targets: Vec<(On, AtMost)>,
}

/// Rounds of a size that does not follow from how long they take.
#[derive(Clone, Copy)]
struct Size {
    ops: u64,
    rounds: usize,
}

/// Subjects measured in turn: ours, each a case of its own, and the peers, each
/// compared with every case of the group.
pub(crate) struct Group {
    unit: Unit,
    expect: Expect,
    lengthen: u32,
    on: Vec<On>,
    size: Option<Size>,
    crowded: bool,
    cases: Vec<Case>,
    /// Ours first, in the order of `cases`.
    ours: Vec<Subject>,
    peers: Vec<Subject>,
}

impl Group {
    /// A group whose every operation must be answered like this.
    pub(crate) fn new(expect: Expect) -> Self {
        Self {
            unit: Unit::Nanoseconds,
            expect,
            lengthen: 1,
            on: vec![ONE, TWO],
            size: None,
            crowded: false,
            cases: Vec::new(),
            ours: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// A group of flows, on both flavours of runtime, that must lose no item.
    pub(crate) fn flows() -> Self {
        Self { on: FLAVOURS.to_vec(), ..Self::new(Expect::Admitted).lengthened(3) }
    }

    /// Makes rounds so many times longer, and a third as many, for subjects that
    /// must first bring their memory back into the caches.
    pub(crate) fn lengthened(mut self, times: u32) -> Self {
        self.lengthen = times;
        self
    }

    /// Measures on these only.
    pub(crate) fn only_on(mut self, on: &[On]) -> Self {
        self.on = on.to_vec();
        self
    }

    /// Makes each round `ops` operations long, and so many rounds, none of which
    /// warms up: for subjects that sleep, or write to a disk.
    pub(crate) fn sized(mut self, ops: u64, rounds: usize) -> Self {
        self.size = Some(Size { ops, rounds });
        self
    }

    /// Keeps every round: these subjects have more threads than there are CPUs,
    /// so that waiting for one is a part of what they cost.
    pub(crate) fn crowded(mut self) -> Self {
        self.crowded = true;
        self
    }

    /// Adds one of ours. Its name is the case's. There may be several `targets`,
    /// each beside a peer of its own.
    pub(crate) fn ours(mut self, subject: Subject, targets: &[(On, AtMost)]) -> Self {
        self.cases.push(Case { name: subject.name.clone(), targets: targets.to_vec() });
        self.ours.push(subject);
        self
    }

    /// Adds a peer.
    pub(crate) fn peer(mut self, subject: Subject) -> Self {
        self.peers.push(subject);
        self
    }

    /// Adds several peers.
    pub(crate) fn peers(mut self, subjects: impl IntoIterator<Item = Subject>) -> Self {
        self.peers.extend(subjects);
        self
    }
}

/// What a suite has measured.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) rows: Vec<Row>,
    pub(crate) notes: Vec<String>,
}

/// One suite's run.
pub(crate) struct Bench {
    suite: &'static str,
    /// What the names of the wanted cases contain: all of them if it is empty.
    wanted: String,
    crew: Crew,
    quick: bool,
    /// Rounds to keep of each subject, and the most to run for them.
    keep: usize,
    most: usize,
    length: Duration,
    /// Rounds thrown away because a thread lacked a CPU, and all rounds.
    dropped: usize,
    ran: usize,
    began: Option<CpuTime>,
    found: Findings,
}

impl Bench {
    pub(crate) fn new(suite: &'static str, wanted: &str, quick: bool) -> Result<Self> {
        let (keep, most, length) = if quick {
            (5, 10, Duration::from_millis(1))
        } else {
            (101, 404, Duration::from_millis(4))
        };
        let crew = Crew::new()?;
        let found = Findings::default();
        Ok(Self {
            suite,
            wanted: wanted.into(),
            crew,
            quick,
            keep,
            most,
            length,
            dropped: 0,
            ran: 0,
            began: CpuTime::now(),
            found,
        })
    }

    /// Whether only a first look is wanted.
    pub(crate) fn quick(&self) -> bool {
        self.quick
    }

    /// Whether this case is one of those that are to be measured.
    pub(crate) fn wants(&self, case: &str) -> bool {
        case.contains(&self.wanted)
    }

    /// Something the reader of the table must know.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.found.notes.push(note.into());
    }

    /// Measures a group and answers the summaries of ours on the first of what
    /// they run on, in the order of the cases; none of a group without a case that
    /// is wanted.
    pub(crate) fn run(&mut self, mut group: Group) -> Result<Vec<Summary>> {
        if !group.cases.iter().any(|case| self.wants(&case.name)) {
            return Ok(Vec::new());
        }
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let mut subjects = mem::take(&mut group.ours);
        subjects.append(&mut group.peers);
        let Group { unit, cases, on, .. } = &group;
        let mut first = Vec::new();
        for &on in on {
            if on.cpus() > cpus {
                self.note(format!("What runs on {on} was left out: this machine has {cpus} CPU."));
                continue;
            }
            let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
            eprintln!("{}: {} on {on}", self.suite, names.join(", "));
            let (measured, settled) = self.in_turn(&mut subjects, on, &group)?;
            let before = self.found.rows.len();
            let (mine, theirs) = measured.split_at(cases.len());
            if first.is_empty() {
                first = mine.to_vec();
            }
            let peers = &subjects[cases.len()..];
            for (case, &ours) in cases.iter().zip(mine) {
                let peers = peers.iter().zip(theirs).map(|(peer, &at)| (peer.name.as_str(), at));
                let targets = case.targets.iter().filter(|(place, _)| *place == on);
                let targets: Vec<_> = targets.map(|(_, target)| target.clone()).collect();
                self.compare(&case.name, on, *unit, ours, peers, &targets);
            }
            if !settled {
                let verdicts =
                    self.found.rows[before..].iter_mut().flat_map(|row| &mut row.verdict);
                verdicts.for_each(|verdict| verdict.ok = None);
            }
        }
        Ok(first)
    }

    /// Adds the rows of one case beside its peers.
    pub(crate) fn compare<'a>(
        &mut self,
        case: &str,
        on: On,
        unit: Unit,
        ours: Summary,
        peers: impl Iterator<Item = (&'a str, Summary)>,
        targets: &[AtMost],
    ) {
        for (i, (peer, theirs)) in peers.enumerate() {
            let judge = targets.iter().find(|target| target.judges(peer, i == 0));
            let verdict = judge.map(|target| Verdict {
                target: target.text(unit),
                ok: Some(target.allows(ours, theirs)),
            });
            let (case, peer) = (case.into(), peer.into());
            self.found.rows.push(Row { case, on, unit, ours, peer, theirs, verdict });
        }
    }

    /// Rounds of every subject in turn, A B C A B C, until enough were kept; and
    /// whether they were.
    fn in_turn(
        &mut self,
        subjects: &mut [Subject],
        on: On,
        group: &Group,
    ) -> Result<(Vec<Summary>, bool)> {
        let Group { expect, lengthen, size, crowded, .. } = *group;
        let share = if lengthen > 1 { 3 } else { 1 };
        let (mut keep, mut most) = (self.keep.div_ceil(share), self.most.div_ceil(share));
        let mut ops = Vec::new();
        for subject in subjects.iter_mut() {
            ops.push(match size {
                Some(size) => size.ops,
                None => self.calibrate(subject, on, self.length * lengthen)?,
            });
        }
        let threads = if let On::Threads(threads) = on { threads as u64 } else { 1 };
        let warm = |ops| if size.is_some() { 0 } else { ops / 8 };
        if let Some(size) = size {
            (keep, most) = (size.rounds, size.rounds * 2);
        }
        let mut kept = vec![Vec::new(); subjects.len()];
        let mut all = kept.clone();
        for _ in 0..most {
            if kept.iter().all(|kept| kept.len() >= keep) {
                break;
            }
            for (i, subject) in subjects.iter_mut().enumerate() {
                let round = self.crew.round(subject, on, warm(ops[i]), ops[i])?;
                let expected = match expect {
                    Expect::Admitted => ops[i] * threads,
                    Expect::Refused => 0,
                };
                ensure!(
                    round.admitted == expected,
                    "{}: {} of {} operations were admitted, not {expected}",
                    subject.name,
                    round.admitted,
                    ops[i] * threads
                );
                all[i].push(round.ns);
                if round.clean || crowded {
                    kept[i].push(round.ns);
                }
            }
        }
        let mut disturbed = Vec::new();
        for (i, subject) in subjects.iter().enumerate() {
            self.ran += all[i].len();
            self.dropped += all[i].len() - kept[i].len();
            // Too few to say anything. Better all than a handful.
            if kept[i].len() < keep.min(10) / 2 {
                disturbed.push(format!("{} ({} of {})", subject.name, kept[i].len(), all[i].len()));
                kept[i] = mem::take(&mut all[i]);
            }
        }
        let settled = disturbed.is_empty();
        if !settled {
            self.note(format!(
                "The machine is busy, run again: on {on} too few rounds were undisturbed, so all \
                 were kept of {}.",
                disturbed.join(", ")
            ));
        }
        let summaries = kept.iter_mut().map(|samples| Summary::of(samples));
        let summaries = summaries.collect::<Option<_>>().context("no rounds")?;
        Ok((summaries, settled))
    }

    /// How many operations make a round of `length`.
    fn calibrate(&self, subject: &mut Subject, on: On, length: Duration) -> Result<u64> {
        let length = length.as_secs_f64() * 1e9;
        let mut ops = 64;
        loop {
            let ns = self.crew.round(subject, on, ops / 8, ops)?.ns;
            if ns * ops as f64 >= length / 4.0 {
                // Of a round that took a sensible time: neither 0 nor huge.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                return Ok((length / ns).max(1.0) as u64);
            }
            ops *= 2;
        }
    }

    /// What was found, with a word on the rounds.
    pub(crate) fn finish(mut self) -> Findings {
        let rounds = if tells_waiting() {
            format!(
                "{} of {} rounds were dropped because a thread waited for a CPU for 1 % of the \
                 round or more.",
                self.dropped, self.ran
            )
        } else {
            "This system has no /proc/thread-self/schedstat, so every round was kept, \
             undisturbed or not."
                .into()
        };
        self.note(rounds);
        if let Some((began, now)) = self.began.take().zip(CpuTime::now()) {
            let stolen = now.stolen_since(&began);
            self.note(format!("The hypervisor gave {stolen:.1} % of the CPU time to others."));
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::admitted;

    fn yes(name: &str) -> Subject {
        Subject::per_thread(name, |_| || true)
    }

    #[test]
    fn every_case_is_compared_with_every_peer_and_judged_once() {
        let mut bench = Bench::new("test", "", true).unwrap();
        let group = Group::new(Expect::Admitted)
            .only_on(&[ONE])
            .ours(yes("a"), &[(ONE, AtMost::times(1e9, "y"))])
            .ours(yes("b"), &[(ONE, AtMost::exactly(0.0))])
            .peer(yes("x"))
            .peer(yes("y"));
        bench.run(group).unwrap();
        let rows = bench.finish().rows;
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (&*row.case, &*row.peer, row.verdict.as_ref().map(|v| (&*v.target, v.ok))))
            .collect();
        let expected = [
            ("a", "x", None),
            ("a", "y", Some(("≤ 1000000000× y", Some(true)))),
            ("b", "x", Some(("≤ 0 ns", Some(false)))),
            ("b", "y", None),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn only_groups_with_a_wanted_case_are_measured() {
        let mut bench = Bench::new("test", "two", true).unwrap();
        for names in [["one", "three"], ["case two", "four"]] {
            let group = names.iter().fold(Group::new(Expect::Admitted), |group, name| {
                group.only_on(&[ONE]).ours(yes(name), &[])
            });
            bench.run(group.peer(yes("x"))).unwrap();
        }
        let rows = bench.finish().rows;
        assert_eq!(rows.iter().map(|row| &*row.case).collect::<Vec<_>>(), ["case two", "four"]);
    }

    #[test]
    fn a_bucket_that_runs_dry_stops_the_run() {
        let mut bench = Bench::new("test", "", true).unwrap();
        let dry = Subject::per_thread("dry", |_| || admitted::<(), ()>(Err(())));
        let group = Group::new(Expect::Admitted).only_on(&[ONE]).ours(dry, &[]).peer(yes("x"));
        let error = bench.run(group).err().unwrap().to_string();
        assert!(error.starts_with("dry: 0 of"), "{error}");
    }
}
