//! A client's live reference to the result of a task: waited for, passed on, cancelled, and released when dropped.
use super::cell::Encoded;
use super::errands::Alarm;
use super::park;
use super::session::Reference;
use crate::argument::{Portable, Source};
use crate::context::Waiting;
use crate::error::{Error, Problem, Result};
use quiltwork_types::TaskId;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A live reference to the result of a task.
///
/// Await it for the result, as often as you like: `handle.await`, or `(&handle).await` to keep it. It can stand for its result as an
/// argument of further tasks; then the result does not travel through this process. The cluster keeps the result until
/// the last clone is dropped; a task whose result nobody wants any more need not run.
///
/// Inside a task, waiting lends the task's slots to others meanwhile, so tasks that wait for tasks cannot starve each other.
#[must_use = "dropping a handle gives up the task's result"]
pub struct Handle<T> {
    target: Target,
    makes: PhantomData<fn() -> T>,
}

/// What a handle refers to: a task, or the reason why there is none.
#[doc(hidden)]
#[derive(Clone)]
pub struct Target(Result<Arc<Reference>, Box<Error>>);

impl<T> Handle<T> {
    pub(super) const fn new(target: Target) -> Self {
        Self { target, makes: PhantomData }
    }

    /// A handle of nothing, which says why.
    pub(crate) fn failed(error: Error) -> Self {
        Self::new(Target::failed(Box::new(error)))
    }

    pub(super) const fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn source(&self) -> Source {
        self.target.source()
    }

    /// The task's number in the cluster; `None` if it could not be submitted.
    #[must_use]
    pub fn id(&self) -> Option<TaskId> {
        self.target.live().map(|reference| reference.cell().task())
    }

    /// Whether the task has ended, well or not. Its value may still be elsewhere.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.target.live().is_none_or(|reference| reference.cell().is_done())
    }

    /// Why there will be no result, if the task is known to have failed. The result is not fetched to find out.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        match self.target.submitted() {
            Ok(reference) => reference.cell().failure(),
            Err(error) => Some(error),
        }
    }

    /// How far the task last said it is: done and total, in its own unit.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.target.live()?.cell().progress()
    }

    /// How much of the value has arrived here while somebody waits for it, and how much there is, in bytes; none if it is not on
    /// its way. A value of this node is here at once.
    #[must_use]
    pub fn transferred(&self) -> Option<(u64, u64)> {
        self.target.live()?.cell().transferred()
    }

    /// Asks the cluster to stop the task and all that needs its result; never waits. A task that runs is told, and may go
    /// on. Whoever waits gets an error of kind `Cancelled`, unless the task ended before.
    pub fn cancel(&self) {
        if let Some(reference) = self.target.live() {
            reference.shared().errands.cancel(reference.cell().task());
        }
    }

    /// Whether the value is here, or will never be; asks for it to be brought.
    pub(crate) fn poll_here(&self, waker: &Waker) -> Poll<()> {
        self.target.poll(Goal::Value, waker).map(drop)
    }

    /// Waits until the task has ended and blocks this thread meanwhile.
    pub(crate) fn wait_ready(&self) -> Result<()> {
        self.target.refuse_io_thread()?;
        park::block_on(self.ready());
        Ok(())
    }

    /// Waits until the task has ended, well or not, without fetching its value.
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<T> {
        let mut waiting = Waiting::default();
        let target = self.target.clone();
        std::future::poll_fn(move |context| waiting.during(target.poll(Goal::Ended, context.waker()).map(drop)))
    }
}

impl<T: Portable> Handle<T> {
    /// Waits for the result and blocks this thread meanwhile: the twin of `.await` for programs without async.
    ///
    /// # Errors
    /// If the task or one of its inputs failed, the link was lost, or the result is of another type.
    pub fn wait(&self) -> Result<T> {
        self.target.refuse_io_thread()?;
        park::block_on(self.into_future())
    }

    /// Like [`wait`](Self::wait), but gives up after `limit`; the task goes on.
    ///
    /// # Errors
    /// As for `wait`, and [`Error::Timeout`].
    pub fn wait_timeout(&self, limit: Duration) -> Result<T> {
        self.target.refuse_io_thread()?;
        park::block_on(self.result_timeout(limit))
    }

