//! The life of actors: how they are found, where they live, when they end, and what becomes of them with their worker.
//!
//! An actor is the value of its constructor's task. It has one holder, the worker in which its instance lives, and needs
//! what it was made of as long as it lives, because it may have to be made again. It ends by failing, so whatever still
//! mentions it fails with it.
use crate::action::Action;
use crate::role::Role;
use crate::scheduler::{Scheduler, Turn};
use crate::task::{Key, Phase, Value};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use quiltwork_types::{ActorName, FailureKind, Resources, TaskFailure, TaskId, TaskRole, TaskSpec, ValueId, WorkerId};
use smallvec::SmallVec;

/// Losses of its workers that an actor remembers.
const HISTORY: usize = 16;

/// Why a task cannot be accepted.
pub(crate) struct Refusal {
    pub(crate) kind: FailureKind,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

impl Scheduler {
    /// An actor that would have the name of one that lives stands for that one instead, if its maker wants it so.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn settle_name(&self, spec: &mut TaskSpec) -> Option<Refusal> {
        let TaskRole::Actor(options) = &spec.role else { return None };
        let name = options.name.as_ref().filter(|name| self.names.contains_key(*name))?;
        if !options.or_existing {
            let message = format!("an actor called `{name}` lives already");
            let hint = "give it another name, or ask for the one that is there";
            return Some(Refusal { kind: FailureKind::Refused, message, hint });
        }
        let name = name.clone();
        spec.role = TaskRole::Reference(ActorName::Given(name));
        spec.function = None;
        spec.inputs = Box::default();
        None
    }

    /// The actor a task calls or stands for; none if it does neither.
    pub(crate) fn find_actor(&self, spec: &TaskSpec) -> Result<Option<Key>, Refusal> {
        let gone = |message: String| Refusal {
            kind: FailureKind::ActorDied,
            message,
            hint: "an actor lives as long as somebody holds a handle of it, and the client that made it is there",
        };
        match &spec.role {
            TaskRole::Plain | TaskRole::Actor(_) => Ok(None),
            TaskRole::Call { actor, .. } if actor.job != spec.id.job => {
                Err(gone(format!("{actor} belongs to another job; only a reference of its own stands for that")))
            }
            TaskRole::Call { actor, .. } | TaskRole::Reference(ActorName::Task(actor)) => {
                let key = self.tasks.find(*actor).map(|key| self.actor_meant_by(key));
                let is_actor = |&key: &Key| !matches!(self.tasks[key].role, Role::Plain | Role::Call { .. });
                key.filter(is_actor).map(Some).ok_or_else(|| gone(format!("{actor} is no actor that lives")))
            }
            TaskRole::Reference(ActorName::Given(name)) => self.names.get(name).copied().map(Some).ok_or_else(|| {
                let message = format!("no actor is called `{name}`");
                Refusal { kind: FailureKind::Refused, message, hint: "make it first, and hold a handle of it" }
            }),
        }
    }

    /// The actor itself, where a reference stands for one.
    pub(crate) fn actor_meant_by(&self, key: Key) -> Key {
        let task = &self.tasks[key];
        match task.role {
            Role::Reference => task.inputs.first().map_or(key, |edge| edge.task),
            _ => key,
        }
    }

    /// The name of a new actor is its own from now on.
    pub(crate) fn claim_name(&mut self, key: Key) {
        if let Some(name) = self.tasks[key].actor().and_then(|actor| actor.name.clone()) {
            self.names.insert(name, key);
        }
    }

    /// The actor that a reference waits for is there.
    pub(crate) fn resolve(&mut self, turn: &mut Turn<'_>, key: Key) {
        let (task, actor) = (self.tasks[key].id, self.tasks[self.actor_meant_by(key)].id);
        turn.act(Action::Resolve { task, actor });
        let size = size_of::<TaskId>() as u64;
        self.publish(turn, key, Value { size, at_master: true, holders: SmallVec::new() }, None);
    }

    /// Ends the instance of an actor, if it has one, and gives up its name.
    pub(crate) fn end_actor(&mut self, turn: &mut Turn<'_>, key: Key) {
        let Some(actor) = self.tasks[key].actor() else { return };
        if let Some(name) = &actor.name
            && self.names.get(name) == Some(&key)
        {
            self.names.remove(name);
        }
        self.free_copies(turn, key, false);
    }

