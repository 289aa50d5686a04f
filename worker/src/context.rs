//! What a running task can learn about itself and tell the master; it decides nothing.
use crate::desk::Desk;
use quiltwork_types::{AttemptId, WorkerId};
use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::task::Waker;

thread_local! {
    static CURRENT: RefCell<Option<TaskContext>> = const { RefCell::new(None) };
}

/// The attempt a piece of code runs in. Cheap to clone, and may be handed to threads the task starts itself.
#[derive(Clone, Debug)]
pub struct TaskContext {
    pub(crate) attempt: Arc<Attempt>,
}

/// What the worker knows of an attempt it has.
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) worker: WorkerId,
    pub(crate) name: Box<str>,
    pub(crate) partition: Option<u32>,
    /// Its own submissions to actors stand in line under this number.
    pub(crate) lane: u32,
    cancelled: AtomicBool,
    /// Woken when it is cancelled.
    listener: Mutex<Option<Waker>>,
    /// Where its thread waits for its slots to come back; used with the desk's lock only.
    pub(crate) resumed: Condvar,
    /// The desk may be gone while a thread of the user's still holds a context.
    pub(crate) desk: Weak<Desk>,
}

impl Attempt {
    /// An attempt that has just come to this worker.
    pub(crate) fn new(
        id: AttemptId,
        worker: WorkerId,
        name: Box<str>,
        partition: Option<u32>,
        desk: Weak<Desk>,
    ) -> Self {
        Self {
            id,
            worker,
            name,
            partition,
            lane: next_lane(),
            cancelled: AtomicBool::new(false),
            listener: Mutex::default(),
            resumed: Condvar::new(),
            desk,
        }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Tells it that nobody wants its result any more.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(waker) = self.listener().take() {
            waker.wake();
        }
    }

    /// Has the waker woken when it is cancelled.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut listener = self.listener();
        if listener.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            *listener = Some(waker.clone());
        }
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn listener(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number no other attempt of this process has, but after four billion of them.
fn next_lane() -> u32 {
    static LANES: AtomicU32 = AtomicU32::new(1);
    LANES.fetch_add(1, Ordering::Relaxed)
}

impl TaskContext {
    /// The context of the task that runs on this thread, be it a plain function or a future of an async task;
    /// `None` outside of tasks and on threads a task started itself.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Which attempt of which task this is.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        self.attempt.id
    }

    /// Which try this is, from 1. It grows with every dispatch of the task, also after a worker was lost.
    #[must_use]
    pub fn attempt_number(&self) -> u32 {
        self.attempt.id.number
    }

    /// What people call the task.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.attempt.name
    }

    /// Which partition of a data set the task works on, if its submitter said so.
    #[must_use]
    pub fn partition(&self) -> Option<u32> {
        self.attempt.partition
    }

    /// Where it runs.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.attempt.worker
    }

    /// Whether nobody wants the result any more. A task that asks now and then can stop early; what it returns then
    /// does not matter.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.attempt.is_cancelled()
    }

    /// A number that only this attempt has in its process: what it asks of actors stands in a line of its own.
    #[doc(hidden)]
    #[must_use]
    pub fn lane(&self) -> u32 {
        self.attempt.lane
    }

    /// Tells whoever waits for the task how far it is, in a unit of its own. Of many reports only the latest travels.
    pub fn progress(&self, done: u64, total: u64) {
        if let Some(desk) = self.attempt.desk.upgrade() {
            desk.progress(self.attempt.id, done, total);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}) on {}", self.name, self.id, self.worker)
    }
}

/// While it lives, this thread runs the attempt.
#[derive(Debug)]
pub struct Entered(());

/// Makes this thread one that runs `attempt`.
pub(crate) fn enter(attempt: Arc<Attempt>) -> Entered {
    CURRENT.set(Some(TaskContext { attempt }));
    Entered(())
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// Whether this thread runs a task; also answers, with no, while the thread ends.
pub(crate) fn is_entered() -> bool {
    CURRENT.try_with(|current| current.borrow().is_some()).unwrap_or(false)
}
