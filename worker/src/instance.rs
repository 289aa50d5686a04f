//! Living actors as the functions' language makes them: the seam between a worker and what an actor is made of. How its calls
//! wait is the mailbox's business.
use crate::arguments::Arguments;
use crate::context::{self, Attempt, Entered, TaskContext};
use crate::desk::Desk;
use crate::executor::Product;
use crate::failure::TaskError;
use crate::mailbox::Mailbox;
use crate::panics;
use crate::reader::Absences;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Instant;

/// A living actor. It is made, serves and is dropped on one thread, which is its own.
pub trait Instance {
    /// Takes in a call, which is answered by its [`Reply`]: now, or later from any thread.
    fn call(&mut self, call: Call);

    /// The actor's life: takes in its calls, in their order, until there are none any more.
    fn serve(&mut self, calls: &mut Calls) {
        for call in calls {
            self.call(call);
        }
    }
}

/// The calls of one actor, in the order in which they were dispatched. No more are given out than may run at a time: a
/// call runs from then on until it is answered.
#[derive(Debug)]
pub struct Calls(pub(crate) Arc<Mailbox>);

impl Calls {
    /// The next call, for actors with an event loop; none if the actor shall end.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Call>> {
        self.0.poll_next(context.waker())
    }

    /// Waits until at most so many calls run, or the actor shall end.
    pub fn wait_until_running(&mut self, at_most: usize) {
        self.0.wait_until_running(at_most);
    }

    /// Like [`wait_until_running`](Self::wait_until_running), for actors with an event loop.
    pub fn poll_until_running(&mut self, at_most: usize, context: &mut Context<'_>) -> Poll<()> {
        self.0.poll_until_running(at_most, context.waker())
    }

    /// How many calls may run at a time.
    #[must_use]
    pub fn max_concurrency(&self) -> usize {
        self.0.max_concurrency()
    }
}

impl Iterator for Calls {
    type Item = Call;

    /// Waits for the next call; none if the actor shall end.
    fn next(&mut self) -> Option<Call> {
        self.0.wait_for_next()
    }
}

/// A call of an actor.
#[derive(Debug)]
pub struct Call {
    pub(crate) method: Arc<str>,
    pub(crate) arguments: Arguments,
    pub(crate) reply: Reply,
}

impl Call {
    /// What is called.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Method, arguments, and how it is answered.
    #[must_use]
    pub fn into_parts(self) -> (Arc<str>, Arguments, Reply) {
        (self.method, self.arguments, self.reply)
    }

    /// Does the work on this thread and answers with what comes of it, be it a panic.
    pub fn run(self, work: impl FnOnce(&mut Arguments) -> Result<Product, TaskError>) {
        let Self { mut arguments, reply, .. } = self;
        let made = {
            let _entered = reply.enter();
            panics::catch(|| work(&mut arguments))
        };
        reply.send(made);
    }

    /// The work as a future that ends when the call is answered; a call that is cancelled is given up where it waits.
    pub fn drive<F>(self, work: impl FnOnce(Arguments) -> F) -> impl Future<Output = ()>
    where
        F: Future<Output = Result<Product, TaskError>>,
    {
        let Self { arguments, reply, .. } = self;
        async move {
            let future = Box::pin(async move { work(arguments).await });
            let made = Driven { future, attempt: Arc::clone(&reply.attempt) }.await;
            reply.send(made);
        }
    }
}

/// A call's work that knows which call it is whenever it goes on.
struct Driven<F> {
    future: Pin<Box<F>>,
    attempt: Arc<Attempt>,
}

impl<F: Future<Output = Result<Product, TaskError>>> Future for Driven<F> {
    type Output = Result<Product, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Listened first, looked at then: a cancellation in between is seen by one of the two.
        self.attempt.listen(context.waker());
        if self.attempt.is_cancelled() {
            return Poll::Ready(Err(TaskError::Cancelled));
        }
        let _entered = context::enter(Arc::clone(&self.attempt));
        let polled = panics::catch(|| Ok(self.future.as_mut().poll(context)));
        polled.unwrap_or_else(|panicked| Poll::Ready(Err(panicked)))
    }
}

/// The way back of a call's result. A reply that is dropped fails its call.
pub struct Reply {
    attempt: Arc<Attempt>,
    /// Where the call counts as running.
    mailbox: Arc<Mailbox>,
    desk: Weak<Desk>,
    absences: Arc<Absences>,
    started: Instant,
    is_sent: bool,
}

impl Reply {
    /// For a call that begins to run now.
    pub(crate) fn new(attempt: Arc<Attempt>, mailbox: Arc<Mailbox>, absences: Arc<Absences>) -> Self {
        let desk = Weak::clone(&attempt.desk);
        Self { attempt, mailbox, desk, absences, started: Instant::now(), is_sent: false }
    }

    /// Answers the call.
    pub fn send(mut self, made: Result<Product, TaskError>) {
        self.end(made);
    }

    /// The call as a task: its number, its name, whether anybody still waits for it.
    #[must_use]
    pub fn context(&self) -> TaskContext {
        TaskContext { attempt: Arc::clone(&self.attempt) }
    }

    /// Makes this thread one that runs the call, as long as what is returned lives.
    #[must_use = "the thread runs the call only while this lives"]
    pub fn enter(&self) -> Entered {
        context::enter(Arc::clone(&self.attempt))
    }

    fn end(&mut self, made: Result<Product, TaskError>) {
        self.is_sent = true;
        let ran = self.started.elapsed();
        // Whatever the method made of it: it did not see what it should have seen, and cannot be run again.
        let made = self.absences.take().map_or(made, |missing| Err(TaskError::InputGone(missing[0].0)));
        if let Some(desk) = self.desk.upgrade() {
            desk.on_call_ended(&self.attempt, made, ran);
        }
        self.mailbox.on_answered(self.attempt.id);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.is_sent {
            self.end(Err(TaskError::Unanswered));
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", self.attempt)
    }
}
