//! Whose turn it is.

use plimsoll_core::Priority;
use std::collections::VecDeque;

const LEVELS: usize = Priority::HIGHEST.level() as usize + 1;

/// Those who wait for a turn, by priority. Within one, they take turns in the
/// order in which they came. A lower one waits for higher ones, and after `age`
/// of their turns it has one.
pub(super) struct Turns {
    lines: [Line; LEVELS],
    age: usize,
}

#[derive(Default)]
struct Line {
    waits: VecDeque<usize>,
    /// Turns that higher ones have had since somebody waits here.
    passed: usize,
}

impl Turns {
    pub(super) fn new(age: usize) -> Self {
        Self { lines: Default::default(), age }
    }

    pub(super) fn add(&mut self, of: Priority, who: usize) {
        self.lines[level(of)].waits.push_back(who);
    }

    /// Who is next: the highest, unless one has waited too long.
    pub(super) fn next(&mut self) -> Option<usize> {
        let waiting = || self.lines.iter().enumerate().filter(|(_, line)| !line.waits.is_empty());
        let (highest, _) = waiting().next_back()?;
        let aged = waiting().filter(|(_, line)| line.passed >= self.age);
        let next = aged.max_by_key(|(_, line)| line.passed).map_or(highest, |(level, _)| level);
        let line = &mut self.lines[next];
        let who = line.waits.pop_front();
        if line.waits.is_empty() {
            line.passed = 0;
        }
        who
    }

    /// Somebody of this priority has made use of a turn.
    pub(super) fn used(&mut self, by: Priority) {
        for (at, line) in self.lines.iter_mut().enumerate() {
            if at == level(by) || line.waits.is_empty() {
                line.passed = 0;
            } else if at < level(by) {
                line.passed += 1;
            }
        }
    }

    /// Nobody waits who does not want to.
    pub(super) fn remove(&mut self, who: usize) {
        self.lines.iter_mut().for_each(|line| line.waits.retain(|waits| *waits != who));
    }
}

fn level(of: Priority) -> usize {
    usize::from(of.level())
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    /// Who has the next turns if each wants another at once.
    fn turns(age: usize, of: &[(u8, usize)], count: usize) -> Vec<usize> {
        let mut turns = Turns::new(age);
        of.iter().for_each(|(level, who)| turns.add(Priority::new(*level), *who));
        let mut had = Vec::new();
        for _ in 0..count {
            let who = turns.next().expect("all want one");
            let level = of.iter().find(|(_, other)| *other == who).expect("one of them").0;
            turns.add(Priority::new(level), who);
            turns.used(Priority::new(level));
            had.push(who);
        }
        had
    }

    #[test]
    fn equals_take_turns_one_by_one() {
        assert_eq!(turns(9, &[(5, 0), (5, 1), (5, 2)], 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_lower_one_has_a_turn_after_so_many_of_others() {
        assert_eq!(turns(3, &[(9, 0), (1, 1)], 9), [0, 0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn of_two_that_have_waited_the_longer_one_is_next() {
        assert_eq!(turns(2, &[(9, 0), (5, 1), (1, 2)], 8), [0, 0, 1, 2, 0, 0, 1, 2]);
    }

    #[test]
    fn who_found_nothing_has_not_waited() {
        let mut turns = Turns::new(2);
        turns.add(Priority::LOWEST, 7);
        turns.used(Priority::HIGHEST);
        assert_eq!(turns.next(), Some(7));
        turns.add(Priority::LOWEST, 7);
        turns.add(Priority::HIGHEST, 8);
        turns.used(Priority::HIGHEST);
        assert_eq!(turns.next(), Some(8), "one turn since it came, not two");
        turns.remove(7);
        assert_eq!(turns.next(), None);
    }
}
