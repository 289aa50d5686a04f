//! One simulated history: a scheduler, a cluster, a client, a network and their faults, in virtual time.
mod faults;

use crate::client::{Client, Ending};
use crate::dice::Dice;
use crate::oracle::Oracle;
use crate::worker::{EPOCH, Effect, SimWorker, Step};
use faults::node_of;
use quiltwork_scheduler::{Action, Config, Event, InputSource, Outcome, Scheduler, Supply};
use quiltwork_types::{
    AttemptId, FailureKind, JobId, LossReason, NodeId, TaskFailure, TaskId, Time, ValueId, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long the master waits before it gives a silent worker up.
const SILENCE: Duration = Duration::from_millis(60);
/// Events within which everything must have ended once the faults have stopped.
const PATIENCE: usize = 60_000;

/// Slots of a worker that can hold everything anybody can.
const LARGE: u32 = 16;

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    /// The master is told something.
    Arrival(Event),
    /// A worker is told something.
    Order(WorkerId, Action),
    /// A worker does something by itself.
    Step(WorkerId, AttemptId, Step),
    /// A new worker process starts.
    Start,
    ClientActs,
    Fault,
}

/// The state of everything.
pub(crate) struct World {
    dice: Dice,
    trace: bool,
    now: Time,
    scheduler: Scheduler,
    oracle: Oracle,
    client: Client,
    workers: BTreeMap<WorkerId, SimWorker>,
    /// What clients have written on their nodes.
    written: BTreeMap<ValueId, NodeId>,
    /// What processes that ended have left on their nodes.
    left: BTreeMap<WorkerId, BTreeSet<ValueId>>,
    /// When the last message of each link arrives, to the worker and from it: a link never reorders.
    links: BTreeMap<WorkerId, (Time, Time)>,
    /// When the last message of the client arrives.
    client_link: Time,
    next_worker: u32,
    /// Attempts that wait for a child task.
    parents: BTreeMap<TaskId, (WorkerId, AttemptId)>,
    future: BTreeMap<(Time, u64), Happening>,
    happenings: u64,
    events: usize,
    /// Faults still happen and the client still acts.
    troubled: bool,
    /// Of each actor that was made by an attempt, the last call that began of each lane.
    begun: BTreeMap<(AttemptId, JobId, u32), TaskId>,
    /// What went wrong where nothing could be returned.
    wrong: Option<String>,
    /// Once it is quiet, every worker is short of memory and stays so.
    stays_pressed: bool,
}

impl World {
    pub(crate) fn new(seed: u64, trace: bool) -> Self {
        let mut dice = Dice::new(seed);
        let only_poison_kills = dice.chance(25);
        let stays_pressed = dice.chance(50);
        let patience = if dice.chance(30) { Duration::from_millis(20) } else { Duration::ZERO };
        let adoption_patience = Duration::from_millis(if dice.chance(30) { 5 } else { 200 });
        let config = Config { epoch: EPOCH, seed, resource_patience: patience, adoption_patience, ..Config::default() };
        let mut world = Self {
            trace,
            now: Time::ZERO,
            scheduler: Scheduler::new(config),
            oracle: Oracle::new(only_poison_kills),
            client: Client::default(),
            workers: BTreeMap::new(),
            written: BTreeMap::new(),
            left: BTreeMap::new(),
            links: BTreeMap::new(),
            client_link: Time::ZERO,
            next_worker: 0,
            parents: BTreeMap::new(),
            future: BTreeMap::new(),
            happenings: 0,
            events: 0,
            troubled: true,
            begun: BTreeMap::new(),
            wrong: None,
            stays_pressed,
            dice,
        };
        for _ in 0..2 + world.dice.below(7) {
            let delay = world.dice.between(Duration::ZERO, Duration::from_millis(20));
            world.later(delay, Happening::Start);
        }
        world.later(Duration::ZERO, Happening::ClientActs);
        world.later(Duration::from_millis(5), Happening::Fault);
        world
    }

