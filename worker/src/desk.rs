//! The desk: where the session hands in attempts, slot threads pick them up and reports wait, all behind one lock.
//!
//! A slot thread that ends an attempt takes the next one itself, so a full worker goes on without waking the session;
//! the session is woken once for all that was reported since it last looked. One that finds nothing to do drives the
//! session. User code never runs under the lock.
mod calls;
mod deadlines;
mod following;
mod jobs;

use crate::arguments::{Arguments, Output};
use crate::context::Attempt;
use crate::executor::{Ending, Job, RunEnd, Workshop};
use crate::failure::TaskError;
use crate::inputs::{Absent, Gathering, Inputs, Missing};
use crate::reports::Reports;
use crate::slots::{Command, Effect, Phase, SlotMachine};
use crate::threads;
use crate::wheel::Wheel;
use calls::{Actors, Arriving};
use following::Following;
use quiltwork_protocol::master_to_worker::Duty;
use quiltwork_protocol::{Parcel, WorkerToMaster};
use quiltwork_types::{AttemptId, Epoch, ValueId, WorkerId};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, yield_now};

/// An attempt as the session hands it in.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) attempt: AttemptId,
    pub(crate) function: Arc<str>,
    pub(crate) name: Box<str>,
    pub(crate) slots: u32,
    pub(crate) partition: Option<u32>,
    pub(crate) duty: Duty,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) inputs: Inputs,
}

/// Where session and slot threads meet.
pub(crate) struct Desk {
    worker: WorkerId,
    epoch: Epoch,
    slots: usize,
    workshop: Workshop,
    wheel: Arc<Wheel>,
    actors: Actors,
    /// Attempts started so far.
    starts: Arc<AtomicU64>,
    state: Mutex<State>,
    /// Wakes a slot thread: there may be a job, or the desk is closed.
    job_handed_in: Condvar,
    /// Wakes who waits for the slot threads to end.
    thread_ended: Condvar,
    /// Wakes the session: there is something to report.
    reported: Notify,
    /// Wakes whoever watches the deadlines: there is an earlier one.
    deadline_set: Notify,
    this: Weak<Self>,
}

/// What the lock guards.
struct State {
    machine: SlotMachine,
    /// One for each attempt the machine has.
    works: HashMap<AttemptId, Work>,
    arriving: HashMap<AttemptId, Arriving>,
    /// Started by the machine, not picked up by a thread yet.
    jobs: VecDeque<Job>,
    /// The same for those that make actors, each with how many calls may run at a time.
    births: Vec<(Job, u32)>,
    /// Jobs no thread has been woken for.
    unannounced: usize,
    /// Threads that look for a job, drive, sleep or have just been made.
    idle: usize,
    /// The one of them that drives and looks when it stops.
    driving: Option<ThreadId>,
    threads: usize,
    starts: Arc<AtomicU64>,
    fetches: Vec<(AttemptId, Absent)>,
    following: Following,
    /// When running attempts must end.
    deadlines: BTreeSet<(Instant, AttemptId)>,
    /// Attempts that were told as ended and whose functions go on.
    abandoned: usize,
    /// Whether there is an earlier deadline than whoever watches them knows.
    is_earlier_due: bool,
    reports: Reports,
    /// Whether the session has been woken and has not looked yet.
    flush_due: bool,
    closed: bool,
    /// What follows from effects that are being carried out.
    commands: VecDeque<Command>,
    /// Kept for its memory.
    effects: Vec<Effect>,
}

/// What belongs to an attempt while the machine has it.
struct Work {
    attempt: Arc<Attempt>,
    function: Arc<str>,
    /// Of an attempt that makes an actor: how many of its calls may run at a time.
    max_concurrency: Option<u32>,
    arguments: Option<Arguments>,
    /// Until all its inputs are here.
    gathering: Option<Box<Gathering>>,
    fetch: Option<AbortOnDrop>,
    missing: Missing,
    end: Option<RunEnd>,
    /// Which start of this worker it was, from 1; 0 before it is started.
    start: u64,
    /// When it must end, if it runs and may not run for ever.
    due: Option<Instant>,
}

