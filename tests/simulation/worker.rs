//! A simulated worker process: takes orders, runs attempts in its slots, holds values. It knows nothing of the
//! scheduler, and every attempt it was given ends with exactly one message.
use crate::actors::{Actors, Begun};
use crate::client::{Ending, Plan};
use quiltwork_scheduler::{Event, InputSource};
use quiltwork_types::{
    AttemptId, Epoch, FailureKind, LossReason, NodeId, Resources, TaskFailure, TaskId, ValueId, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The epoch of every simulated master.
pub(crate) const EPOCH: Epoch = Epoch(7);

/// A worker process that is alive.
pub(crate) struct SimWorker {
    pub(crate) id: WorkerId,
    pub(crate) capacity: Resources,
    /// The node where what it holds stays when its process ends.
    pub(crate) node: Option<NodeId>,
    /// Values whose bytes it really has.
    pub(crate) held: BTreeSet<ValueId>,
    pub(crate) actors: Actors,
    /// It has stopped talking, but goes on.
    pub(crate) muted: bool,
    waiting: VecDeque<(AttemptId, Plan, Missing)>,
    running: BTreeMap<AttemptId, Running>,
    /// Attempts that came ahead of what they consume.
    followers: Vec<Follower>,
    /// Attempts that have made their values.
    made: BTreeSet<AttemptId>,
    /// Attempts started so far.
    starts: u64,
}

struct Follower {
    attempt: AttemptId,
    plan: Plan,
    missing: Missing,
    /// Attempts of this worker that have not ended.
    leaders: Vec<AttemptId>,
}

struct Running {
    plan: Plan,
    /// Which start of this worker it was.
    start: u64,
    lent: bool,
    missing: Missing,
}

/// Inputs that were not where they were said to be.
pub(crate) type Missing = Vec<(ValueId, WorkerId)>;

/// What happens to a running attempt next, without anybody's order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Submits a child task and lends its slots until that has ended.
    Lend,
    /// Its function returns.
    Return,
    /// It has noticed that it was cancelled.
    Stop,
    /// The inputs of a call are here.
    Arrive,
}

/// What a worker does to the world outside.
pub(crate) enum Effect {
    Send(Event),
    Later(Duration, AttemptId, Step),
    /// The attempt waits for a child task to end; then `reclaim` must be called.
    SubmitChild(AttemptId),
    /// A call begins to run in the actor that was made by an attempt.
    Begin {
        maker: AttemptId,
        call: AttemptId,
    },
    /// The process is gone, or says that it is about to be.
    Crash(LossReason),
}

impl SimWorker {
    pub(crate) fn new(id: WorkerId, capacity: Resources, node: Option<NodeId>) -> Self {
        let (waiting, running) = (VecDeque::new(), BTreeMap::new());
        Self {
            id,
            capacity,
            node,
            held: BTreeSet::new(),
            actors: Actors::default(),
            muted: false,
            waiting,
            running,
            followers: Vec::new(),
            made: BTreeSet::new(),
            starts: 0,
        }
    }

    /// An attempt whose inputs are all here or are being made here, or that finds out while it runs that some cannot be
    /// read. What an attempt made that has ended is not always at hand.
    pub(crate) fn dispatched(
        &mut self,
        attempt: AttemptId,
        plan: Plan,
        missing: Missing,
        mut leaders: Vec<AttemptId>,
        effects: &mut Vec<Effect>,
    ) {
        let remembers = attempt.task.index.is_multiple_of(2);
        leaders.retain(|leader| !(remembers && self.made.contains(leader)));
        if leaders.iter().any(|leader| !self.has(*leader)) {
            return effects.push(Effect::Send(Event::AttemptReturned { worker: self.id, attempt }));
        }
        if leaders.is_empty() {
            self.waiting.push_back((attempt, plan, missing));
            self.start_what_fits(effects);
        } else {
            self.followers.push(Follower { attempt, plan, missing, leaders });
        }
    }

    fn has(&self, attempt: AttemptId) -> bool {
        self.running.contains_key(&attempt)
            || self.waiting.iter().any(|(waiting, ..)| *waiting == attempt)
            || self.followers.iter().any(|follower| follower.attempt == attempt)
    }