    /// Runs the troubled part for so many events, then lets everything end and looks for leftovers.
    pub(crate) fn live(&mut self, events: usize) -> Result<(), String> {
        while self.events < events {
            self.step()?;
        }
        self.troubled = false;
        self.become_quiet()?;
        self.expect_none(&self.client.still_waits_for(), "kept tasks never ended")?;
        let dropped = self.client.drops_everything();
        self.tell(dropped)?;
        self.run_dry()?;
        let known = self.client.plans.keys().copied();
        let left: Vec<_> = known.filter(|&task| self.scheduler.state(task).is_some()).collect();
        self.expect_none(&left, "records are left and nobody holds a reference")?;
        for closed in self.client.closes_everything() {
            self.tell(closed)?;
        }
        self.run_dry()?;
        self.look_for_leftovers()
    }

    /// What came of it, in one comparable line.
    pub(crate) fn digest(&self) -> String {
        format!(
            "{:?} {} events, {} workers, {} plans",
            self.now,
            self.events,
            self.next_worker,
            self.client.plans.len()
        )
    }

    /// No more faults: the last workers are large enough for everything that is possible, uploads arrive, work ends.
    fn become_quiet(&mut self) -> Result<(), String> {
        for worker in
            self.workers.values_mut().filter(|worker| worker.muted).map(|worker| worker.id).collect::<Vec<_>>()
        {
            self.give_up(worker, LossReason::Silent);
        }
        if self.stays_pressed {
            for worker in self.workers.keys().copied().collect::<Vec<_>>() {
                self.tell(Event::WorkerPressed { worker })?;
            }
        }
        self.start_large_workers()?;
        for event in self.client.finishes_uploads() {
            self.client_tells(event)?;
        }
        self.run_dry()
    }

    fn look_for_leftovers(&self) -> Result<(), String> {
        self.oracle.leftovers()?;
        for worker in self.scheduler.workers() {
            if (worker.assigned, worker.running, worker.held_bytes) != (0, 0, 0) {
                return Err(format!("{worker:?} is not empty"));
            }
        }
        if self.scheduler.task_count() > 0 {
            return Err("records are left although all jobs are closed".into());
        }
        let crowded: Vec<_> = self.workers.values().filter(|worker| !worker.actors.is_empty()).map(|w| w.id).collect();
        if !crowded.is_empty() {
            return Err(format!("actors still live at {crowded:?}"));
        }
        let is_visited = |node: &NodeId| self.workers.values().any(|worker| worker.node == Some(*node));
        let written = self.written.iter().filter(|(_, node)| is_visited(node));
        let written: Vec<_> = written.map(|(value, _)| value.task).collect();
        self.expect_none(&written, "what clients have written was not cleared away")?;
        let really: Vec<_> = self.workers.values().flat_map(|w| &w.held).map(|value| value.task).collect();
        self.expect_none(&really, "workers really hold values the master has forgotten")
    }

    fn expect_none(&self, found: &[TaskId], wrong: &str) -> Result<(), String> {
        let Some(first) = found.first() else { return Ok(()) };
        let story = self.scheduler.story(*first).unwrap_or_default();
        let story: Vec<_> = story.iter().map(|entry| format!("\n  {entry}")).collect();
        Err(format!("{wrong}: {found:?}{}", story.concat()))
    }

