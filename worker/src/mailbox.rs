//! The mailbox of one actor: calls wait in it in their order, and it counts those that run. It runs none.
use crate::arguments::Arguments;
use crate::context::Attempt;
use crate::instance::{Call, Reply};
use crate::wheel::Wheel;
use quiltwork_types::{AttemptId, TaskId};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Poll, Waker};

/// Where the calls of one actor meet its thread.
pub(crate) struct Mailbox {
    /// The attempt that made the actor.
    maker: AttemptId,
    max_concurrency: usize,
    /// Attempts started so far in the whole worker.
    starts: Arc<AtomicU64>,
    wheel: Arc<Wheel>,
    state: Mutex<State>,
    /// Wakes the actor's thread where it sleeps.
    bell: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    running: HashMap<AttemptId, Running>,
    /// No more calls are taken.
    is_closed: bool,
    /// The thread sleeps by the bell.
    is_asleep: bool,
    /// The thread waits for calls to be answered, not only for calls to come.
    awaits_answers: bool,
    /// Wakes the thread where it has an event loop.
    waker: Option<Waker>,
}

/// A call with all it needs.
pub(crate) struct Waiting {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) method: Arc<str>,
    pub(crate) arguments: Arguments,
}

struct Running {
    attempt: Arc<Attempt>,
    /// Which start of the worker it was, from 1.
    start: u64,
}

impl Mailbox {
    /// The empty mailbox of the actor that was made by an attempt.
    pub(crate) fn new(maker: AttemptId, max_concurrency: u32, starts: Arc<AtomicU64>, wheel: Arc<Wheel>) -> Self {
        let max_concurrency = usize::try_from(max_concurrency.max(1)).unwrap_or(usize::MAX);
        Self { maker, max_concurrency, starts, wheel, state: Mutex::default(), bell: Condvar::new() }
    }

    pub(crate) const fn maker(&self) -> AttemptId {
        self.maker
    }

    pub(crate) const fn actor(&self) -> TaskId {
        self.maker.task
    }

    pub(crate) const fn max_concurrency(&self) -> usize {
        self.max_concurrency
    }

