//! The simulated client: which tasks it submits, keeps, drops and cancels, and what each of them is going to do.
use crate::dice::Dice;
use quiltwork_scheduler::{Event, Outcome};
use quiltwork_types::{
    ActorName, ActorOptions, AttemptId, FailureKind, FunctionId, JobId, NamedResource, NodeId, Resources, TaskFailure,
    TaskId, TaskRole, TaskSpec, ValueId, WorkerId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Task records alive above which the client rather drops than submits.
const CROWDED: usize = 150;

/// What a task does when it runs, and what its value will be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) slots: u32,
    pub(crate) runs: Duration,
    pub(crate) size: u64,
    pub(crate) inline: bool,
    pub(crate) ending: Ending,
    /// Of what makes an actor: how many of its calls run at a time.
    pub(crate) max_concurrency: Option<u32>,
}

impl Plan {
    /// Whether this attempt ends with a value that others may consume where it was made.
    pub(crate) fn makes_its_value(&self, attempt: AttemptId) -> bool {
        match self.ending {
            Ending::Fine | Ending::AfterChild => self.max_concurrency.is_none(),
            Ending::Flaky { failures } => self.max_concurrency.is_none() && attempt.number > failures,
            Ending::Broken | Ending::Poison | Ending::Hog => false,
        }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Fine,
    /// Fails as long as the attempt's number is not above this.
    Flaky {
        failures: u32,
    },
    /// Fails in a way that no retry helps.
    Broken,
    /// Kills its worker.
    Poison,
    /// Uses all the memory there is: its worker names its newest attempt, perhaps another one, and ends.
    Hog,
    /// Submits a task, lends its slots until that has ended, then finishes.
    AfterChild,
}

/// The client of all jobs.
#[derive(Default)]
pub(crate) struct Client {
    jobs: Vec<JobId>,
    jobs_so_far: u32,
    next_index: BTreeMap<JobId, u32>,
    pub(crate) plans: BTreeMap<TaskId, Plan>,
    /// References it holds. Tasks that somebody waits for inside another task are not dropped at random.
    kept: BTreeSet<TaskId>,
    children: BTreeSet<TaskId>,
    /// Kept tasks that have ended.
    pub(crate) ended: BTreeSet<TaskId>,
    uploading: Vec<TaskId>,
    /// What makes actors or stands for some, of all jobs.
    actors: Vec<TaskId>,
    /// In which line of its job each call stands.
    pub(crate) lanes: BTreeMap<TaskId, u32>,
}

impl Client {
    /// One thing a client may do.
    pub(crate) fn acts(&mut self, dice: &mut Dice, alive: usize) -> Vec<Event> {
        let crowded = alive > CROWDED;
        match dice.below(100) {
            0 if self.jobs.len() > 1 => self.closes_a_job(dice),
            1..=6 => vec![Event::CancelRequested { tasks: self.some_of(dice, 2) }],
            7..=30 => self.uploads(dice),
            31..=55 => self.drops(dice, 6),
            56..=60 => self.refers(dice),
            _ if crowded => self.drops(dice, 40),
            _ => self.submits(dice),
        }
    }

    /// A task submitted by a running task, which waits for it.
    pub(crate) fn submits_child(&mut self, dice: &mut Dice, parent: TaskId) -> (TaskId, Option<Event>) {
        let mut spec = self.task(dice, parent.job, &[]);
        spec.kept = true;
        spec.resources = Resources::default();
        let plan = self.plans.get_mut(&spec.id).expect("just planned");
        plan.slots = 1;
        if plan.ending == Ending::AfterChild {
            plan.ending = Ending::Fine;
        }
        let child = spec.id;
        if !self.jobs.contains(&parent.job) {
            return (child, None);
        }
        self.kept.insert(child);
        self.children.insert(child);
        (child, Some(Event::TasksSubmitted { tasks: vec![spec] }))
    }

    /// The task that waited for it does so no more.
    pub(crate) fn drops_child(&mut self, child: TaskId) -> Event {
        self.children.remove(&child);
        self.kept.remove(&child);
        Event::ReferencesDropped { tasks: vec![child] }
    }

    pub(crate) fn learns_end(&mut self, task: TaskId, outcome: &Outcome) {
        self.ended.insert(task);
        if let Outcome::Finished(source) = outcome {
            assert_eq!(source.value, ValueId::of(task));
        }
    }

    /// Sends what is left of its uploads.
    pub(crate) fn finishes_uploads(&mut self) -> Vec<Event> {
        self.uploading.drain(..).map(|task| uploaded(task, 50_000)).collect()
    }

    pub(crate) fn drops_everything(&mut self) -> Event {
        Event::ReferencesDropped { tasks: std::mem::take(&mut self.kept).into_iter().collect() }
    }