    /// Lets things happen until nothing more is going to.
    fn run_dry(&mut self) -> Result<(), String> {
        let limit = self.events + PATIENCE;
        while !self.future.is_empty() || self.scheduler.next_wakeup().is_some() {
            if self.events > limit {
                return Err(format!("it goes on and on; {} records are left", self.scheduler.task_count()));
            }
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        let next = self.future.first_key_value().map(|(&(at, _), _)| at);
        if let Some(due) = self.scheduler.next_wakeup()
            && next.is_none_or(|next| due <= next)
        {
            self.now = self.now.max(due);
            return self.tell(Event::TimePassed);
        }
        let Some(((at, _), happening)) = self.future.pop_first() else {
            return Err("nothing is ever going to happen".into());
        };
        self.now = at;
        match happening {
            Happening::Arrival(event) => self.tell(event)?,
            Happening::Order(worker, order) => self.deliver(worker, order),
            Happening::Step(id, attempt, step) => self.let_worker(id, |w, effects| w.step(attempt, step, effects)),
            Happening::Start => {
                let slots = 1 + self.dice.below(3);
                if self.troubled { self.start_worker(slots)? } else { self.start_large_workers()? }
            }
            Happening::ClientActs if self.troubled => self.let_client_act()?,
            Happening::Fault if self.troubled => self.let_fault_happen()?,
            Happening::ClientActs | Happening::Fault => {}
        }
        self.wrong.take().map_or(Ok(()), Err)
    }

    /// The one way into the scheduler: everything is verified after every event.
    fn tell(&mut self, event: Event) -> Result<(), String> {
        self.events += 1;
        let mut actions = Vec::new();
        if self.trace {
            eprintln!("{:>10.3} ms  {event:?}", self.now.since(Time::ZERO).as_secs_f64() * 1e3);
        }
        self.scheduler.handle(self.now, event.clone(), &mut actions);
        if self.trace {
            actions.iter().for_each(|action| eprintln!("               -> {action:?}"));
        }
        let at = |wrong| format!("event {}, {event:?}: {wrong}", self.events);
        self.scheduler.check().map_err(at)?;
        self.oracle.judge(&event, &actions, &self.scheduler).map_err(at)?;
        self.expect_lost(&event).map_err(at)?;
        actions.into_iter().for_each(|action| self.carry_out(action));
        Ok(())
    }

    /// Where processes only die and nobody lies, nobody is asked to adopt what is not there while it is somewhere else.
    fn expect_lost(&self, event: &Event) -> Result<(), String> {
        let Event::AdoptionFailed { worker, value, failure } = event else { return Ok(()) };
        let is_judged = self.oracle.only_poison_kills && failure.kind == FailureKind::ValueLost;
        let node = node_of(*worker);
        let is_left = |(from, left): (&WorkerId, &BTreeSet<ValueId>)| node_of(*from) == node && left.contains(value);
        if is_judged && (self.written.get(value).copied() == node || self.left.iter().any(is_left)) {
            return Err(format!("{value} was not found, but is there"));
        }
        Ok(())
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Dispatch { worker, .. }
            | Action::Recall { worker, .. }
            | Action::Cancel { worker, .. }
            | Action::Supersede { worker, .. }
            | Action::Adopt { worker, .. }
            | Action::ClearAway { worker, .. }
            | Action::Free { worker, .. } => self.send_order(worker, action),
            Action::Inherit { ref workers, .. } => {
                workers.clone().into_iter().for_each(|worker| self.send_order(worker, action.clone()));
            }
            Action::End { task, outcome } => self.tell_client(task, &outcome),
            Action::Publish { .. } | Action::Resolve { .. } | Action::FreeAtMaster { .. } | Action::Forget { .. } => {}
        }
    }

    /// The client fetches what it is told about now and then, and complains if the bytes are not there.
    fn tell_client(&mut self, task: TaskId, outcome: &Outcome) {
        self.client.learns_end(task, outcome);
        if let Some((worker, attempt)) = self.parents.remove(&task) {
            let dropped = self.client.drops_child(task);
            self.client_says(dropped);
            // Not at once: the worker learns it by a message.
            self.let_worker(worker, |w, effects| w.reclaim(attempt, effects));
        }
        let Outcome::Finished(source) = outcome else { return };
        let missing = source.workers.iter().find(|holder| !self.really_holds(**holder, source.value));
        if let (Some(&holder), true) = (missing, self.client.holds(task)) {
            self.client_says(Event::ValueMissing { value: source.value, holder });
        }
    }

    fn deliver(&mut self, id: WorkerId, order: Action) {
        match order {
            Action::Dispatch { attempt, actor, inputs, .. } => self.deliver_dispatch(id, attempt, actor, &inputs),
            Action::Recall { attempt, .. } => self.let_worker(id, |worker, effects| worker.recalled(attempt, effects)),
            Action::Cancel { attempt, .. } => self.let_worker(id, |worker, effects| worker.cancelled(attempt, effects)),
            Action::Supersede { attempt, .. } => {
                self.let_worker(id, |worker, effects| worker.superseded(attempt, effects));
            }
            Action::Free { value, .. } => self.let_worker(id, |worker, effects| {
                worker.held.remove(&value);
                worker.ends_actor(value.task, None, effects);
            }),
            Action::Inherit { from, heir, values, .. } => self.deliver_inheritance(id, from, heir, &values),
            Action::Adopt { value, formerly, .. } => self.deliver_adoption(id, value, &formerly),
            Action::ClearAway { job, .. } => {
                let node = self.workers.get(&id).and_then(|worker| worker.node);
                self.written.retain(|value, place| value.task.job != job || Some(*place) != node);
            }
            other => unreachable!("{other:?} is not for workers"),
        }
    }

