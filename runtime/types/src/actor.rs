//! What is asked of a task beside a run in slots: that its value be a living actor, or that it run where an actor lives.
use crate::ids::TaskId;
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// What a task is in relation to actors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskRole {
    /// An ordinary task, which runs in slots and makes a value.
    #[default]
    Plain,
    /// The constructor of an actor: what it makes stays alive in the worker that made it.
    Actor(Box<ActorOptions>),
    /// A call of an actor: it runs where that lives, behind earlier calls of its lane, and occupies no slot.
    Call {
        /// Whom, by a task of the caller's own job: the constructor, or a reference.
        actor: TaskId,
        /// Calls of one job and lane are run in the order in which they were submitted; lanes know nothing of each other.
        lane: u32,
    },
    /// It runs nothing and stands for an actor as long as somebody holds it, perhaps an actor of another job.
    Reference(ActorName),
}

/// By what an actor is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActorName {
    /// By its constructor, or by a reference to it, of any job.
    Task(TaskId),
    /// By the name its maker gave it.
    Given(Box<str>),
}

/// The options of an actor that ordinary tasks do not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorOptions {
    /// The name by which everybody in the cluster finds it while it lives.
    pub name: Option<Box<str>>,
    /// What to do if an actor of that name lives already: stand for that one, or fail.
    pub or_existing: bool,
    /// How often it may be made again after its worker was lost; none for as often as that happens.
    pub max_restarts: Option<u32>,
    /// Calls it may have that have not ended; none for as many as the job may have tasks.
    pub max_pending: Option<u32>,
    /// Calls that may run at a time.
    pub max_concurrency: u32,
}

impl Default for ActorOptions {
    /// No name, no restart, one call at a time.
    fn default() -> Self {
        Self { name: None, or_existing: false, max_restarts: Some(0), max_pending: None, max_concurrency: 1 }
    }
}