    /// What follows an attempt that has ended here may start if that has made its value, else it goes back.
    fn lead(&mut self, ended: AttemptId, is_made: bool, effects: &mut Vec<Effect>) {
        if is_made {
            self.made.insert(ended);
        }
        let (led, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.followers).into_iter().partition(|follower| follower.leaders.contains(&ended));
        self.followers = others;
        for mut follower in led {
            follower.leaders.retain(|leader| *leader != ended);
            if !is_made {
                effects.push(Effect::Send(Event::AttemptReturned { worker: self.id, attempt: follower.attempt }));
                self.lead(follower.attempt, false, effects);
            } else if follower.leaders.is_empty() {
                self.waiting.push_back((follower.attempt, follower.plan, follower.missing));
            } else {
                self.followers.push(follower);
            }
        }
    }

    /// A call of an actor; its inputs come after a while, if some have to be fetched.
    pub(crate) fn called(
        &mut self,
        actor: TaskId,
        call: AttemptId,
        plan: Plan,
        fetch: Option<Duration>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.actors.expect(actor, call, plan) {
            return self.refuses(call, vec![(ValueId::of(actor), self.id)], effects);
        }
        match fetch {
            Some(delay) => effects.push(Effect::Later(delay, call, Step::Arrive)),
            None => self.receives(call, effects),
        }
    }

    /// The inputs of a call are here.
    fn receives(&mut self, call: AttemptId, effects: &mut Vec<Effect>) {
        match self.actors.arrive(call) {
            Some(Ok(actor)) => self.start_calls(actor, effects),
            Some(Err(gone)) => self.refuses(call, vec![(ValueId::of(gone), self.id)], effects),
            None => {}
        }
    }

    fn start_calls(&mut self, actor: TaskId, effects: &mut Vec<Effect>) {
        for Begun { maker, call, plan } in self.actors.start(actor) {
            self.starts += 1;
            self.running.insert(call, Running { plan, start: self.starts, lent: false, missing: Vec::new() });
            effects.push(Effect::Begin { maker, call });
            effects.push(Effect::Send(Event::AttemptStarted { worker: self.id, attempt: call }));
            effects.push(Effect::Later(plan.runs, call, Step::Return));
        }
    }

    /// Nobody needs an actor any more, or the one that an attempt has made.
    pub(crate) fn ends_actor(&mut self, actor: TaskId, maker: Option<AttemptId>, effects: &mut Vec<Effect>) {
        let (waiting, _) = self.actors.remove_actor(actor, maker);
        waiting.into_iter().for_each(|call| self.fail(call, FailureKind::Cancelled, effects));
    }