/// Stops a fetch when nobody needs it any more.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Desk {
    /// A desk with `slots` slots and as many threads.
    ///
    /// # Errors
    /// If the system does not give that many threads.
    pub(crate) fn open(
        worker: WorkerId,
        epoch: Epoch,
        slots: u32,
        workshop: Workshop,
        wheel: Arc<Wheel>,
    ) -> std::io::Result<Arc<Self>> {
        let starts = Arc::<AtomicU64>::default();
        let following = Following::new(Arc::clone(&workshop.store));
        let desk = Arc::new_cyclic(|this| Self {
            worker,
            epoch,
            slots: slots as usize,
            workshop,
            wheel,
            actors: Actors::default(),
            state: Mutex::new(State::new(slots, Arc::clone(&starts), following)),
            starts,
            job_handed_in: Condvar::new(),
            thread_ended: Condvar::new(),
            reported: Notify::new(),
            deadline_set: Notify::new(),
            this: Weak::clone(this),
        });
        let mut state = desk.lock();
        for _ in 0..slots {
            if let Err(error) = desk.start_thread(&mut state) {
                drop(state);
                desk.close(Duration::ZERO);
                return Err(error);
            }
        }
        drop(state);
        Ok(desk)
    }

    /// Takes attempts in; answers with those whose inputs must be fetched first.
    pub(crate) fn assign(&self, orders: impl IntoIterator<Item = Order>) -> Vec<(AttemptId, Absent)> {
        let mut fetches = Vec::new();
        let mut orders = orders.into_iter().peekable();
        while let Some(order) = orders.next() {
            if let duty @ Duty::Call { actor } = order.duty {
                let mut calls = vec![order];
                calls.extend(std::iter::from_fn(|| orders.next_if(|next| next.duty == duty)));
                fetches.extend(self.assign_calls(actor, calls));
            } else {
                let is_of_slots = |next: &Order| !matches!(next.duty, Duty::Call { .. });
                let more = std::iter::from_fn(|| orders.next_if(is_of_slots));
                fetches.append(&mut self.assign_to_slots(std::iter::once(order).chain(more)));
            }
        }
        fetches
    }

    fn assign_to_slots(&self, orders: impl Iterator<Item = Order>) -> Vec<(AttemptId, Absent)> {
        let mut state = self.lock();
        for Order { attempt: id, function, name, slots, partition, duty, time_limit, inputs } in orders {
            if state.works.contains_key(&id) {
                continue;
            }
            let (arguments, gathering) = match inputs {
                Inputs::Here(arguments) => (Some(arguments), None),
                Inputs::Coming(gathering) => {
                    let Some(inputs) = state.follow(id, gathering) else {
                        state.reports.returned(id);
                        continue;
                    };
                    inputs
                }
            };
            let ready = arguments.is_some();
            let attempt = Arc::new(Attempt::new(id, self.worker, name, partition, time_limit, Weak::clone(&self.this)));
            let max_concurrency = match duty {
                Duty::Actor { max_concurrency } => Some(max_concurrency),
                Duty::Task | Duty::Call { .. } => None,
            };
            let (fetch, missing, end, start, due) = (None, Vec::new(), None, 0, None);
            let work =
                Work { attempt, function, max_concurrency, arguments, gathering, fetch, missing, end, start, due };
            state.works.insert(id, work);
            state.apply(Command::Assigned { attempt: id, slots, ready });
        }
        self.settle(&mut state);
        std::mem::take(&mut state.fetches)
    }

    /// Ties a fetch to its attempt: it is aborted when the attempt goes away.
    pub(crate) fn on_fetch_begun(&self, attempt: AttemptId, fetch: AbortHandle) {
        let Some(fetch) = self.on_call_fetch_begun(attempt, fetch) else { return };
        if let Some(work) = self.lock().works.get_mut(&attempt) {
            work.fetch = Some(AbortOnDrop(fetch));
        }
    }

    /// The fetch of an attempt is over, one way or the other.
    pub(crate) fn on_fetch_ended(&self, attempt: AttemptId, fetched: Result<HashMap<ValueId, Output>, Missing>) {
        let mut state = self.lock();
        if let Some(arriving) = state.arriving.remove(&attempt) {
            drop(state);
            return self.on_call_fetched(arriving, fetched);
        }
        let Some(work) = state.works.get_mut(&attempt) else { return };
        match fetched {
            Ok(values) => state.arrive(attempt, values),
            Err(missing) => {
                work.missing = missing;
                state.commands.push_back(Command::InputsFailed(attempt));
            }
        }
        state.carry_on();
        self.settle(&mut state);
    }

    /// Gives unstarted attempts back.
    pub(crate) fn recall(&self, attempts: &[AttemptId]) {
        self.command(attempts.iter().map(|attempt| Command::Recall(*attempt)));
    }

    /// Ends unstarted attempts and tells running ones.
    pub(crate) fn cancel(&self, attempts: &[AttemptId]) {
        let of_slots = attempts.iter().filter(|attempt| !self.cancel_call(**attempt));
        self.command(of_slots.map(|attempt| Command::Cancel(*attempt)).collect::<Vec<_>>());
        attempts.iter().for_each(|attempt| self.workshop.executor.interrupt(*attempt));
    }

    /// The attempt's slots are free until it reclaims them.
    pub(crate) fn lend(&self, attempt: AttemptId) {
        self.command([Command::Lend(attempt)]);
        // This thread is going to wait, and may be the one that would drive.
        self.wheel.call_steward();
    }

    /// Ends one lending; if it was the last, waits until the attempt has its slots again or the desk is closed.
    pub(crate) fn reclaim(&self, attempt: &Attempt) {
        let mut state = self.lock();
        state.apply(Command::Reclaim(attempt.id));
        self.settle(&mut state);
        while !state.closed && state.machine.phase(attempt.id) == Some(Phase::Resuming) {
            state = attempt.resumed.wait(state).expect(LOCK_HOLDS);
        }
    }

    /// A running attempt says how far it is.
    pub(crate) fn progress(&self, attempt: AttemptId, done: u64, total: u64) {
        let is_call = self.actors.run(attempt);
        let mut state = self.lock();
        if is_call || state.works.contains_key(&attempt) {
            state.reports.progress(attempt, done, total);
            self.wake_session(&mut state);
        }
    }

    /// A fetched value is kept.
    pub(crate) fn on_copied(&self, value: ValueId) {
        let mut state = self.lock();
        state.reports.copied(value);
        self.wake_session(&mut state);
    }

    /// A value could not be adopted.
    pub(crate) fn on_not_adopted(&self, value: ValueId, error: TaskError) {
        // Nobody has tried to make it.
        let failure = error.into_failure(AttemptId { task: value.task, number: 0 }, "");
        let mut state = self.lock();
        state.reports.not_adopted(value, failure);
        self.wake_session(&mut state);
    }

    /// Values this worker was to inherit were not there.
    pub(crate) fn on_not_inherited(&self, values: Vec<ValueId>) {
        if !values.is_empty() {
            let mut state = self.lock();
            state.reports.not_inherited(values);
            self.wake_session(&mut state);
        }
    }

    /// Memory is short, or no more.
    pub(crate) fn on_pressure(&self, is_pressed: bool) {
        let mut state = self.lock();
        state.reports.pressed(is_pressed);
        self.wake_session(&mut state);
    }

    /// Whether there are attempts, in whatever state.
    pub(crate) fn is_busy(&self) -> bool {
        !self.lock().works.is_empty() || self.actors.is_busy()
    }

    /// How many attempts have been started so far.
    pub(crate) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// The attempt that was started last of those that run, among the first `starts` of this worker.
    pub(crate) fn newest(&self, starts: u64) -> Option<Arc<Attempt>> {
        let of_slots = {
            let state = self.lock();
            let running = state.works.values().filter(|work| (1..=starts).contains(&work.start));
            running.max_by_key(|work| work.start).map(|work| (work.start, Arc::clone(&work.attempt)))
        };
        let newest = of_slots.into_iter().chain(self.actors.newest(starts)).max_by_key(|(start, _)| *start);
        newest.map(|(_, attempt)| attempt)
    }

    /// Waits until there is something to report, and takes all of it.
    pub(crate) async fn take_reports(&self) -> Vec<Parcel<WorkerToMaster>> {
        self.reported.notified().await;
        if self.wheel.is_to_be_left() {
            // After the job that thread has taken, and with its end if that comes soon.
            yield_now().await;
        }
        self.take_reports_now()
    }

    /// Takes all there is to report.
    pub(crate) fn take_reports_now(&self) -> Vec<Parcel<WorkerToMaster>> {
        let mut state = self.lock();
        state.flush_due = false;
        state.reports.take(self.epoch)
    }

    /// Starts nothing more, lets those go on that wait for their slots, and waits for running functions at most that
    /// long: they cannot be stopped.
    pub(crate) fn close(&self, patience: Duration) {
        self.end_actors();
        let mut state = self.lock();
        state.closed = true;
        state.jobs.clear();
        state.births.clear();
        for work in state.works.values() {
            work.attempt.cancel();
            work.attempt.resumed.notify_all();
        }
        self.job_handed_in.notify_all();
        let threads_left = |state: &mut State| state.threads > 0;
        drop(self.thread_ended.wait_timeout_while(state, patience, threads_left).expect(LOCK_HOLDS));
    }

    fn command(&self, commands: impl IntoIterator<Item = Command>) {
        let mut state = self.lock();
        for command in commands {
            state.apply(command);
        }
        self.settle(&mut state);
    }

    /// Sees to it that somebody comes for every job and every report.
    fn settle(&self, state: &mut State) {
        while state.jobs.len() > state.idle && !state.closed {
            if let Err(error) = self.start_thread(state) {
                let job = state.jobs.pop_back().expect("there are more jobs than idle threads");
                state.unannounced = state.unannounced.min(state.jobs.len());
                state.fail_for_want_of_thread(job.attempt.id, error);
            }
        }
        while let Some((job, max_concurrency)) = state.births.pop() {
            let maker = job.attempt.id;
            match threads::start_actor(self.this(), job, max_concurrency) {
                Ok(()) => state.threads += 1,
                Err(error) => state.fail_for_want_of_thread(maker, error),
            }
        }
        self.announce(state);
        if !state.reports.is_empty() {
            self.wake_session(state);
        }
        if std::mem::take(&mut state.is_earlier_due) {
            self.deadline_set.notify_one();
        }
    }

    fn start_thread(&self, state: &mut State) -> std::io::Result<()> {
        threads::start(self.this())?;
        state.threads += 1;
        state.idle += 1;
        Ok(())
    }

    fn this(&self) -> Arc<Self> {
        self.this.upgrade().expect("who calls a method holds the desk")
    }

    fn wake_session(&self, state: &mut State) {
        if !std::mem::replace(&mut state.flush_due, true) {
            self.reported.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(LOCK_HOLDS)
    }
}