    /// Whoever of the node hears of it first moves the files; the heir misses what is not there then.
    fn deliver_inheritance(&mut self, id: WorkerId, from: WorkerId, heir: WorkerId, values: &[ValueId]) {
        if !self.workers.contains_key(&id) {
            return;
        }
        for value in values {
            if !self.left.get_mut(&from).is_some_and(|left| left.remove(value)) {
                continue;
            }
            let heirs = self.workers.get_mut(&heir).map(|heir| &mut heir.held);
            if let Some(held) = heirs.or(self.left.get_mut(&heir)) {
                held.insert(*value);
            }
        }
        if id != heir {
            return;
        }
        self.left.remove(&from);
        self.let_worker(id, |worker, effects| {
            for value in values.iter().filter(|value| !worker.held.contains(value)) {
                effects.push(Effect::Send(Event::ValueMissing { value: *value, holder: id }));
            }
        });
    }

    /// The file is under the name of its client or of a worker that was asked before, whether or not that lives on.
    fn deliver_adoption(&mut self, id: WorkerId, value: ValueId, formerly: &[WorkerId]) {
        let Some(node) = self.workers.get(&id).map(|worker| worker.node) else { return };
        let mut found = self.written.get(&value).copied() == node && self.written.remove(&value).is_some();
        for former in formerly {
            let held = self.workers.get_mut(former).map(|worker| &mut worker.held).or(self.left.get_mut(former));
            found |= held.is_some_and(|held| held.remove(&value));
        }
        let kind = if found { FailureKind::StoreFull } else { FailureKind::ValueLost };
        let has_room = !self.dice.chance(5);
        self.let_worker(id, |worker, effects| {
            effects.push(Effect::Send(if found && has_room {
                worker.held.insert(value);
                Event::ValueCopied { value, worker: id }
            } else {
                let failure = Box::new(TaskFailure::new(kind, value.task, "simulated"));
                Event::AdoptionFailed { worker: id, value, failure }
            }));
        });
    }

    /// Inputs are fetched from wherever the dispatch says, from processes that really are there.
    fn deliver_dispatch(&mut self, id: WorkerId, attempt: AttemptId, actor: Option<TaskId>, inputs: &[Supply]) {
        let Some(worker) = self.workers.get(&id) else { return };
        let (published, leaders) = sort_out(inputs);
        let mut missing = Vec::new();
        let mut copied = Vec::new();
        // Of an actor nobody gets more than its name, which is sent along.
        let is_actor = |source: &InputSource| self.client.plans[&source.value.task].max_concurrency.is_some();
        for &source in published.iter().filter(|source| worker.needs_to_fetch(source) && !is_actor(source)) {
            let holder = self.dice.pick(&source.workers).expect("fetched from workers");
            if self.really_holds(holder, source.value) {
                copied.push(source.value);
            } else {
                missing.push((source.value, holder));
            }
        }
        let keeps = self.dice.chance(50);
        let plan = self.client.plans[&attempt.task];
        let comes_whole = published.iter().all(|source| source.workers.is_empty() && source.size <= 8 * 1024);
        let fetch = (!comes_whole).then(|| self.dice.between(Duration::ZERO, Duration::from_millis(4)));
        self.let_worker(id, |worker, effects| {
            for value in copied.into_iter().filter(|_| keeps) {
                worker.held.insert(value);
                effects.push(Effect::Send(Event::ValueCopied { value, worker: id }));
            }
            // Some only read parts of their inputs, and miss them when they do.
            let reads = attempt.task.index.is_multiple_of(3);
            if let Some(actor) = actor
                && missing.is_empty()
            {
                worker.called(actor, attempt, plan, fetch, effects);
            } else if actor.is_none() && (missing.is_empty() || reads) {
                worker.dispatched(attempt, plan, missing, leaders, effects);
            } else {
                worker.refuses(attempt, missing, effects);
            }
        });
    }

