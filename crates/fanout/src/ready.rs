//! Which of many pollables were woken, so that the others are left alone.

use crate::sync::{Mutex, lock};
use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Wake, Waker},
};

/// Members are numbered from 0; each is in the line at most once.
#[derive(Default)]
pub(crate) struct Ready {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    woken: VecDeque<usize>,
    /// By member: whether `woken` has it.
    listed: Vec<bool>,
    parent: Option<Waker>,
}

struct Member {
    of: Arc<Ready>,
    number: usize,
}

impl Ready {
    /// The waker of a member.
    pub(crate) fn waker(self: &Arc<Self>, number: usize) -> Waker {
        Arc::new(Member { of: Arc::clone(self), number }).into()
    }

    /// Says who polls the members. To be called before [`next`](Self::next) says
    /// that there is none, so that a member that wakes after that is not missed.
    pub(crate) fn watch(&self, parent: &Waker) {
        let known = |of: &State| of.parent.as_ref().is_some_and(|known| known.will_wake(parent));
        if !known(&lock(&self.state)) {
            let parent = Some(parent.clone());
            let before = mem::replace(&mut lock(&self.state).parent, parent);
            drop(before);
        }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        lock(&self.state).woken.len()
    }

    /// The member that has waited longest.
    pub(crate) fn next(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        let number = state.woken.pop_front()?;
        // Before it is polled: if it wakes during that, it is listed again.
        state.listed[number] = false;
        Some(number)
    }

    /// Puts a member at the end of the line, and wakes whoever polls.
    pub(crate) fn wake(&self, number: usize) {
        let parent = {
            let mut state = lock(&self.state);
            if state.listed.len() <= number {
                state.listed.resize(number + 1, false);
            }
            if mem::replace(&mut state.listed[number], true) {
                return;
            }
            state.woken.push_back(number);
            state.parent.take()
        };
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.of.wake(self.number);
    }
}