const LOCK_HOLDS: &str = "nothing panics under the desk's lock";

impl State {
    fn new(slots: u32, starts: Arc<AtomicU64>, following: Following) -> Self {
        Self {
            machine: SlotMachine::new(slots),
            works: HashMap::new(),
            arriving: HashMap::new(),
            jobs: VecDeque::new(),
            births: Vec::new(),
            unannounced: 0,
            idle: 0,
            driving: None,
            threads: 0,
            starts,
            fetches: Vec::new(),
            following,
            deadlines: BTreeSet::new(),
            abandoned: 0,
            is_earlier_due: false,
            reports: Reports::default(),
            flush_due: false,
            closed: false,
            commands: VecDeque::new(),
            effects: Vec::new(),
        }
    }

    fn work(&mut self, attempt: AttemptId) -> &mut Work {
        self.works.get_mut(&attempt).expect("every attempt of the machine has its work here")
    }

    fn remove(&mut self, attempt: AttemptId) -> Work {
        let work = self.works.remove(&attempt).expect("every attempt of the machine has its work here");
        if let Some(due) = work.due {
            self.deadlines.remove(&(due, attempt));
        }
        work
    }

    /// Ends an attempt that was started and for which there is no thread.
    fn fail_for_want_of_thread(&mut self, attempt: AttemptId, error: std::io::Error) {
        let ending = Ending::failed(&self.work(attempt).attempt, TaskError::NoThread(error));
        self.work(attempt).end = Some(RunEnd::Ended(ending));
        self.apply(Command::RunEnded(attempt));
    }