    /// Appends calls, in this order.
    ///
    /// # Errors
    /// The calls, if the actor has ended.
    pub(crate) fn append(&self, calls: impl IntoIterator<Item = Waiting>) -> Result<(), Vec<Waiting>> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(calls.into_iter().collect());
        }
        state.waiting.extend(calls);
        self.ring(state);
        Ok(())
    }

    /// Removes a call that waits; tells one that runs. Says which it was, or that it is not here.
    pub(crate) fn cancel(&self, attempt: AttemptId) -> Option<Cancelled> {
        let mut state = self.lock();
        if let Some(running) = state.running.get(&attempt) {
            running.attempt.cancel();
            return Some(Cancelled::Told);
        }
        let place = state.waiting.iter().position(|waiting| waiting.attempt.id == attempt)?;
        state.waiting.remove(place).map(|waiting| Cancelled::Removed(waiting.attempt))
    }

    /// Takes no more calls, tells those that run that nobody wants them any more, and returns those that waited.
    pub(crate) fn close(&self) -> Vec<Waiting> {
        let mut state = self.lock();
        state.is_closed = true;
        state.running.values().for_each(|running| running.attempt.cancel());
        let waiting = std::mem::take(&mut state.waiting);
        self.ring(state);
        waiting.into()
    }

    /// Whether calls wait or run.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.lock();
        !state.waiting.is_empty() || !state.running.is_empty()
    }

    /// Whether this call runs.
    pub(crate) fn runs(&self, attempt: AttemptId) -> bool {
        self.lock().running.contains_key(&attempt)
    }

    /// The call that began to run last of those that run, among the first `starts` of the worker, and which start it was.
    pub(crate) fn newest(&self, starts: u64) -> Option<(u64, Arc<Attempt>)> {
        let state = self.lock();
        let running = state.running.values().filter(|running| running.start <= starts);
        running.max_by_key(|running| running.start).map(|running| (running.start, Arc::clone(&running.attempt)))
    }

    /// Waits for a call that may run now; none if the actor shall end. Drives the worker meanwhile, if nobody else does.
    pub(crate) fn wait_for_next(self: &Arc<Self>) -> Option<Call> {
        let mut may_drive = true;
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some(waiting) = self.start_next(&mut state) {
                drop(state);
                return Some(self.begin(waiting));
            }
            if may_drive && let Some(driving) = self.wheel.take() {
                drop(state);
                if let Some(next) = driving.drive(|context| self.poll_next(context.waker())) {
                    return next;
                }
                may_drive = false;
                state = self.lock();
            } else {
                state = self.sleep(state);
                may_drive = true;
            }
        }
    }

    /// The same for a thread with an event loop.
    pub(crate) fn poll_next(self: &Arc<Self>, waker: &Waker) -> Poll<Option<Call>> {
        let mut state = self.lock();
        if state.is_closed {
            return Poll::Ready(None);
        }
        let Some(waiting) = self.start_next(&mut state) else {
            state.wake_later(waker);
            return Poll::Pending;
        };
        drop(state);
        Poll::Ready(Some(self.begin(waiting)))
    }

    /// Waits until at most so many calls run.
    pub(crate) fn wait_until_running(&self, at_most: usize) {
        let mut state = self.lock();
        while state.running.len() > at_most {
            state.awaits_answers = true;
            state = self.sleep(state);
        }
    }

    /// The same for a thread with an event loop.
    pub(crate) fn poll_until_running(&self, at_most: usize, waker: &Waker) -> Poll<()> {
        let mut state = self.lock();
        if state.running.len() <= at_most {
            return Poll::Ready(());
        }
        state.awaits_answers = true;
        state.wake_later(waker);
        Poll::Pending
    }

    /// A call that ran has been answered.
    pub(crate) fn on_answered(&self, attempt: AttemptId) {
        let mut state = self.lock();
        state.running.remove(&attempt);
        if state.awaits_answers {
            self.ring(state);
        }
    }

    /// Takes the next call that may run, and counts it as running.
    fn start_next(&self, state: &mut State) -> Option<Waiting> {
        if state.running.len() >= self.max_concurrency {
            state.awaits_answers = true;
            return None;
        }
        let waiting = state.waiting.pop_front()?;
        self.wheel.on_work(state.waiting.len() + 1);
        let start = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
        state.running.insert(waiting.attempt.id, Running { attempt: Arc::clone(&waiting.attempt), start });
        Some(waiting)
    }

    fn begin(self: &Arc<Self>, Waiting { attempt, method, arguments }: Waiting) -> Call {
        if let Some(desk) = attempt.desk.upgrade() {
            desk.on_call_started(attempt.id);
        }
        let reply = Reply::new(attempt, Arc::clone(self), arguments.absences());
        Call { method, arguments, reply }
    }

    /// Wakes the actor's thread if it sleeps; while it runs nobody has to.
    fn ring(&self, mut state: MutexGuard<'_, State>) {
        let waker = state.waker.take();
        let is_asleep = std::mem::take(&mut state.is_asleep);
        let waiting = state.waiting.len();
        state.awaits_answers = false;
        drop(state);
        if is_asleep {
            self.bell.notify_one();
            self.wheel.pass_on(waiting);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn sleep<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.is_asleep = true;
        self.bell.wait(state).expect(LOCK_HOLDS)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(LOCK_HOLDS)
    }
}

const LOCK_HOLDS: &str = "nothing panics under a mailbox's lock";

/// What became of a call that was cancelled.
pub(crate) enum Cancelled {
    /// It waited and is gone.
    Removed(Arc<Attempt>),
    /// It runs and was told.
    Told,
}

impl State {
    fn wake_later(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mailbox of {}", self.maker)
    }
}