    /// Waits for the result, but gives up after `limit`; the task goes on.
    ///
    /// # Errors
    /// If the task or one of its inputs failed, the link was lost, the result is of another type, or with
    /// [`Error::Timeout`].
    pub fn result_timeout(&self, limit: Duration) -> impl Future<Output = Result<T>> + Send + use<T> {
        let target = self.target.clone();
        let deadline = Instant::now().checked_add(limit);
        let mut result = self.into_future();
        // The client's own clock rings, whatever runtime this future is in.
        let mut alarm: Option<Alarm> = None;
        std::future::poll_fn(move |context| {
            if let Poll::Ready(result) = Pin::new(&mut result).poll(context) {
                return Poll::Ready(result);
            }
            let (Some(deadline), Some(reference)) = (deadline, target.live()) else { return Poll::Pending };
            if Instant::now() >= deadline {
                return Poll::Ready(Err(late(reference, limit)));
            }
            if alarm.as_ref().is_none_or(|alarm| !alarm.rings_for(context.waker())) {
                alarm = Some(reference.shared().errands.set_alarm(deadline, context.waker()));
            }
            Poll::Pending
        })
    }
}

fn late(reference: &Reference, limit: Duration) -> Error {
    let (name, task) = (reference.cell().name(), reference.cell().task());
    let message = format!("task `{name}` ({task}) had no result within {limit:?}");
    Error::Timeout(Problem::new(message).with_hint("it goes on: wait again, or cancel it"))
}

impl Target {
    pub(super) fn new(reference: Reference) -> Self {
        Self(Ok(Arc::new(reference)))
    }

    pub(super) const fn failed(error: Box<Error>) -> Self {
        Self(Err(error))
    }

    pub(super) fn source(&self) -> Source {
        match &self.0 {
            Ok(reference) => Source::Handle(Arc::clone(reference)),
            Err(error) => Source::Failed(error.clone()),
        }
    }

    pub(super) fn live(&self) -> Option<&Arc<Reference>> {
        self.0.as_ref().ok()
    }

    /// The task, or why there is none.
    pub(super) fn submitted(&self) -> Result<&Reference> {
        self.0.as_deref().map_err(|error| (**error).clone())
    }

    /// Waits until the goal is reached; an error is told only where the goal is the value.
    pub(super) fn poll(&self, goal: Goal, waker: &Waker) -> Poll<Result<()>> {
        match (self.live(), goal) {
            (Some(reference), Goal::Ended) => reference.cell().poll_ended(waker).map(Ok),
            (None, Goal::Ended) => Poll::Ready(Ok(())),
            (_, Goal::Value) => self.poll_value(waker).map_ok(drop),
        }
    }

    fn poll_value(&self, waker: &Waker) -> Poll<Result<Encoded>> {
        match self.submitted() {
            Ok(reference) => reference.poll_value(waker),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The result, if it is here.
    pub(super) fn poll_result<T: Portable>(&self, waker: &Waker) -> Poll<Result<T>> {
        self.poll_value(waker).map(|value| {
            T::from_encoded(&value?).map_err(|error| {
                let message = format!("the result of task {self:?} cannot be read: {error}");
                let hint = "client and workers may be different builds of the program: rebuild and restart both";
                Error::Decode(Problem::new(message).with_hint(hint))
            })
        })
    }

    /// On the client's own thread, waiting would wait for itself.
    fn refuse_io_thread(&self) -> Result<()> {
        if self.live().is_some_and(|reference| reference.shared().is_io_thread()) {
            let message = "a waker of the program waits for a task on the client's own thread";
            return Err(Error::Invalid(Problem::new(message).with_hint("let the waker only wake another thread")));
        }
        Ok(())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.live() {
            Some(reference) => reference.fmt(f),
            None => f.write_str("(not submitted)"),
        }
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The end of the task.
    Ended,
    /// Its value, here.
    Value,
}

/// The future of a [`Handle`]'s result.
#[must_use = "futures do nothing unless awaited"]
pub struct HandleFuture<T> {
    target: Target,
    waiting: Waiting,
    makes: PhantomData<fn() -> T>,
}

impl<T: Portable> Future for HandleFuture<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = self.target.poll_result(context.waker());
        self.waiting.during(poll)
    }
}

impl<T: Portable> IntoFuture for Handle<T> {
    type Output = Result<T>;
    type IntoFuture = HandleFuture<T>;

    fn into_future(self) -> HandleFuture<T> {
        HandleFuture { target: self.target, waiting: Waiting::default(), makes: PhantomData }
    }
}

impl<T: Portable> IntoFuture for &Handle<T> {
    type Output = Result<T>;
    type IntoFuture = HandleFuture<T>;

    fn into_future(self) -> HandleFuture<T> {
        self.clone().into_future()
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self::new(self.target.clone())
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:?})", self.target)
    }
}

impl<T> fmt::Debug for HandleFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandleFuture({:?})", self.target)
    }
}