    /// An attempt whose inputs were not where they were said to be.
    pub(crate) fn refuses(&self, attempt: AttemptId, missing: Missing, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send(Event::InputsMissing { worker: self.id, attempt, missing }));
    }

    pub(crate) fn recalled(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let before = self.waiting.len() + self.followers.len();
        self.waiting.retain(|(waiting, ..)| *waiting != attempt);
        self.followers.retain(|follower| follower.attempt != attempt);
        if self.waiting.len() + self.followers.len() < before {
            effects.push(Effect::Send(Event::AttemptReturned { worker: self.id, attempt }));
            self.lead(attempt, false, effects);
        }
    }

    pub(crate) fn cancelled(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        self.recalled(attempt, effects);
        if self.actors.remove(attempt) {
            self.fail(attempt, FailureKind::Cancelled, effects);
        }
        if self.running.contains_key(&attempt) {
            effects.push(Effect::Later(Duration::from_millis(1), attempt, Step::Stop));
        }
    }

    pub(crate) fn superseded(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        self.held.remove(&ValueId::of(attempt.task));
        self.ends_actor(attempt.task, Some(attempt), effects);
    }

    /// Where it finds an input: here, at the master, or at another worker that must be asked.
    pub(crate) fn needs_to_fetch(&self, source: &InputSource) -> bool {
        !source.workers.is_empty() && !self.held.contains(&source.value)
    }

    pub(crate) fn step(&mut self, attempt: AttemptId, step: Step, effects: &mut Vec<Effect>) {
        if step == Step::Arrive {
            return self.receives(attempt, effects);
        }
        let Some(running) = self.running.get_mut(&attempt) else { return };
        let actor = self.actors.end(attempt);
        match step {
            Step::Arrive => {}
            Step::Lend => {
                running.lent = true;
                effects.push(Effect::Send(Event::SlotLent { worker: self.id, attempt }));
                effects.push(Effect::SubmitChild(attempt));
            }
            Step::Return => self.end(attempt, effects),
            Step::Stop => {
                self.running.remove(&attempt);
                self.fail(attempt, FailureKind::Cancelled, effects);
                self.lead(attempt, false, effects);
            }
        }
        if let Some(actor) = actor {
            self.start_calls(actor, effects);
        }
        self.start_what_fits(effects);
    }

    /// The child task has ended: the attempt goes on, even if its slots are in use.
    pub(crate) fn reclaim(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        if let Some(running) = self.running.get_mut(&attempt) {
            running.lent = false;
            effects.push(Effect::Send(Event::SlotReclaimed { worker: self.id, attempt }));
            effects.push(Effect::Later(running.plan.runs, attempt, Step::Return));
        }
    }

    fn start_what_fits(&mut self, effects: &mut Vec<Effect>) {
        while let Some((attempt, plan, missing)) = self.waiting.pop_front() {
            let taken: u32 =
                self.running.values().filter(|running| !running.lent).map(|running| running.plan.slots).sum();
            if taken + plan.slots > self.capacity.slots {
                self.waiting.push_front((attempt, plan, missing));
                break;
            }
            self.starts += 1;
            self.running.insert(attempt, Running { plan, start: self.starts, lent: false, missing });
            effects.push(Effect::Send(Event::AttemptStarted { worker: self.id, attempt }));
            let next = if plan.ending == Ending::AfterChild { Step::Lend } else { Step::Return };
            effects.push(Effect::Later(plan.runs, attempt, next));
        }
    }

    /// It says that its memory is short, or no more.
    pub(crate) fn pressure(&self, is_short: bool) -> Event {
        let worker = self.id;
        if is_short { Event::WorkerPressed { worker } } else { Event::WorkerRelieved { worker } }
    }

    /// Why it ends if it runs out of memory now; nobody is to blame if nothing runs.
    pub(crate) fn out_of_memory(&self) -> Option<LossReason> {
        let (&attempt, _) = self.running.iter().max_by_key(|(_, running)| running.start)?;
        Some(LossReason::OutOfMemory { attempt, used: 96, limit: 100 })
    }

    fn end(&mut self, attempt: AttemptId, effects: &mut Vec<Effect>) {
        let reason = self.out_of_memory();
        let Some(Running { plan, missing, .. }) = self.running.remove(&attempt) else { return };
        let is_made = missing.is_empty() && plan.makes_its_value(attempt);
        match plan.ending {
            Ending::Poison => effects.push(Effect::Crash(LossReason::ProcessEnded("signal 11 (SIGSEGV)".into()))),
            Ending::Hog => effects.extend(reason.map(Effect::Crash)),
            _ if !missing.is_empty() => self.refuses(attempt, missing, effects),
            Ending::Broken => self.fail(attempt, FailureKind::BadArgument, effects),
            Ending::Flaky { failures } if attempt.number <= failures => {
                self.fail(attempt, FailureKind::Panicked, effects);
            }
            Ending::Flaky { .. } | Ending::Fine | Ending::AfterChild if let Some(limit) = plan.max_concurrency => {
                self.actors.make(attempt, limit);
                let (worker, ran) = (self.id, plan.runs);
                let finished = Event::AttemptFinished { worker, attempt, epoch: EPOCH, size: 0, inline: false, ran };
                effects.push(Effect::Send(finished));
            }
            Ending::Flaky { .. } | Ending::Fine | Ending::AfterChild => {
                if !plan.inline {
                    self.held.insert(ValueId::of(attempt.task));
                }
                let (worker, size, inline, ran) = (self.id, plan.size, plan.inline, plan.runs);
                let finished = Event::AttemptFinished { worker, attempt, epoch: EPOCH, size, inline, ran };
                effects.push(Effect::Send(finished));
            }
        }
        self.lead(attempt, is_made, effects);
    }

    fn fail(&self, attempt: AttemptId, kind: FailureKind, effects: &mut Vec<Effect>) {
        let failure = Box::new(TaskFailure::new(kind, attempt.task, "simulated"));
        effects.push(Effect::Send(Event::AttemptFailed { worker: self.id, attempt, epoch: EPOCH, failure }));
    }
}