    pub(crate) fn closes_everything(&mut self) -> Vec<Event> {
        self.jobs.drain(..).map(|job| Event::JobClosed { job, node: node_of(job) }).collect()
    }

    pub(crate) fn holds(&self, task: TaskId) -> bool {
        self.kept.contains(&task)
    }

    /// Kept tasks that have not ended as far as the client knows.
    pub(crate) fn still_waits_for(&self) -> Vec<TaskId> {
        self.kept.difference(&self.ended).copied().collect()
    }

    /// A task number that may or may not mean something, but is no child somebody waits for.
    pub(crate) fn any_task(&self, dice: &mut Dice) -> TaskId {
        let known: Vec<_> = self.plans.keys().copied().filter(|task| !self.children.contains(task)).collect();
        match dice.pick(&known) {
            Some(task) if dice.chance(90) => task,
            _ => TaskId { job: JobId(1_000_000 + dice.below(5)), index: dice.below(50) },
        }
    }

    fn submits(&mut self, dice: &mut Dice) -> Vec<Event> {
        if self.jobs.is_empty() || (self.jobs.len() < 3 && dice.chance(10)) {
            self.jobs.push(JobId(self.jobs_so_far));
            self.jobs_so_far += 1;
        }
        let job = dice.pick(&self.jobs).expect("there is one");
        let mut tasks: Vec<TaskSpec> = Vec::new();
        let mut within_reach: Vec<TaskId> = self.kept.iter().copied().filter(|task| task.job == job).collect();
        for _ in 0..=dice.below(14) {
            let mut spec = self.task(dice, job, &within_reach);
            let is_actor = self.plays_with_actors(dice, &mut spec, &within_reach);
            spec.kept = dice.chance(if is_actor { 80 } else { 40 });
            if spec.kept {
                self.kept.insert(spec.id);
            }
            if spec.role == TaskRole::Plain && dice.chance(5) {
                spec.function = None;
                spec.inputs = Box::default();
                self.uploading.push(spec.id);
            }
            within_reach.push(spec.id);
            if dice.chance(1) {
                tasks.push(spec.clone());
            }
            tasks.push(spec);
        }
        vec![Event::TasksSubmitted { tasks }]
    }

    /// Makes some tasks actors and some of them calls of an actor within reach; whether it became an actor.
    fn plays_with_actors(&mut self, dice: &mut Dice, spec: &mut TaskSpec, within_reach: &[TaskId]) -> bool {
        let plan = self.plans.get_mut(&spec.id).expect("just planned");
        let known: Vec<_> = self.actors.iter().copied().filter(|actor| within_reach.contains(actor)).collect();
        match dice.below(100) {
            0..=9 => {
                let options = actor_options(dice);
                plan.max_concurrency = Some(options.max_concurrency);
                spec.role = TaskRole::Actor(Box::new(options));
                self.actors.push(spec.id);
                true
            }
            10..=69 => {
                let Some(actor) = dice.pick(&known) else { return false };
                let lane = dice.below(3);
                self.lanes.insert(spec.id, lane);
                spec.role = TaskRole::Call { actor, lane };
                spec.resources = Resources::default();
                spec.inputs = spec.inputs.iter().copied().filter(|_| dice.chance(50)).collect();
                plan.slots = 0;
                plan.runs /= 8;
                // What happens to a worker because of a call is the actor's risk, and everybody's beside it.
                if matches!(plan.ending, Ending::Poison | Ending::Hog | Ending::AfterChild) {
                    plan.ending = Ending::Fine;
                }
                false
            }
            _ => false,
        }
    }

    /// Has a task stand for an actor, perhaps of another job, or one that is not there.
    fn refers(&mut self, dice: &mut Dice) -> Vec<Event> {
        let (Some(job), Some(actor)) = (dice.pick(&self.jobs), dice.pick(&self.actors)) else { return Vec::new() };
        let mut spec = self.task(dice, job, &[]);
        spec.function = None;
        spec.inputs = Box::default();
        spec.kept = dice.chance(95);
        spec.resources = Resources::default();
        let by_name = dice.chance(30);
        spec.role = TaskRole::Reference(if by_name { ActorName::Given(name(dice)) } else { ActorName::Task(actor) });
        if spec.kept {
            self.kept.insert(spec.id);
        }
        self.actors.push(spec.id);
        vec![Event::TasksSubmitted { tasks: vec![spec] }]
    }

    fn task(&mut self, dice: &mut Dice, job: JobId, within_reach: &[TaskId]) -> TaskSpec {
        let next = self.next_index.entry(job).or_default();
        *next += if dice.chance(2) { 3 } else { 1 };
        let id = TaskId { job, index: *next - 1 };
        let function = dice.below(6);
        let mut inputs = BTreeSet::new();
        for _ in 0..dice.below(4) {
            inputs.extend(dice.pick(within_reach));
        }
        if dice.chance(1) {
            inputs.insert(TaskId { job, index: id.index + dice.below(40) });
        }
        let mut spec = TaskSpec::new(id, FunctionId(function), inputs.into_iter().map(ValueId::of).collect());
        spec.retries = dice.below(4);
        spec.priority = if dice.chance(10) { dice.below(5).cast_signed() - 2 } else { 0 };
        spec.resources = resources(dice);
        self.plans.insert(id, plan(dice, function, spec.resources.slots));
        spec
    }

