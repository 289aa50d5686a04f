//! What the scheduler is told about a task, and the states people see.
use crate::actor::TaskRole;
use crate::ids::{FunctionId, TaskId, ValueId};
use crate::resources::Resources;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Everything the scheduler needs to know about a task. Argument bytes are not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// Its name in the cluster.
    pub id: TaskId,
    /// What runs; `None` for a value the client uploads itself (`put`), which ends when the upload does, and for a
    /// reference to an actor.
    pub function: Option<FunctionId>,
    /// Values it needs, each listed once.
    pub inputs: Box<[ValueId]>,
    /// What it occupies while it runs.
    pub resources: Resources,
    /// Higher runs first; 0 unless told otherwise.
    pub priority: i32,
    /// How often a failing attempt (`Err` or panic) may be tried again.
    pub retries: u32,
    /// Whether the client holds a reference to the result from the start.
    pub kept: bool,
    /// What people call it; the function's name if there is none.
    pub name: Option<Box<str>>,
    /// What it is in relation to actors.
    pub role: TaskRole,
}

impl TaskSpec {
    /// A task that runs `function` over `inputs`, with every option at its default.
    #[must_use]
    pub fn new(id: TaskId, function: FunctionId, inputs: Vec<ValueId>) -> Self {
        Self {
            id,
            function: Some(function),
            inputs: inputs.into_boxed_slice(),
            resources: Resources::default(),
            priority: 0,
            retries: 0,
            kept: false,
            name: None,
            role: TaskRole::Plain,
        }
    }
}

/// Where a task stands, in the words shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// An input is not there yet.
    Waiting,
    /// Ready; no worker has it.
    Queued,
    /// A worker has it.
    Assigned,
    /// A worker said it runs.
    Running,
    /// Its value is published.
    Finished,
    /// It failed for good.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// Its value is gone and cannot be recomputed.
    Lost,
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        })
    }
}
