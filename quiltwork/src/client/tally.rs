//! Waiting for many values at once: whoever waits is woken when the last one is here or one failed, and not before.
use super::handle::Target;
use crate::context::Waiting;
use crate::error::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Waits until all values are here; ends with the first failure that is heard of.
pub(super) fn all_here(targets: Vec<Target>) -> impl Future<Output = Result<Vec<Target>>> + Send {
    let mut waiting = Waiting::default();
    let mut targets = Some(targets);
    let mut tally: Option<Arc<Tally>> = None;
    std::future::poll_fn(move |context| {
        let known = targets.as_ref().expect("not polled after the end");
        let outcome = match &tally {
            Some(tally) => tally.outcome(context.waker()),
            None => tally.insert(Tally::over(known)).outcome(context.waker()),
        };
        waiting.during(match outcome {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Outcome::AllHere) => Poll::Ready(Ok(targets.take().expect("taken once"))),
            Poll::Ready(Outcome::Failed) => Poll::Ready(Err(first_failure(known))),
        })
    })
}

/// The error of the first that has failed; it is asked for only if one has.
fn first_failure(targets: &[Target]) -> Error {
    targets.iter().find_map(Target::failure).expect("what has failed stays so")
}

/// Counts values that are still to come.
pub(super) struct Tally {
    state: Mutex<State>,
}

struct State {
    left: usize,
    failed: bool,
    watcher: Option<Waker>,
}

/// How the wait ended.
enum Outcome {
    AllHere,
    Failed,
}

impl Tally {
    /// A tally that hears of each of these.
    fn over(targets: &[Target]) -> Arc<Self> {
        let state = State { left: targets.len(), failed: false, watcher: None };
        let tally = Arc::new(Self { state: Mutex::new(state) });
        targets.iter().for_each(|target| target.count_in(&tally));
        tally
    }

    /// One more value is here.
    pub(super) fn on_here(&self) {
        self.change(|state| state.left -= 1);
    }

    /// One of the values will never be here.
    pub(super) fn on_failed(&self) {
        self.change(|state| state.failed = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let watcher = state.outcome().is_some().then(|| state.watcher.take()).flatten();
        drop(state);
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }

    fn outcome(&self, waker: &Waker) -> Poll<Outcome> {
        let mut state = self.lock();
        if let Some(outcome) = state.outcome() {
            return Poll::Ready(outcome);
        }
        state.watcher = Some(waker.clone());
        Poll::Pending
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn outcome(&self) -> Option<Outcome> {
        match (self.failed, self.left) {
            (true, _) => Some(Outcome::Failed),
            (false, 0) => Some(Outcome::AllHere),
            _ => None,
        }
    }
}