    fn uploads(&mut self, dice: &mut Dice) -> Vec<Event> {
        let Some(task) = self.uploading.pop() else { return Vec::new() };
        if dice.chance(5) {
            let failure = Box::new(TaskFailure::new(FailureKind::Refused, task, "simulated"));
            return vec![Event::UploadFailed { task, failure }];
        }
        vec![uploaded(task, u64::from(dice.below(100_000)))]
    }

    fn drops(&mut self, dice: &mut Dice, most: u32) -> Vec<Event> {
        let tasks = self.some_of(dice, most);
        for task in &tasks {
            self.kept.remove(task);
        }
        vec![Event::ReferencesDropped { tasks }]
    }

    fn some_of(&self, dice: &mut Dice, most: u32) -> Vec<TaskId> {
        let free: Vec<TaskId> = self.kept.difference(&self.children).copied().collect();
        (0..=dice.below(most)).filter_map(|_| dice.pick(&free)).collect()
    }

    fn closes_a_job(&mut self, dice: &mut Dice) -> Vec<Event> {
        let job = dice.pick(&self.jobs).expect("there is one");
        self.jobs.retain(|open| *open != job);
        self.kept.retain(|task| task.job != job);
        self.uploading.retain(|task| task.job != job);
        vec![Event::JobClosed { job, node: node_of(job) }]
    }
}

/// The node of a job's client; every third client is on none.
pub(crate) fn node_of(job: JobId) -> Option<NodeId> {
    (!job.0.is_multiple_of(3)).then_some(NodeId(u64::from(job.0 % 2)))
}

/// A client writes what it uploads into the area of its node, if it is on one, and sends it to the master otherwise.
fn uploaded(task: TaskId, size: u64) -> Event {
    match node_of(task.job) {
        Some(node) => Event::ValueWritten { task, size, node },
        None => Event::ValueUploaded { task, size },
    }
}

fn plan(dice: &mut Dice, function: u32, slots: u32) -> Plan {
    let usual = [80, 300, 900, 3_000, 20_000, 70_000][function as usize];
    let ending = match dice.below(100) {
        0 => Ending::Poison,
        1 => Ending::Hog,
        2..=4 => Ending::Broken,
        5..=14 => Ending::Flaky { failures: 1 + dice.below(3) },
        15..=19 => Ending::AfterChild,
        _ => Ending::Fine,
    };
    let runs = Duration::from_micros(u64::from(usual / 2 + dice.below(usual)));
    let size = if dice.chance(30) { dice.below(5_000) } else { dice.below(5_000_000) };
    Plan { slots, runs, size: u64::from(size), inline: dice.chance(40), ending, max_concurrency: None }
}

fn actor_options(dice: &mut Dice) -> ActorOptions {
    ActorOptions {
        name: dice.chance(30).then(|| name(dice)),
        or_existing: dice.chance(60),
        max_restarts: dice.chance(80).then(|| dice.below(4)),
        max_pending: dice.chance(20).then(|| dice.below(6)),
        max_concurrency: 1 + dice.below(3),
    }
}

/// One of a few.
fn name(dice: &mut Dice) -> Box<str> {
    ["counter", "cache", "model"][dice.below(3) as usize].into()
}

/// Mostly one slot. What nobody can ever have is asked for now and then.
fn resources(dice: &mut Dice) -> Resources {
    let mut wanted = Resources::default();
    match dice.below(100) {
        0..=5 => wanted.slots = 2,
        6..=10 => wanted.memory = 1 + u64::from(dice.below(8)),
        11..=14 => wanted.named = Box::new([NamedResource { name: "gpu".into(), amount: 1 }]),
        15 => wanted.slots = 1_000,
        16 => wanted.slots = 0,
        17 => wanted.named = Box::new([NamedResource::of_worker(WorkerId(dice.below(40)))]),
        18 => {
            let workers = (0..3).map(|_| WorkerId(dice.below(40))).collect();
            wanted.named = Box::new([NamedResource::of_workers(&workers)]);
        }
        19 => wanted.named = Box::new([NamedResource::of_node(NodeId(u64::from(dice.below(2))))]),
        20..=25 => wanted.named = Box::new([NamedResource::of_ability("program::function")]),
        26..=31 => wanted.named = Box::new([NamedResource::of_ability("module:function")]),
        _ => {}
    }
    wanted
}