    fn really_holds(&self, worker: WorkerId, value: ValueId) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.held.contains(&value))
    }

    fn let_worker(&mut self, id: WorkerId, act: impl FnOnce(&mut SimWorker, &mut Vec<Effect>)) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let mut effects = Vec::new();
        act(worker, &mut effects);
        for effect in effects {
            match effect {
                Effect::Send(event) => self.send_from(id, event),
                Effect::Later(delay, attempt, step) => self.later(delay, Happening::Step(id, attempt, step)),
                Effect::SubmitChild(attempt) => {
                    let (child, submission) = self.client.submits_child(&mut self.dice, attempt.task);
                    self.note_suspect(child);
                    if let Some(event) = submission {
                        self.parents.insert(child, (id, attempt));
                        self.client_says(event);
                    }
                }
                Effect::Begin { maker, call } => self.note_begun(maker, call),
                Effect::Crash(reason) => self.crash(id, reason),
            }
        }
    }

    /// Where nobody lies, the calls of a lane begin in the order of their submission, but those that are made again.
    fn note_begun(&mut self, maker: AttemptId, call: AttemptId) {
        let lane = self.client.lanes[&call.task];
        if call.number > 1 || !self.oracle.only_poison_kills {
            return;
        }
        let before = self.begun.insert((maker, call.task.job, lane), call.task);
        if let Some(before) = before.filter(|before| *before > call.task) {
            self.wrong = Some(format!("{call} began after {before}, which was submitted later in its lane"));
        }
    }

    fn let_client_act(&mut self) -> Result<(), String> {
        let pause = self.dice.between(Duration::from_micros(300), Duration::from_millis(12));
        self.later(pause, Happening::ClientActs);
        for event in self.client.acts(&mut self.dice, self.scheduler.task_count()) {
            if let Event::TasksSubmitted { tasks } = &event {
                tasks.iter().for_each(|spec| self.note_suspect(spec.id));
            }
            self.client_tells(event)?;
        }
        Ok(())
    }

    /// A value is written before that is said.
    fn client_tells(&mut self, event: Event) -> Result<(), String> {
        if let Event::ValueWritten { task, node, .. } = event {
            self.written.insert(ValueId::of(task), node);
        }
        self.tell(event)
    }

    fn note_suspect(&mut self, task: TaskId) {
        if matches!(self.client.plans[&task].ending, Ending::Poison | Ending::Hog | Ending::AfterChild) {
            self.oracle.suspects.insert(task);
        }
    }

    fn send_order(&mut self, id: WorkerId, order: Action) {
        let at = self.now + self.delay();
        let (to, _) = self.links.entry(id).or_default();
        *to = at.max(*to);
        let at = *to;
        self.at(at, Happening::Order(id, order));
    }

    /// A message on its way to the master: in order on its link, now and then a second time much later.
    fn send_from(&mut self, id: WorkerId, event: Event) {
        let is_muted = self.workers.get(&id).is_some_and(|worker| worker.muted);
        let lateness = if is_muted { SILENCE * 2 } else { Duration::ZERO };
        let at = self.now + self.delay() + lateness;
        let (_, from) = self.links.entry(id).or_default();
        *from = at.max(*from);
        let at = *from;
        if self.troubled && self.dice.chance(3) {
            let later = self.dice.between(Duration::ZERO, Duration::from_millis(80));
            self.at(at + later, Happening::Arrival(event.clone()));
        }
        self.at(at, Happening::Arrival(event));
    }

    /// A message of the client on its way to the master, in order with its others.
    fn client_says(&mut self, event: Event) {
        let at = self.now + self.delay();
        self.client_link = at.max(self.client_link);
        self.at(self.client_link, Happening::Arrival(event));
    }

    fn delay(&mut self) -> Duration {
        if self.troubled && self.dice.chance(2) {
            return self.dice.between(Duration::from_millis(2), Duration::from_millis(40));
        }
        self.dice.between(Duration::from_micros(20), Duration::from_micros(900))
    }

    fn arrive(&mut self, delay: Duration, event: Event) {
        self.later(delay, Happening::Arrival(event));
    }

    fn later(&mut self, delay: Duration, happening: Happening) {
        self.at(self.now + delay, happening);
    }

    fn at(&mut self, at: Time, happening: Happening) {
        self.happenings += 1;
        self.future.insert((at, self.happenings), happening);
    }
}

/// The inputs that are there, and the attempts that make the others.
fn sort_out(inputs: &[Supply]) -> (Vec<&InputSource>, Vec<AttemptId>) {
    let (mut published, mut leaders) = (Vec::new(), Vec::new());
    for input in inputs {
        match input {
            Supply::Published(source) => published.push(source),
            Supply::Coming(attempt) => leaders.push(*attempt),
        }
    }
    (published, leaders)
}