    /// Nobody holds the actor, or what stands for one, any more.
    pub(crate) fn retire(&mut self, turn: &mut Turn<'_>, key: Key) {
        let failure =
            TaskFailure::new(FailureKind::ActorDied, self.tasks[key].id, "nobody held a handle of it any more");
        self.fail(turn, key, Arc::new(failure));
    }

    /// Somebody wants the actor ended.
    pub(crate) fn kill(&mut self, key: Key) {
        let failure = TaskFailure::new(FailureKind::ActorDied, self.tasks[key].id, "a client ended it");
        self.unsettled.failing.push((key, Arc::new(failure)));
    }

    /// The instance of an actor is gone with its worker, or that does not have it any more. It is made again, as often as
    /// it may; otherwise it fails, before those calls are looked at that were with it.
    pub(crate) fn lose_instance(&mut self, turn: &mut Turn<'_>, key: Key, worker: WorkerId, line: &Arc<str>) {
        let Phase::Finished(value) = &mut self.tasks[key].phase else { return };
        value.holders.retain(|holder| *holder != worker);
        self.workers.drop_value(worker, key, 0);
        self.workers.move_out(worker, key, &self.shapes[self.tasks[key].shape]);
        let actor = self.actor_mut(key);
        if actor.history.len() == HISTORY {
            actor.history.remove(0);
        }
        actor.history.push(Arc::clone(line));
        if actor.may_restart() {
            actor.restarts += 1;
            self.hold_up_consumers(key);
            self.unsettled.doubtful.push(key);
            self.unsettled.reviving.push(key);
        } else {
            let failure = self.last_loss(key);
            self.fail(turn, key, Arc::new(failure));
        }
    }

    fn last_loss(&self, key: Key) -> TaskFailure {
        let task = &self.tasks[key];
        let (history, restarts) = task.actor().map(|actor| (&actor.history[..], actor.restarts)).unwrap_or_default();
        let last = history.last().map(|line| &**line).unwrap_or_default();
        let message = match restarts {
            0 => format!("its worker was lost ({last}), and it was not to be made again"),
            restarts => format!("its worker was lost ({last}), after it had been made again {restarts} times"),
        };
        let mut failure = TaskFailure::new(FailureKind::ActorDied, task.id, message)
            .with_hint("let it be made again with `.max_restarts(n)`; what it knew is lost with its worker");
        failure.details = history.iter().map(|line| String::from(&**line)).collect();
        failure
    }

    /// A worker says that it does not have an actor that should live there.
    pub(crate) fn miss_instance(&mut self, turn: &mut Turn<'_>, key: Key, worker: WorkerId) {
        let is_there = self.tasks[key].value().is_some_and(|value| value.holders.contains(&worker));
        if is_there {
            turn.act(Action::Free { worker, value: ValueId::of(self.tasks[key].id) });
            self.lose_instance(turn, key, worker, &Arc::from(format!("worker {worker}: it ended there by itself")));
        }
    }

    /// What is not this job's and needs an actor of it, or is needed by its calls and references, is parted from them.
    pub(crate) fn part_job(&mut self, turn: &mut Turn<'_>, keys: &[Key]) {
        for &key in keys {
            match self.tasks[key].role {
                Role::Plain => {}
                Role::Call { .. } if !self.tasks[key].is_unfinished() => {}
                Role::Call { .. } => {
                    self.withdraw(turn, key);
                    self.end_call(key);
                    self.tasks[key].phase = Phase::Waiting { missing: 0 };
                    self.drop_lineage(key, true);
                }
                Role::Reference => self.drop_lineage(key, self.tasks[key].needs_inputs()),
                Role::Actor(_) => self.part_callers(turn, key),
            }
        }
    }

    /// The client that made the actor is gone: those of others that need it fail.
    fn part_callers(&mut self, turn: &mut Turn<'_>, actor: Key) {
        let id = self.tasks[actor].id;
        let is_foreign = |task: Key| self.tasks[task].id.job != id.job;
        let foreign: SmallVec<[Key; 8]> =
            self.tasks[actor].consumers.iter().map(|edge| edge.task).filter(|&task| is_foreign(task)).collect();
        if foreign.is_empty() {
            return;
        }
        let mut failure = TaskFailure::new(FailureKind::ActorDied, id, "the client that made it is gone")
            .with_hint("make it by the client that lives longest");
        failure.name = self.tasks[actor].name().into();
        let failure = Arc::new(failure);
        for key in foreign {
            self.fail(turn, key, Arc::clone(&failure));
        }
    }
}

/// What a worker keeps for a call or a reference: nothing.
pub(crate) fn nothing() -> Resources {
    Resources::slots(0)
}
