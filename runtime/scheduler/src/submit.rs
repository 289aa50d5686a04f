//! How tasks and uploaded values come in, and which of them are refused.
use crate::action::Action;
use crate::actors::{Refusal, nothing};
use crate::role::Role;
use crate::scheduler::{Scheduler, Turn};
use crate::story::Story;
use crate::table::{MAX_HOLES, Number};
use crate::task::{Key, Phase, Rare, Task, Value};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{FailureKind, TaskFailure, TaskId, TaskRole, TaskSpec, Time, ValueId};
use smallvec::SmallVec;

impl Scheduler {
    pub(crate) fn on_tasks_submitted(&mut self, turn: &mut Turn<'_>, tasks: Vec<TaskSpec>) {
        for spec in tasks {
            if self.tasks.is_closed(spec.id.job) {
                turn.act(Action::Forget { task: spec.id });
                continue;
            }
            match self.tasks.number(spec.id) {
                Number::Unused => self.admit(turn, spec),
                Number::Known(_) | Number::Forgotten => {}
                Number::TooFar => turn_away(turn, spec),
            }
        }
    }

    /// The client's bytes are there. If nobody waits for them, the master may drop them again; a second report about
    /// a value the master already holds changes nothing.
    pub(crate) fn on_value_uploaded(&mut self, turn: &mut Turn<'_>, task: TaskId, size: u64) {
        let key = self.tasks.find(task);
        match key.map(|key| &self.tasks[key].phase) {
            Some(Phase::Uploading) => {
                let value = Value { size, at_master: true, holders: SmallVec::new() };
                self.publish(turn, key.expect("it has a phase"), value, None);
            }
            Some(Phase::Finished(value)) if value.at_master => {}
            _ => turn.act(Action::FreeAtMaster { value: ValueId::of(task) }),
        }
    }

    fn admit(&mut self, turn: &mut Turn<'_>, mut spec: TaskSpec) {
        let taken_name = self.settle_name(&mut spec);
        let inputs = self.find_inputs(&spec);
        let complaint = complaint_about(&spec).or(taken_name);
        let key = self.record(turn.now, spec);
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(refusal) => return self.refuse(key, refusal),
        };
        self.tasks.connect(key, &inputs);
        let complaint = self.count_call(key).err().or(complaint);
        if let Some(refusal) = complaint {
            return self.refuse(key, refusal);
        }
        match self.tasks[key].role {
            Role::Plain if self.tasks[key].function.is_none() => return self.tasks[key].phase = Phase::Uploading,
            Role::Plain | Role::Actor(_) => self.check_hope(turn, key),
            Role::Call { .. } | Role::Reference => {}
        }
        self.claim_name(key);
        self.begin(turn, key);
    }

    /// Counts a call for its actor.
    ///
    /// # Errors
    /// If that has as many as it may have; counted it is all the same.
    fn count_call(&mut self, key: Key) -> Result<(), Refusal> {
        let Some(actor) = self.actor_of(key) else { return Ok(()) };
        let actor = self.actor_mut(actor);
        let is_full = actor.is_full();
        actor.pending += 1;
        if !is_full {
            return Ok(());
        }
        let message = format!("its actor has {} calls that have not ended, as many as it may have", actor.pending - 1);
        let hint = "wait for some of them before calling again, or raise `max_pending` of the actor";
        Err(Refusal { kind: FailureKind::ActorFull, message, hint })
    }

    fn record(&mut self, now: Time, spec: TaskSpec) -> Key {
        let role = Role::of(spec.role);
        let resources = match role {
            Role::Plain | Role::Actor(_) => spec.resources,
            Role::Call { .. } | Role::Reference => nothing(),
        };
        let shape = self.shapes.intern(resources, self.workers.capacities());
        self.submissions += 1;
        self.tasks.insert(Task {
            id: spec.id,
            role,
            order: self.submissions,
            function: spec.function,
            rare: Rare::named(spec.name),
            inputs: [].into(),
            consumers: SmallVec::new(),
            story: Story::new(now),
            phase: Phase::Waiting { missing: 0 },
            shape,
            priority: spec.priority,
            depth: 0,
            attempts: 0,
            retries: spec.retries,
            failures: 0,
            needing: 0,
            kept: spec.kept,
            published: false,
            lineage_dropped: false,
            moved: false,
            hoping: false,
        })
    }

    /// The records of a task's inputs, and of the actor it calls or stands for, or why it cannot be accepted.
    fn find_inputs(&self, spec: &TaskSpec) -> Result<Vec<Key>, Refusal> {
        let find = |input: &ValueId| {
            if input.task.job != spec.id.job {
                return Err(format!("its input {input} belongs to another job"));
            }
            if input.output != 0 {
                return Err(format!("its input {input} does not exist: a task has one output"));
            }
            self.tasks.find(input.task).ok_or_else(|| format!("its input {input} is not known"))
        };
        let mut inputs = Vec::with_capacity(spec.inputs.len() + 1);
        for input in &spec.inputs {
            inputs.push(find(input).map_err(refusal)?);
        }
        inputs.extend(self.find_actor(spec)?);
        Ok(inputs)
    }

    fn refuse(&mut self, key: Key, Refusal { kind, message, hint }: Refusal) {
        let failure = TaskFailure::new(kind, self.tasks[key].id, message).with_hint(hint);
        self.unsettled.failing.push((key, Arc::new(failure)));
    }
}

/// Refuses a task that gets no record, because its number cannot be believed.
fn turn_away(turn: &mut Turn<'_>, spec: TaskSpec) {
    let message = format!("its number leaves out more than {MAX_HOLES} others");
    let mut failure =
        TaskFailure::new(FailureKind::Refused, spec.id, message).with_hint("number the tasks of a job from 0 on");
    failure.name = spec.name.map(String::from).unwrap_or_default();
    if spec.kept {
        turn.act(Action::End { task: spec.id, outcome: crate::Outcome::Failed(failure.into()) });
    }
    turn.act(Action::Forget { task: spec.id });
}

/// Why a task is refused that was submitted in a way that cannot be carried out.
fn refusal(message: String) -> Refusal {
    let hint =
        "submit inputs before their consumers and keep a reference to them until then; a cycle cannot be submitted";
    Refusal { kind: FailureKind::Refused, message, hint }
}

/// What is wrong with the task itself, whatever else is known.
fn complaint_about(spec: &TaskSpec) -> Option<Refusal> {
    let TaskSpec { resources, role, .. } = spec;
    if spec.function.is_none() && !spec.inputs.is_empty() {
        return Some(refusal(String::from("an upload has no inputs")));
    }
    if matches!(role, TaskRole::Call { .. }) && (resources.memory > 0 || !resources.named.is_empty()) {
        let message = String::from("it asks for resources, but runs where its actor lives");
        let hint = "ask for them when the actor is made: it has them as long as it lives";
        return Some(Refusal { kind: FailureKind::Refused, message, hint });
    }
    let named = &resources.named;
    let twice = named.iter().enumerate().find(|(i, r)| named[..*i].iter().any(|earlier| earlier.name == r.name));
    twice.map(|(_, r)| refusal(format!("it asks for the resource `{}` twice", r.name)))
}
