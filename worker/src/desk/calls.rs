//! Actors at the desk: which of them live here, how calls reach their mailboxes, and what is reported of their ends.
use super::{AbortOnDrop, Desk, Order, State};
use crate::arguments::Output;
use crate::context::Attempt;
use crate::executor::{Ending, Job, Product, RunEnd};
use crate::failure::TaskError;
use crate::inputs::{Absent, Gathering, Inputs, Missing};
use crate::instance::{Calls, Instance};
use crate::mailbox::{Cancelled, Mailbox, Waiting};
use crate::slots::Command;
use quiltwork_types::{AttemptId, TaskId, ValueId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The actors that live in this worker, by the task that made each.
#[derive(Default)]
pub(super) struct Actors(Mutex<HashMap<TaskId, Arc<Mailbox>>>);

/// A call whose inputs are on their way.
pub(super) struct Arriving {
    actor: TaskId,
    attempt: Arc<Attempt>,
    method: Arc<str>,
    inputs: Box<Gathering>,
    fetch: Option<AbortOnDrop>,
}

impl Actors {
    pub(super) fn is_busy(&self) -> bool {
        self.lock().values().any(|mailbox| mailbox.is_busy())
    }

    /// The call that was started last of those that run, among the first `starts` of this worker.
    pub(super) fn newest(&self, starts: u64) -> Option<(u64, Arc<Attempt>)> {
        self.lock().values().filter_map(|mailbox| mailbox.newest(starts)).max_by_key(|(start, _)| *start)
    }

    /// Whether this is a call that one of them runs.
    pub(super) fn run(&self, attempt: AttemptId) -> bool {
        self.lock().values().any(|mailbox| mailbox.runs(attempt))
    }

    fn find(&self, actor: TaskId) -> Option<Arc<Mailbox>> {
        self.lock().get(&actor).map(Arc::clone)
    }

    fn take(&self, actor: TaskId, is_meant: impl FnOnce(&Mailbox) -> bool) -> Option<Arc<Mailbox>> {
        let mut actors = self.lock();
        actors.get(&actor).filter(|mailbox| is_meant(mailbox))?;
        actors.remove(&actor)
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Mailbox>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Takes calls of one actor in, in their order; answers with those whose inputs must be fetched first. No later call
    /// of the same lane comes before such a call has begun to run: the master sees to that.
    pub(super) fn assign_calls(&self, actor: TaskId, orders: Vec<Order>) -> Vec<(AttemptId, Absent)> {
        let mut fetches = Vec::new();
        let mut ready = Vec::with_capacity(orders.len());
        for order in orders {
            let Order { attempt: id, function: method, name, partition, inputs, .. } = order;
            let attempt = Arc::new(Attempt::new(id, self.worker, name, partition, None, self.this.clone()));
            match inputs {
                Inputs::Here(arguments) => ready.push(Waiting { attempt, method, arguments }),
                Inputs::Coming(mut inputs) => {
                    fetches.extend(inputs.take_absent().map(|absent| (id, absent)));
                    let arriving = Arriving { actor, attempt, method, inputs, fetch: None };
                    self.lock().arriving.insert(id, arriving);
                }
            }
        }
        self.hand_over(actor, ready);
        fetches
    }

    /// Ties a fetch to its call; whether it is one.
    pub(super) fn on_call_fetch_begun(&self, attempt: AttemptId, fetch: AbortHandle) -> Option<AbortHandle> {
        match self.lock().arriving.get_mut(&attempt) {
            Some(arriving) => {
                arriving.fetch = Some(AbortOnDrop(fetch));
                None
            }
            None => Some(fetch),
        }
    }

    /// The inputs of a call are here, or cannot be had.
    pub(super) fn on_call_fetched(&self, arriving: Arriving, fetched: Result<HashMap<ValueId, Output>, Missing>) {
        let Arriving { actor, attempt, method, mut inputs, .. } = arriving;
        match fetched {
            Ok(values) => {
                inputs.arrive(values);
                let arguments = inputs.into_arguments();
                self.hand_over(actor, vec![Waiting { attempt, method, arguments }]);
            }
            Err(missing) => self.report(|state| state.reports.lacking(attempt.id, missing)),
        }
    }

    /// Gives calls to their actor. If it is not here, that is what they are lacking.
    fn hand_over(&self, actor: TaskId, calls: Vec<Waiting>) {
        if calls.is_empty() {
            return;
        }
        let refused = match self.actors.find(actor) {
            Some(mailbox) => mailbox.append(calls).err().unwrap_or_default(),
            None => calls,
        };
        if !refused.is_empty() {
            let missing = (ValueId::of(actor), self.worker);
            self.report(|state| {
                refused.iter().for_each(|call| state.reports.lacking(call.attempt.id, vec![missing]));
            });
        }
    }

    /// Ends a call that waits or whose inputs are on their way, and tells one that runs; says whether it was a call.
    pub(super) fn cancel_call(&self, attempt: AttemptId) -> bool {
        let arriving = self.lock().arriving.remove(&attempt);
        let cancelled = match arriving {
            Some(arriving) => Some(Cancelled::Removed(arriving.attempt)),
            None => self.actors.lock().values().find_map(|mailbox| mailbox.cancel(attempt)),
        };
        if let Some(Cancelled::Removed(attempt)) = &cancelled {
            self.discard([attempt]);
        }
        cancelled.is_some()
    }

    /// A call has begun to run.
    pub(crate) fn on_call_started(&self, attempt: AttemptId) {
        self.report(|state| state.reports.started(attempt));
    }

    /// A call has been answered.
    pub(crate) fn on_call_ended(&self, attempt: &Attempt, made: Result<Product, TaskError>, ran: Duration) {
        let ending = self.workshop.answer(attempt, made, ran);
        self.wheel.note(ran);
        self.report(|state| state.reports.ended(attempt.id, ending));
    }

    /// On the thread of an actor: makes it, and says that it is there. Its calls may come from then on.
    pub(crate) fn make_actor(&self, job: Job, max_concurrency: u32) -> Option<(Box<dyn Instance>, Calls)> {
        let maker = job.attempt.id;
        match self.workshop.construct(job) {
            Ok((instance, ending)) => {
                let mailbox =
                    Arc::new(Mailbox::new(maker, max_concurrency, Arc::clone(&self.starts), Arc::clone(&self.wheel)));
                // First of all: the master sends calls as soon as it hears of the actor.
                self.actors.lock().insert(maker.task, Arc::clone(&mailbox));
                self.on_construction_ended(maker, RunEnd::Ended(ending));
                Some((instance, Calls(mailbox)))
            }
            Err(end) => {
                self.on_construction_ended(maker, *end);
                None
            }
        }
    }

    fn on_construction_ended(&self, maker: AttemptId, end: RunEnd) {
        let mut state = self.lock();
        if let Some(work) = state.works.get_mut(&maker) {
            work.end = Some(end);
        }
        state.apply(Command::RunEnded(maker));
        self.settle(&mut state);
    }

    /// Nobody needs the actor any more: it ends when the calls that run have been answered.
    pub(crate) fn end_actor(&self, actor: TaskId) {
        self.close_mailbox(self.actors.take(actor, |_| true));
    }

    /// The same for an actor that was made by an attempt that does not count.
    pub(crate) fn end_actor_made_by(&self, maker: AttemptId) {
        self.close_mailbox(self.actors.take(maker.task, |mailbox| mailbox.maker() == maker));
    }

    /// The actor takes no calls any more. Waits until those that run have been answered.
    pub(crate) fn on_actor_ended(&self, calls: &Calls) {
        let Calls(mailbox) = calls;
        drop(self.actors.take(mailbox.actor(), |known| std::ptr::eq(known, &raw const **mailbox)));
        self.close_mailbox(Some(Arc::clone(mailbox)));
        mailbox.wait_until_running(0);
    }

    /// The thread of an actor ends.
    pub(crate) fn on_actor_thread_ended(&self) {
        self.lock().threads -= 1;
        self.thread_ended.notify_all();
    }

    /// Ends all actors.
    pub(super) fn end_actors(&self) {
        let actors = std::mem::take(&mut *self.actors.lock());
        actors.into_values().for_each(|mailbox| drop(mailbox.close()));
    }

    fn close_mailbox(&self, mailbox: Option<Arc<Mailbox>>) {
        let waited = mailbox.map(|mailbox| mailbox.close()).unwrap_or_default();
        self.discard(waited.iter().map(|call| &call.attempt));
    }

    /// Reports that calls are over that never began.
    fn discard<'a>(&self, calls: impl IntoIterator<Item = &'a Arc<Attempt>>) {
        let mut calls = calls.into_iter().peekable();
        if calls.peek().is_some() {
            self.report(|state| {
                for attempt in calls {
                    state.reports.ended(attempt.id, Ending::failed(attempt, TaskError::Cancelled));
                }
            });
        }
    }

    /// Adds to what is to be told to the master.
    fn report(&self, add: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        add(&mut state);
        self.wake_session(&mut state);
    }
}
