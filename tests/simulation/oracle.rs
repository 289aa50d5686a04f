//! An independent account of what the master has been told and has ordered; every action is held against it.
//!
//! It follows events and actions only and knows nothing of how the scheduler works, so both would have to make the
//! same mistake for it to stay unseen.
use crate::worker::EPOCH;
use quiltwork_scheduler::{Action, Event, InputSource, Outcome, Scheduler, Supply};
use quiltwork_types::{
    AttemptId, FailureKind, JobId, LossReason, NodeId, Resources, TaskId, TaskRole, TaskSpec, TaskState, ValueId,
    WorkerId,
};
use std::collections::{BTreeMap, BTreeSet};

/// Fails the simulation with a message unless the condition holds.
macro_rules! expect {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

/// What must be true of the scheduler's actions.
#[derive(Default)]
pub(crate) struct Oracle {
    /// Whether workers die only of poison, so that no other task may be blamed.
    pub(crate) only_poison_kills: bool,
    /// Tasks that may be blamed: those that kill, and those that wait for others meanwhile, whose worker others share.
    pub(crate) suspects: BTreeSet<TaskId>,
    joined: BTreeMap<WorkerId, Resources>,
    /// Of those, the ones that are short of memory.
    pressed: BTreeSet<WorkerId>,
    /// Of workers that have one, also of those that are gone.
    nodes: BTreeMap<WorkerId, NodeId>,
    spent: BTreeSet<WorkerId>,
    specs: BTreeMap<TaskId, TaskSpec>,
    kept: BTreeSet<TaskId>,
    closed: BTreeSet<JobId>,
    forgotten: BTreeSet<TaskId>,
    /// Attempts that occupy a place at a worker.
    places: BTreeMap<AttemptId, Place>,
    /// The one attempt of each task whose completion counts.
    current: BTreeMap<TaskId, AttemptId>,
    dispatched: BTreeMap<TaskId, u32>,
    values: BTreeMap<TaskId, Held>,
    /// Size and node of what clients have written.
    written: BTreeMap<TaskId, (u64, NodeId)>,
    /// Nodes of clients that are gone, and who was asked to clear up there.
    to_clear: BTreeMap<JobId, (NodeId, Option<WorkerId>)>,
    /// The actors that references stand for.
    meant: BTreeMap<TaskId, TaskId>,
    /// The calls of each line, in the order of their submission, by job and lane.
    lines: BTreeMap<(JobId, u32), Vec<TaskId>>,
    /// How often each actor was made.
    made: BTreeMap<TaskId, u32>,
    /// Workers that died holding a task since its last result.
    deaths: BTreeMap<TaskId, u32>,
}

struct Place {
    worker: WorkerId,
    slots: u32,
    recalled: bool,
    lent: bool,
    /// Its task has two deaths behind it and must have the worker for itself.
    alone: bool,
    /// It is a call, which takes nothing of what others share.
    is_call: bool,
    /// What others were to make when it went there; until then it takes no slots.
    coming: Vec<TaskId>,
}

#[derive(Default)]
struct Held {
    size: u64,
    master: bool,
    workers: BTreeSet<WorkerId>,
}

impl Oracle {
    pub(crate) fn new(only_poison_kills: bool) -> Self {
        Self { only_poison_kills, ..Self::default() }
    }

    /// Takes in an event and what the scheduler did about it.
    pub(crate) fn judge(&mut self, event: &Event, actions: &[Action], scheduler: &Scheduler) -> Result<(), String> {
        let publishes = self.learn(event, actions)?;
        let published: Vec<_> = actions.iter().filter(|action| matches!(action, Action::Publish { .. })).collect();
        match publishes {
            Some(task) => {
                let is_there = matches!(published[..], [Action::Publish { value }] if *value == ValueId::of(task));
                expect!(is_there, "the first completion of {task} was not published: {published:?}");
            }
            None => expect!(published.is_empty(), "published without a valid completion: {published:?}"),
        }
        for action in actions {
            self.check(event, action).map_err(|wrong| format!("{action:?}: {wrong}"))?;
        }
        for action in actions {
            if let Action::Dispatch { attempt, actor: Some(actor), .. } = action {
                self.check_line(attempt.task, *actor, scheduler)?;
            }
        }
        for (task, attempt) in &self.current {
            let state = scheduler.state(*task);
            let is_out = matches!(state, Some(TaskState::Assigned | TaskState::Running));
            expect!(is_out, "{attempt} is out, but its task is {state:?}");
        }
        Ok(())
    }

    /// Says what is left over when everything has ended and nobody holds a reference.
    pub(crate) fn leftovers(&self) -> Result<(), String> {
        let held: Vec<_> = self.values.iter().filter(|(_, held)| held.is_available()).map(|(task, _)| task).collect();
        expect!(held.is_empty(), "values are still held: {held:?}");
        expect!(self.places.is_empty(), "places are still taken: {:?}", self.places.keys());
        let remembered: Vec<_> = self.specs.keys().filter(|task| !self.forgotten.contains(task)).collect();
        expect!(remembered.is_empty(), "arguments are still kept: {remembered:?}");
        Ok(())
    }

    /// What the event changes by itself. Returns the task whose bytes the master must take now.
    fn learn(&mut self, event: &Event, actions: &[Action]) -> Result<Option<TaskId>, String> {
        match event {
            Event::WorkerJoined { worker, capacity, node } if self.spent.insert(*worker) => {
                self.nodes.extend(node.map(|node| (*worker, node)));
                self.joined.insert(*worker, capacity.clone());
            }
            Event::WorkerLost { worker, reason } if self.joined.remove(worker).is_some() => {
                self.learn_inheritance(*worker, reason, actions)?;
                self.learn_loss(*worker, reason);
            }
            Event::WorkerPressed { worker } if self.joined.contains_key(worker) => {
                self.pressed.insert(*worker);
            }
            Event::WorkerRelieved { worker } => {
                self.pressed.remove(worker);
            }
            Event::SlotLent { worker, attempt } | Event::SlotReclaimed { worker, attempt } => {
                if let Some(place) = self.places.get_mut(attempt).filter(|place| place.worker == *worker) {
                    place.lent = matches!(event, Event::SlotLent { .. });
                }
            }
            Event::TasksSubmitted { tasks } => tasks.iter().for_each(|spec| self.learn_spec(spec)),
            Event::ReferencesDropped { tasks } => tasks.iter().for_each(|task| {
                self.kept.remove(task);
            }),
            Event::ValueUploaded { task, size } => {
                let refused = actions.contains(&Action::FreeAtMaster { value: ValueId::of(*task) });
                let is_upload = self.specs.get(task).is_some_and(|spec| spec.function.is_none());
                if !refused || (is_upload && !self.forgotten.contains(task) && !self.values.contains_key(task)) {
                    self.values.entry(*task).or_insert(Held { size: *size, master: true, workers: BTreeSet::new() });
                }
            }
            Event::ValueCopied { value, worker } => {
                let refused = actions.contains(&Action::Free { worker: *worker, value: *value });
                if !refused && value.output == 0 && self.joined.contains_key(worker) {
                    self.learn_copy(value.task, *worker)?;
                }
            }
            Event::ValueWritten { task, size, node } if self.is_upload(*task) => {
                self.written.entry(*task).or_insert((*size, *node));
            }
            Event::AttemptFinished { worker, attempt, epoch, size, inline, .. }
                if *epoch == EPOCH && self.leave_place(*worker, *attempt) =>
            {
                return self.publish(*worker, attempt.task, *size, *inline);
            }
            Event::AttemptFailed { worker, attempt, epoch, .. } if *epoch == EPOCH => {
                self.leave_place(*worker, *attempt);
            }
            Event::AttemptReturned { worker, attempt } | Event::InputsMissing { worker, attempt, .. } => {
                self.leave_place(*worker, *attempt);
            }
            Event::JobClosed { job, node } => {
                if self.closed.insert(*job) {
                    self.to_clear.extend(node.map(|node| (*job, (node, None))));
                }
                self.kept.retain(|task| task.job != *job);
            }
            _ => {}
        }
        Ok(None)
    }

    fn is_upload(&self, task: TaskId) -> bool {
        self.specs.get(&task).is_some_and(|spec| spec.function.is_none() && spec.role == TaskRole::Plain)
    }

    fn is_actor(&self, task: TaskId) -> bool {
        self.specs.get(&task).is_some_and(|spec| matches!(spec.role, TaskRole::Actor(_)))
    }

    fn is_call(&self, task: TaskId) -> bool {
        self.specs.get(&task).is_some_and(|spec| matches!(spec.role, TaskRole::Call { .. }))
    }

    /// The actor that is meant where a task is named.
    fn meaning(&self, task: TaskId) -> TaskId {
        self.meant.get(&task).copied().unwrap_or(task)
    }

    /// No call goes before an earlier one of its lane that has yet to go.
    fn check_line(&self, call: TaskId, actor: TaskId, scheduler: &Scheduler) -> Result<(), String> {
        let TaskRole::Call { lane, actor: named } = self.specs[&call].role else {
            return Err(format!("{call} is no call"));
        };
        // What was given up before its actor was there has never been said to stand for it.
        let is_known = self.meant.contains_key(&named) || self.made.contains_key(&named);
        expect!(!is_known || self.meaning(named) == actor, "{call} calls {named} and not {actor}");
        let line = self.lines[&(call.job, lane)].iter().take_while(|other| **other != call);
        let goes_later = |other: &&TaskId| {
            let TaskRole::Call { actor: named, .. } = self.specs[*other].role else { return false };
            let waits = matches!(scheduler.state(**other), Some(TaskState::Waiting | TaskState::Queued));
            // One that has made its value waits for nothing but somebody who keeps that.
            waits && self.meaning(named) == actor && !self.values.contains_key(*other)
        };
        let overtaken: Vec<_> = line.filter(goes_later).collect();
        expect!(overtaken.is_empty(), "{call} has overtaken {overtaken:?}");
        Ok(())
    }

    /// A worker holds a value that others hold, or one that was to be adopted.
    fn learn_copy(&mut self, task: TaskId, worker: WorkerId) -> Result<(), String> {
        let is_call = self.is_call(task);
        let held = self.values.entry(task).or_default();
        if !held.is_available() && !is_call {
            let Some((size, _)) = self.written.get(&task) else {
                return Err("a copy of a value nobody holds was accepted".into());
            };
            held.size = *size;
        }
        held.workers.insert(worker);
        Ok(())
    }

    /// Who adopts is on the node where the bytes are, and so were all who were asked before; they are gone.
    fn check_adoption(&self, worker: WorkerId, value: ValueId, size: u64, formerly: &[WorkerId]) -> Result<(), String> {
        let written = self.written.get(&value.task).map(|(size, node)| (*size, Some(node)));
        // What a call has made cannot be made again either.
        let made = self.values.get(&value.task).filter(|_| self.is_call(value.task)).map(|held| (held.size, None));
        let Some((written, node)) = written.or(made) else { return Err("nobody has written it".into()) };
        expect!(written == size, "it has {written} bytes");
        // The last copy of a value may have been elsewhere than the first.
        let node = formerly.last().map_or(node, |former| self.nodes.get(former));
        expect!(self.joined.contains_key(&worker) && self.nodes.get(&worker) == node, "it is not on {node:?}");
        expect!(!self.values.get(&value.task).is_some_and(Held::is_available), "somebody holds it");
        expect!(!self.forgotten.contains(&value.task), "it is forgotten");
        let is_gone = |former: &WorkerId| !self.joined.contains_key(former) && self.nodes.get(former) == node;
        expect!(formerly.iter().all(is_gone), "somebody who was asked before is there");
        Ok(())
    }

    fn learn_spec(&mut self, spec: &TaskSpec) {
        if !self.closed.contains(&spec.id.job) && !self.specs.contains_key(&spec.id) {
            if let TaskRole::Call { lane, .. } = spec.role {
                self.lines.entry((spec.id.job, lane)).or_default().push(spec.id);
            }
            self.specs.insert(spec.id, spec.clone());
            if spec.kept {
                self.kept.insert(spec.id);
            }
        }
    }

    /// What a dead process held is still there for another worker of its node.
    fn learn_inheritance(&mut self, lost: WorkerId, reason: &LossReason, actions: &[Action]) -> Result<(), String> {
        for action in actions {
            let Action::Inherit { from, heir, values, .. } = action else { continue };
            expect!(*from == lost, "{from} is not the one who was lost");
            let is_over = matches!(reason, LossReason::ProcessEnded(_) | LossReason::OutOfMemory { .. });
            let is_there = is_over || values.is_empty();
            expect!(is_there, "the process may live: {reason}");
            for value in values {
                let held = self.values.get_mut(&value.task);
                let Some(held) = held.filter(|held| held.workers.contains(from)) else {
                    return Err(format!("{value} was not held by {from}"));
                };
                held.workers.insert(*heir);
            }
        }
        Ok(())
    }

    /// An heir lives, and its node is that of the lost worker; all of the node are told.
    fn check_inheritance(&self, workers: &[WorkerId], from: WorkerId, heir: WorkerId) -> Result<(), String> {
        let node = self.nodes.get(&from);
        expect!(!self.joined.contains_key(&from), "{from} is not lost");
        expect!(node.is_some() && workers.contains(&heir), "the heir is a stranger");
        let mates: Vec<_> = self.joined.keys().copied().filter(|mate| self.nodes.get(mate) == node).collect();
        expect!(workers == mates, "told are {workers:?}, there are {mates:?}");
        Ok(())
    }

    fn learn_loss(&mut self, worker: WorkerId, reason: &LossReason) {
        self.pressed.remove(&worker);
        self.places.retain(|_, place| place.worker != worker);
        let places = &self.places;
        for (task, held) in self.current.extract_if(.., |_, attempt| !places.contains_key(attempt)) {
            let is_blamed = match reason {
                LossReason::Left => false,
                LossReason::OutOfMemory { attempt, .. } => *attempt == held,
                _ => true,
            };
            let is_call = self.specs.get(&task).is_some_and(|spec| matches!(spec.role, TaskRole::Call { .. }));
            *self.deaths.entry(task).or_default() += u32::from(is_blamed && !is_call);
        }
        for held in self.values.values_mut() {
            held.workers.remove(&worker);
        }
    }

    /// Frees a place. Returns whether its attempt is the one that counts.
    fn leave_place(&mut self, worker: WorkerId, attempt: AttemptId) -> bool {
        if self.places.get(&attempt).is_none_or(|place| place.worker != worker) {
            return false;
        }
        self.places.remove(&attempt);
        let counts = self.current.get(&attempt.task) == Some(&attempt);
        if counts {
            self.current.remove(&attempt.task);
        }
        counts
    }

    fn publish(&mut self, worker: WorkerId, task: TaskId, size: u64, inline: bool) -> Result<Option<TaskId>, String> {
        self.deaths.remove(&task);
        let is_actor = self.is_actor(task);
        let (size, inline) = if is_actor { (0, false) } else { (size, inline) };
        if is_actor {
            let made = self.made.entry(task).or_default();
            *made += 1;
            let TaskRole::Actor(options) = &self.specs[&task].role else { unreachable!("it is an actor") };
            expect!(options.max_restarts.is_none_or(|most| *made <= most + 1), "{task} was made {made} times");
        }
        let held = self.values.entry(task).or_default();
        expect!(!held.is_available(), "{task} is computed although its value is there");
        let workers = if inline { BTreeSet::new() } else { BTreeSet::from([worker]) };
        *held = Held { size, master: inline, workers };
        Ok(inline.then_some(task))
    }

    fn check(&mut self, event: &Event, action: &Action) -> Result<(), String> {
        match action {
            Action::Dispatch { worker, attempt, actor, inputs } => {
                self.check_dispatch(*worker, *attempt, *actor, inputs)
            }
            Action::Resolve { task, actor } => self.check_resolve(*task, *actor),
            Action::Recall { worker, attempt } => {
                let is_current = self.current.get(&attempt.task) == Some(attempt);
                let place = self.places.get_mut(attempt).filter(|place| place.worker == *worker && is_current);
                let Some(place) = place else { return Err("it is not there".into()) };
                expect!(!std::mem::replace(&mut place.recalled, true), "it was recalled before");
                Ok(())
            }
            Action::Cancel { worker, attempt } => {
                let is_there = self.places.get(attempt).is_some_and(|place| place.worker == *worker);
                let counted = self.current.remove(&attempt.task) == Some(*attempt);
                expect!(is_there && counted, "it is not there or was cancelled before");
                Ok(())
            }
            Action::Supersede { worker, attempt } => self.check_supersede(event, *worker, *attempt),
            Action::Publish { .. } => Ok(()),
            Action::End { task, outcome } => self.check_end(*task, outcome),
            Action::Free { worker, value } => {
                let held = self.values.get_mut(&value.task).filter(|_| value.output == 0);
                let was_held = held.is_some_and(|held| held.workers.remove(worker));
                let refused = matches!(event, Event::ValueCopied { value: v, worker: w } if v == value && w == worker);
                expect!(self.joined.contains_key(worker), "the worker is not there");
                expect!(was_held || refused, "it was not held there");
                Ok(())
            }
            Action::Inherit { workers, from, heir, .. } => self.check_inheritance(workers, *from, *heir),
            Action::Adopt { worker, value, size, formerly } => self.check_adoption(*worker, *value, *size, formerly),
            Action::ClearAway { worker, job } => {
                let Some((node, asked)) = self.to_clear.get_mut(job) else { return Err("it is open".into()) };
                let is_there = self.joined.contains_key(worker) && self.nodes.get(worker) == Some(node);
                expect!(is_there, "there is nothing to clear away");
                let before = asked.replace(*worker);
                expect!(!before.is_some_and(|before| self.joined.contains_key(&before)), "{before:?} was asked");
                Ok(())
            }
            Action::FreeAtMaster { value } => {
                let held = self.values.get_mut(&value.task);
                let was_held = held.is_some_and(|held| std::mem::replace(&mut held.master, false));
                let refused = matches!(event, Event::ValueUploaded { task, .. } if *task == value.task);
                expect!(was_held || refused, "the master did not hold it");
                Ok(())
            }
            Action::Forget { task } => self.check_forget(*task),
        }
    }

    /// A task stands for an actor that lives.
    fn check_resolve(&mut self, task: TaskId, actor: TaskId) -> Result<(), String> {
        expect!(self.is_actor(actor) && self.values.get(&actor).is_some_and(Held::is_available), "it does not live");
        expect!(self.meant.insert(task, actor).is_none(), "it stood for an actor before");
        let size = 8;
        self.values.insert(task, Held { size, master: true, workers: BTreeSet::new() });
        Ok(())
    }

    fn check_dispatch(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        actor: Option<TaskId>,
        inputs: &[Supply],
    ) -> Result<(), String> {
        let task = attempt.task;
        let Some(spec) = self.specs.get(&task) else { return Err("nobody submitted it".into()) };
        expect!(!self.forgotten.contains(&task), "its arguments are gone");
        expect!(!self.current.contains_key(&task), "another attempt is out");
        let number = self.dispatched.entry(task).or_insert(0);
        *number += 1;
        expect!(*number == attempt.number, "it is number {number}");
        expect!(spec.inputs.len() == inputs.len(), "it has {} inputs", spec.inputs.len());
        for (input, supply) in spec.inputs.iter().zip(inputs) {
            match supply {
                Supply::Published(source) => {
                    expect!(*input == source.value, "input {input} is said to be {}", source.value);
                    self.check_source(source)?;
                }
                Supply::Coming(leader) => {
                    expect!(input.task == leader.task, "input {input} is said to be made by {leader}");
                    self.check_leader(worker, *leader)?;
                }
            }
        }
        let lives_there = |actor| self.values.get(&actor).is_some_and(|held| held.workers.contains(&worker));
        expect!(
            actor.is_some() == self.is_call(task) && actor.is_none_or(lives_there),
            "its actor does not live there"
        );
        let is_coming = |supply: &Supply| match supply {
            Supply::Published(_) => None,
            Supply::Coming(leader) => Some(leader.task),
        };
        let place = Place { coming: inputs.iter().filter_map(is_coming).collect(), ..self.check_place(worker, spec)? };
        self.places.insert(attempt, place);
        self.current.insert(task, attempt);
        Ok(())
    }

    /// Nothing is given out twice, and suspects are kept apart.
    fn check_place(&self, worker: WorkerId, spec: &TaskSpec) -> Result<Place, String> {
        let Some(capacity) = self.joined.get(&worker) else { return Err("the worker is not there".into()) };
        if matches!(spec.role, TaskRole::Call { .. }) {
            return Ok(Place {
                worker,
                slots: 0,
                recalled: false,
                lent: false,
                alone: false,
                is_call: true,
                coming: Vec::new(),
            });
        }
        expect!(capacity.could_hold(&spec.resources), "the worker could never hold it");
        let there = || self.places.iter().filter(move |(_, place)| place.worker == worker && !place.is_call);
        let lives_there = |(task, held): &(&TaskId, &Held)| held.workers.contains(&worker) && self.is_actor(**task);
        let residents = || self.values.iter().filter(lives_there).filter_map(|(task, _)| self.specs.get(task));
        let asked =
            || there().filter_map(|(attempt, _)| self.specs.get(&attempt.task)).chain(residents()).chain([spec]);
        let memory: u64 = asked().map(|spec| spec.resources.memory).sum();
        let gpus: u64 = asked().map(|spec| spec.resources.amount("gpu")).sum();
        expect!(memory <= capacity.memory, "{memory} bytes of memory are given out");
        expect!(gpus <= capacity.amount("gpu"), "{gpus} gpus are given out");
        let beside = || there().map(|(_, place)| place).filter(|place| !place.lent);
        let has_come = |task: &TaskId| self.values.get(task).is_some_and(Held::is_available);
        let in_slots = beside().filter(|place| place.coming.iter().all(has_come));
        let slots = in_slots.map(|place| place.slots).sum::<u32>() + spec.resources.slots;
        let deaths = self.deaths.get(&spec.id).copied().unwrap_or(0);
        expect!(!beside().any(|place| place.alone), "it disturbs a task that must be alone");
        let is_open = !self.pressed.contains(&worker) || beside().next().is_none();
        expect!(is_open, "the worker is short of memory and has something to do");
        expect!(deaths < 3, "it has killed {deaths} workers");
        expect!(deaths < 2 || beside().next().is_none(), "it has {deaths} deaths behind it and is not alone");
        expect!(deaths < 1 || slots <= capacity.slots, "it has a death behind it and no free slot");
        Ok(Place {
            worker,
            slots: spec.resources.slots,
            recalled: false,
            lent: false,
            alone: deaths >= 2,
            is_call: false,
            coming: Vec::new(),
        })
    }

    /// What comes is made by an attempt that the same worker has and that is not suspected of anything.
    fn check_leader(&self, worker: WorkerId, leader: AttemptId) -> Result<(), String> {
        let is_there = self.places.get(&leader).is_some_and(|place| place.worker == worker && !place.is_call);
        expect!(is_there && self.current.get(&leader.task) == Some(&leader), "{leader} is not there");
        let is_published = self.values.get(&leader.task).is_some_and(Held::is_available);
        expect!(!is_published, "what {leader} makes is there already");
        expect!(self.deaths.get(&leader.task).is_none_or(|deaths| *deaths == 0), "{leader} has deaths behind it");
        Ok(())
    }

    /// A source must name a place where, as far as anybody told the master, the bytes are.
    fn check_source(&self, source: &InputSource) -> Result<(), String> {
        let held = self.values.get(&source.value.task).filter(|held| held.is_available());
        let Some(held) = held else { return Err(format!("{} is held by nobody", source.value)) };
        expect!(held.size == source.size, "{} has {} bytes", source.value, held.size);
        let at_workers =
            !source.workers.is_empty() && source.workers.iter().all(|worker| held.workers.contains(worker));
        let at_master = source.workers.is_empty() && held.master;
        expect!(at_workers || at_master, "{} is held by {:?}", source.value, held.workers);
        Ok(())
    }

    fn check_supersede(&self, event: &Event, worker: WorkerId, attempt: AttemptId) -> Result<(), String> {
        let answers = matches!(event,
            Event::AttemptFinished { worker: w, attempt: a, .. } | Event::AttemptFailed { worker: w, attempt: a, .. }
                if *w == worker && *a == attempt);
        expect!(answers && self.joined.contains_key(&worker), "it answers nothing");
        let holds = self.values.get(&attempt.task).is_some_and(|held| held.workers.contains(&worker));
        expect!(!holds, "the worker would drop a value that counts on it");
        Ok(())
    }

    fn check_end(&self, task: TaskId, outcome: &Outcome) -> Result<(), String> {
        let spec = self.specs.get(&task);
        expect!(spec.is_some() && self.kept.contains(&task), "nobody holds a reference to it");
        match outcome {
            Outcome::Finished(source) => self.check_source(source),
            Outcome::Failed(failure) => {
                let is_blamed = matches!(failure.kind, FailureKind::Poisoned | FailureKind::OutOfMemory);
                let blamed = is_blamed && !self.suspects.contains(&failure.origin);
                expect!(!(blamed && self.only_poison_kills), "it was innocent");
                Ok(())
            }
        }
    }

    fn check_forget(&mut self, task: TaskId) -> Result<(), String> {
        let is_first = self.forgotten.insert(task);
        expect!(is_first || self.closed.contains(&task.job), "it was forgotten before");
        expect!(!self.current.contains_key(&task), "an attempt is out");
        expect!(!self.kept.contains(&task) || self.is_refused(task), "somebody holds a reference to it");
        let held = self.values.get(&task).is_some_and(Held::is_available);
        expect!(!held, "its value is still held");
        Ok(())
    }

    /// Whether a task never got a record, because its number could not be believed.
    fn is_refused(&self, task: TaskId) -> bool {
        !self.dispatched.contains_key(&task) && task.index > 1_000_000
    }
}

impl Held {
    fn is_available(&self) -> bool {
        self.master || !self.workers.is_empty()
    }
}
