//! How tasks and uploaded values come in, and which of them are refused.
use crate::action::Action;
use crate::scheduler::{Scheduler, Turn};
use crate::story::Story;
use crate::table::{MAX_HOLES, Number};
use crate::task::{Key, Phase, Task, Value};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{FailureKind, TaskFailure, TaskId, TaskSpec, Time, ValueId};
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

    fn admit(&mut self, turn: &mut Turn<'_>, spec: TaskSpec) {
        let inputs = self.find_inputs(&spec);
        let complaint = complaint_about(&spec);
        let key = self.record(turn.now, spec);
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(message) => return self.refuse(key, message),
        };
        self.tasks.connect(key, &inputs);
        for &input in &inputs {
            self.tasks[input].needing += 1;
            self.tasks[key].depth = self.tasks[key].depth.max(self.tasks[input].depth.saturating_add(1));
        }
        if let Some(message) = complaint {
            self.refuse(key, message);
        } else if self.tasks[key].function.is_none() {
            self.tasks[key].phase = Phase::Uploading;
        } else {
            self.check_hope(turn, key);
            self.begin(turn, key);
        }
    }

    fn record(&mut self, now: Time, spec: TaskSpec) -> Key {
        let shape = self.shapes.intern(spec.resources, self.workers.capacities());
        self.submissions += 1;
        self.tasks.insert(Task {
            id: spec.id,
            order: self.submissions,
            function: spec.function,
            name: spec.name,
            inputs: [].into(),
            consumers: SmallVec::new(),
            story: Story::new(now),
            phase: Phase::Waiting { missing: 0 },
            deaths: None,
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

    /// The records of a task's inputs, or why it cannot be accepted.
    fn find_inputs(&self, spec: &TaskSpec) -> Result<Vec<Key>, String> {
        let find = |input: &ValueId| {
            if input.task.job != spec.id.job {
                return Err(format!("its input {input} belongs to another job"));
            }
            if input.output != 0 {
                return Err(format!("its input {input} does not exist: a task has one output"));
            }
            self.tasks.find(input.task).ok_or_else(|| format!("its input {input} is not known"))
        };
        spec.inputs.iter().map(find).collect()
    }

    fn refuse(&mut self, key: Key, message: String) {
        let failure = TaskFailure::new(FailureKind::Refused, self.tasks[key].id, message).with_hint(
            "submit inputs before their consumers and keep a reference to them until then; a cycle cannot be submitted",
        );
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

/// What is wrong with the task itself, whatever else is known.
fn complaint_about(spec: &TaskSpec) -> Option<String> {
    if spec.function.is_none() && !spec.inputs.is_empty() {
        return Some(String::from("an upload has no inputs"));
    }
    let named = &spec.resources.named;
    let twice = named.iter().enumerate().find(|(i, r)| named[..*i].iter().any(|earlier| earlier.name == r.name));
    twice.map(|(_, r)| format!("it asks for the resource `{}` twice", r.name))
}