    /// Lets the machine handle a command and carries out what it wants, with all that follows.
    fn apply(&mut self, command: Command) {
        self.commands.push_back(command);
        self.carry_on();
    }

    /// Lists instead of recursion: each attempt of a long chain may follow another one.
    fn carry_on(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        while let Some(command) = self.commands.pop_front() {
            self.machine.handle(command, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(effect);
            }
        }
        self.effects = effects;
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Fetch(attempt) => {
                let gathering = self.work(attempt).gathering.as_mut().expect("what is not ready gathers its inputs");
                let absent = gathering.take_absent();
                self.fetches.extend(absent.map(|absent| (attempt, absent)));
            }
            Effect::Start(id) => {
                let start = self.starts.fetch_add(1, Ordering::Relaxed) + 1;
                let work = self.work(id);
                work.start = start;
                let max_concurrency = work.max_concurrency;
                let arguments = work.arguments.take().expect("the machine starts what is ready, once");
                let (attempt, function) = (Arc::clone(&work.attempt), Arc::clone(&work.function));
                // What is too long for the clock never ends.
                if let Some(due) = attempt.time_limit.and_then(|limit| Instant::now().checked_add(limit)) {
                    self.set_deadline(id, due);
                }
                let job = Job { attempt, function, arguments };
                if let Some(max_concurrency) = max_concurrency {
                    self.births.push((job, max_concurrency));
                } else {
                    self.jobs.push_back(job);
                    self.unannounced += 1;
                }
                self.reports.started(id);
            }
            Effect::Lent(attempt) => self.reports.lent(attempt),
            Effect::Resume(attempt) => {
                self.work(attempt).attempt.resumed.notify_all();
                self.reports.reclaimed(attempt);
            }
            Effect::Tell(attempt) => self.work(attempt).attempt.cancel(),
            Effect::Returned(attempt) => {
                self.remove(attempt);
                self.send_back_followers(attempt);
                self.reports.returned(attempt);
            }
            Effect::Lacking(attempt) => {
                let missing = self.remove(attempt).missing;
                self.send_back_followers(attempt);
                self.reports.lacking(attempt, missing);
            }
            Effect::Discarded(attempt) => {
                let ending = Ending::failed(&self.remove(attempt).attempt, TaskError::Cancelled);
                self.send_back_followers(attempt);
                self.reports.ended(attempt, ending);
            }
            Effect::Ended(attempt) => match self.remove(attempt).end.expect("who says a run has ended says how") {
                RunEnd::Ended(ending) => {
                    self.lead(attempt, &ending);
                    self.reports.ended(attempt, ending);
                }
                RunEnd::Lacking(missing) => {
                    self.send_back_followers(attempt);
                    self.reports.lacking(attempt, missing);
                }
            },
        }
    }
}
