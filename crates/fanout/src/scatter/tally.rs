//! Whether it is enough. Counts only, no time.

use super::Verdict;

/// The branches that matter, as they stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    /// Answers that are asked for; `None` for all that can still come.
    quorum: Option<usize>,
    answers: usize,
    /// Not ended, started or not.
    open: usize,
    required_open: usize,
    required_lost: bool,
}

impl Tally {
    pub(super) fn new(quorum: Option<usize>, branches: usize, required: usize) -> Self {
        Self { quorum, answers: 0, open: branches, required_open: required, required_lost: false }
    }

    /// A branch has ended.
    pub(super) fn ended(&mut self, required: bool, ok: bool) {
        self.open -= 1;
        self.answers += usize::from(ok);
        if required {
            self.required_open -= 1;
            self.required_lost |= !ok;
        }
    }

    /// `None` while it is open.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let asked = self.quorum.unwrap_or(0);
        if self.required_lost || self.answers + self.open < asked {
            return Some(Verdict::OutOfReach);
        }
        // Without a quorum, optional branches are waited for as well.
        let waited = if self.quorum.is_some() { self.required_open } else { self.open };
        (waited == 0 && self.answers >= asked).then_some(Verdict::Met)
    }

    /// At the deadline. Without a quorum, the required ones are enough.
    pub(super) fn at_deadline(&self) -> Verdict {
        let enough = self.required_open == 0 && self.answers >= self.quorum.unwrap_or(0);
        if enough { Verdict::Met } else { Verdict::TimedOut }
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    fn after(mut tally: Tally, ends: &[(bool, bool)]) -> Option<Verdict> {
        ends.iter().for_each(|(required, ok)| tally.ended(*required, *ok));
        tally.verdict()
    }

    #[test]
    fn without_a_quorum_all_are_waited_for_and_the_required_ones_decide() {
        let tally = Tally::new(None, 3, 1);
        assert_eq!(after(tally, &[(true, true), (false, false)]), None);
        assert_eq!(
            after(tally, &[(true, true), (false, false), (false, true)]),
            Some(Verdict::Met)
        );
        assert_eq!(after(tally, &[(true, false)]), Some(Verdict::OutOfReach));
        assert_eq!(after(Tally::new(None, 0, 0), &[]), Some(Verdict::Met));
    }

    #[test]
    fn a_quorum_is_met_when_the_last_answer_comes_and_lost_when_it_no_longer_can() {
        let tally = Tally::new(Some(2), 3, 0);
        assert_eq!(after(tally, &[(false, true)]), None);
        assert_eq!(after(tally, &[(false, true), (false, true)]), Some(Verdict::Met));
        assert_eq!(after(tally, &[(false, false), (false, true)]), None);
        assert_eq!(after(tally, &[(false, false), (false, false)]), Some(Verdict::OutOfReach));
        assert_eq!(after(Tally::new(Some(1), 0, 0), &[]), Some(Verdict::OutOfReach));
    }

    #[test]
    fn a_quorum_waits_for_the_required_ones() {
        let tally = Tally::new(Some(1), 3, 1);
        assert_eq!(after(tally, &[(false, true)]), None);
        assert_eq!(after(tally, &[(false, true), (true, true)]), Some(Verdict::Met));
    }

    #[test]
    fn at_the_deadline_the_required_ones_are_enough_unless_a_quorum_asks_for_more() {
        let mut tally = Tally::new(None, 2, 1);
        assert_eq!(tally.at_deadline(), Verdict::TimedOut);
        tally.ended(true, true);
        assert_eq!(tally.at_deadline(), Verdict::Met);
        assert_eq!(Tally::new(Some(1), 2, 0).at_deadline(), Verdict::TimedOut);
    }
}
