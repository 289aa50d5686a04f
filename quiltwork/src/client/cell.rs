//! What a client knows of one task it holds a reference to: a small state machine without I/O, and who waits for it.
use super::tally::Tally;
use crate::error::{Error, FailedTask, Result};
use bytes::Bytes;
use quiltwork_protocol::master_to_client::End;
use quiltwork_protocol::{Holder, Kept};
use quiltwork_types::{Encoding, TaskId};
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// One task as its client sees it.
pub(crate) struct Cell {
    task: TaskId,
    name: CellName,
    /// Whether its value is made for every language.
    plain: bool,
    state: Mutex<State>,
}

/// What people call the task; most are called by their function.
enum CellName {
    Function(&'static str),
    /// In a box of its own: few have one.
    Given(Box<Box<str>>),
}

/// There may be millions of these: what few of them have at a time is boxed.
struct State {
    stage: Stage,
    /// Somebody wants the value itself, not only to know that the task has ended.
    wanted: bool,
    progress: Option<Box<(u64, u64)>>,
    waiting: SmallVec<[Waiter; 1]>,
}

/// Who waits, and for what.
enum Waiter {
    /// For any change.
    Change(Waker),
    /// For the value, with many others.
    Value(Arc<Tally>),
}

enum Stage {
    /// It has not ended, or its value turned out to be gone and is made again.
    Running,
    /// Its value is somewhere in the cluster.
    Stored(Box<Place>),
    /// Its value is on its way here.
    Fetching(Box<Fetching>),
    /// Its value is here.
    Here(Encoding, Kept),
    /// It has no value.
    Failed(Box<Error>),
}

/// What is known of a value that is on its way.
#[derive(Default)]
struct Fetching {
    /// Tried if it does not arrive.
    newer: Option<Box<Place>>,
    /// Bytes that are here, and bytes of the whole, as soon as that is known.
    transferred: Option<(u64, u64)>,
}

/// A value as it travels.
pub(crate) type Encoded = (Encoding, Bytes);

/// Where a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) holders: Vec<Holder>,
    pub(super) size: u64,
}

/// What is left to do after a change or a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Next {
    /// Nothing.
    Nothing,
    /// Somebody has to fetch the value: see [`Cell::take_place`].
    Fetch,
}

impl Cell {
    pub(super) fn new(task: TaskId, function: &'static str, given: Option<Box<str>>, plain: bool) -> Self {
        let name = given.map_or(CellName::Function(function), |given| CellName::Given(Box::new(given)));
        let state = State { stage: Stage::Running, wanted: false, progress: None, waiting: SmallVec::new() };
        Self { task, name, plain, state: Mutex::new(state) }
    }

    pub(crate) const fn task(&self) -> TaskId {
        self.task
    }

    pub(crate) fn name(&self) -> &str {
        match &self.name {
            CellName::Function(name) => name,
            CellName::Given(name) => name,
        }
    }

    /// Whether its value is made for every language.
    pub(crate) const fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether the task has ended, well or not.
    pub(crate) fn is_done(&self) -> bool {
        !matches!(self.state().stage, Stage::Running)
    }

    /// Why there will be no value, if that is known.
    pub(super) fn failure(&self) -> Option<Error> {
        match &self.state().stage {
            Stage::Failed(error) => Some((**error).clone()),
            _ => None,
        }
    }

    /// The value, if it is here. It is not asked for.
    pub(crate) fn here(&self) -> Option<Encoded> {
        match &self.state().stage {
            Stage::Here(encoding, bytes) => Some((*encoding, bytes.to_bytes())),
            _ => None,
        }
    }

    /// How far the task last said it is.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        self.state().progress.as_deref().copied()
    }

    /// Waits for the end of the task.
    pub(super) fn poll_ended(&self, waker: &Waker) -> Poll<()> {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Running) {
            return Poll::Ready(());
        }
        state.wait(waker);
        Poll::Pending
    }

    /// Has the tally hear when the value is here or will never be.
    pub(super) fn count_in(&self, tally: &Arc<Tally>) -> Next {
        let mut state = self.state();
        state.wanted = true;
        match &state.stage {
            Stage::Here(..) => tally.on_here(),
            Stage::Failed(_) => tally.on_failed(),
            Stage::Stored(_) | Stage::Running | Stage::Fetching(_) => {
                state.waiting.push(Waiter::Value(Arc::clone(tally)));
            }
        }
        if matches!(state.stage, Stage::Stored(_)) { Next::Fetch } else { Next::Nothing }
    }

    /// Waits for the value.
    pub(super) fn poll_value(&self, waker: &Waker) -> (Poll<Result<Encoded>>, Next) {
        let mut state = self.state();
        state.wanted = true;
        let next = match &state.stage {
            Stage::Here(encoding, bytes) => return (Poll::Ready(Ok((*encoding, bytes.to_bytes()))), Next::Nothing),
            Stage::Failed(error) => return (Poll::Ready(Err((**error).clone())), Next::Nothing),
            Stage::Stored(_) => Next::Fetch,
            Stage::Running | Stage::Fetching(_) => Next::Nothing,
        };
        state.wait(waker);
        (Poll::Pending, next)
    }

    /// The master says how the task ended; it may say so again when a value had to be made again.
    pub(super) fn on_ended(&self, end: End, payload: Option<&Bytes>) -> Next {
        let mut state = self.state();
        let stage = match (end, payload) {
            // A value never changes, and a failure is final.
            _ if matches!(state.stage, Stage::Here(..) | Stage::Failed(_)) => return Next::Nothing,
            // The payload is a slice of what was read from the link: keeping it would keep all of that.
            (End::Inline(encoding), payload) => Stage::Here(encoding, Kept::copied(payload.map_or(&[], |bytes| bytes))),
            (End::Stored { holders, size, .. }, _) => {
                let place = Box::new(Place { holders, size });
                if let Stage::Fetching(fetching) = &mut state.stage {
                    fetching.newer = Some(place);
                    return Next::Nothing;
                }
                Stage::Stored(place)
            }
            (End::Failed(failure), _) => {
                Stage::Failed(Box::new(Error::Task(Box::new(FailedTask::new(self.task, self.name(), failure)))))
            }
        };
        let next = if state.wanted && matches!(stage, Stage::Stored(_)) { Next::Fetch } else { Next::Nothing };
        state.become_stage(stage);
        next
    }

    /// The task says how far it is.
    pub(super) fn on_progress(&self, done: u64, total: u64) {
        **self.state().progress.get_or_insert_default() = (done, total);
    }

    /// Begins a fetch; `None` if there is nothing to be fetched (any more).
    pub(super) fn take_place(&self) -> Option<Place> {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Stored(_)) {
            return None;
        }
        match std::mem::replace(&mut state.stage, Stage::Fetching(Box::default())) {
            Stage::Stored(place) => Some(*place),
            _ => None,
        }
    }

    /// So many bytes of the value have arrived, of so many.
    pub(super) fn on_bytes(&self, arrived: u64, size: u64) {
        if let Stage::Fetching(fetching) = &mut self.state().stage {
            fetching.transferred = Some((arrived, size));
        }
    }

    /// Bytes of the value that have arrived, and how many there are; none if it is not on its way.
    pub(crate) fn transferred(&self) -> Option<(u64, u64)> {
        match &self.state().stage {
            Stage::Fetching(fetching) => fetching.transferred,
            _ => None,
        }
    }

    /// The value has arrived.
    pub(super) fn on_fetched(&self, encoding: Encoding, bytes: Bytes) {
        let mut state = self.state();
        if matches!(state.stage, Stage::Fetching(_)) {
            state.become_stage(Stage::Here(encoding, Kept::new(bytes)));
        }
    }

    /// The value was not where it should have been. The master was told and will say more, unless it already has.
    pub(super) fn on_missing(&self) -> Next {
        let mut state = self.state();
        let Stage::Fetching(fetching) = &mut state.stage else { return Next::Nothing };
        let (stage, next) = match fetching.newer.take() {
            Some(place) => (Stage::Stored(place), Next::Fetch),
            None => (Stage::Running, Next::Nothing),
        };
        state.stage = stage;
        next
    }

    /// Nothing more will be heard of the task; a value that is here stays.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Here(..) | Stage::Failed(_)) {
            state.become_stage(Stage::Failed(Box::new(error)));
        }
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, waker: &Waker) {
        let known = |waiter: &Waiter| matches!(waiter, Waiter::Change(other) if other.will_wake(waker));
        if !self.waiting.iter().any(known) {
            self.waiting.push(Waiter::Change(waker.clone()));
        }
    }

    /// Changes the stage and wakes whoever waits for that; those who wait for more wait again.
    fn become_stage(&mut self, stage: Stage) {
        self.stage = stage;
        for waiter in std::mem::take(&mut self.waiting) {
            match (waiter, &self.stage) {
                (Waiter::Change(waker), _) => waker.wake(),
                (Waiter::Value(tally), Stage::Here(..)) => tally.on_here(),
                (Waiter::Value(tally), Stage::Failed(_)) => tally.on_failed(),
                (waiter @ Waiter::Value(_), _) => self.waiting.push(waiter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::{FailureKind, JobId, TaskFailure, TypeHash, WorkerId};

    const TASK: TaskId = TaskId { job: JobId(1), index: 0 };
    const ENCODING: Encoding = Encoding::Bincode(TypeHash(1));

    fn cell() -> Cell {
        Cell::new(TASK, "a::f", None, false)
    }

    fn stored(worker: u32) -> End {
        let address = "127.0.0.1:1".parse().unwrap();
        let holders = vec![Holder::Worker { worker: WorkerId(worker), address }];
        End::Stored { encoding: ENCODING, size: 9, holders }
    }

    fn value(cell: &Cell) -> Poll<Result<Encoded>> {
        cell.poll_value(Waker::noop()).0
    }

    #[test]
    fn an_inline_value_is_there_for_everybody_who_asks() {
        let cell = cell();
        assert!(value(&cell).is_pending() && !cell.is_done());
        assert_eq!(cell.on_ended(End::Inline(ENCODING), Some(&Bytes::from_static(b"x"))), Next::Nothing);
        for _ in 0..2 {
            assert!(matches!(value(&cell), Poll::Ready(Ok((ENCODING, bytes))) if bytes == "x"));
        }
    }

    #[test]
    fn a_stored_value_is_fetched_only_when_somebody_wants_it() {
        let cell = cell();
        assert_eq!(cell.on_ended(stored(1), None), Next::Nothing);
        assert!(cell.is_done() && cell.poll_ended(Waker::noop()).is_ready());
        assert_eq!(cell.poll_value(Waker::noop()).1, Next::Fetch);
        assert!(cell.take_place().is_some());
        assert!(cell.take_place().is_none(), "one fetch at a time");
        assert_eq!(cell.transferred(), None);
        cell.on_bytes(1, 3);
        assert_eq!(cell.transferred(), Some((1, 3)));
        cell.on_fetched(ENCODING, Bytes::from_static(b"big"));
        assert!(matches!(value(&cell), Poll::Ready(Ok(_))));
        assert_eq!(cell.transferred(), None, "it is here");
    }

    #[test]
    fn a_value_that_is_missing_is_fetched_from_where_the_master_says_next() {
        let cell = cell();
        assert!(value(&cell).is_pending());
        assert_eq!(cell.on_ended(stored(1), None), Next::Fetch);
        assert!(cell.take_place().is_some());
        assert_eq!(cell.on_missing(), Next::Nothing);
        assert!(!cell.is_done(), "it is made again");
        assert_eq!(cell.on_ended(stored(2), None), Next::Fetch);
        let first = cell.take_place().unwrap();
        // The answer to a report can come before the fetch has given up.
        assert_eq!(cell.on_ended(stored(3), None), Next::Nothing);
        assert_eq!(cell.on_missing(), Next::Fetch);
        assert_ne!(cell.take_place().unwrap(), first);
    }

    #[test]
    fn a_value_that_is_lost_for_good_fails_even_while_it_is_fetched() {
        let cell = cell();
        assert!(value(&cell).is_pending());
        assert_eq!(cell.on_ended(stored(1), None), Next::Fetch);
        assert!(cell.take_place().is_some());
        let failure = TaskFailure::new(FailureKind::ValueLost, TASK, "");
        assert_eq!(cell.on_ended(End::Failed(failure), None), Next::Nothing);
        cell.on_fetched(ENCODING, Bytes::new());
        assert!(matches!(value(&cell), Poll::Ready(Err(Error::Task(_)))));
    }

    #[test]
    fn a_cell_stays_small() {
        assert!(size_of::<Cell>() <= 128, "{} bytes", size_of::<Cell>());
    }

    #[test]
    fn what_is_here_stays_when_the_link_breaks() {
        let (here, running) = (cell(), cell());
        assert_eq!(here.on_ended(End::Inline(ENCODING), Some(&Bytes::new())), Next::Nothing);
        for cell in [&here, &running] {
            cell.fail(Error::ConnectionLost(crate::error::Problem::new("gone")));
        }
        assert!(matches!(value(&here), Poll::Ready(Ok(_))));
        assert!(matches!(value(&running), Poll::Ready(Err(Error::ConnectionLost(_)))));
    }
}
