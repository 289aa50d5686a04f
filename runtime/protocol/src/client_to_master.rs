//! What a client says to the master.
use crate::parcel::Message;
use quiltwork_types::{ActorName, Encoding, FunctionId, Resources, TaskId, TaskRole, ValueId, WorkerId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A message from a client. Task numbers are the client's own (`TaskId::job` is checked against the link's job).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClientToMaster {
    /// From now on `function` means `name` on this link.
    DefineFunction {
        /// The number, chosen by the client.
        function: FunctionId,
        /// The registered name.
        name: String,
    },
    /// Run these tasks. Payloads: every [`Argument::Literal`], in order.
    Submit {
        /// Inputs before consumers.
        tasks: Vec<SubmittedTask>,
    },
    /// A value is there or will be uploaded on a stream of its own; tasks may name it as an input from now on.
    Put {
        /// The task that stands for it.
        task: TaskId,
        /// Its size in bytes.
        size: u64,
        /// How its bytes are to be read.
        encoding: Encoding,
        /// Whether the client has written it into the area of its node: then nothing is uploaded.
        written: bool,
    },
    /// The upload of a value that was announced has failed.
    UploadFailed {
        /// The task that stands for it.
        task: TaskId,
        /// Why, in a few words.
        why: String,
    },
    /// This task stands for an actor from now on, perhaps of another job. It ends well when the actor has been made.
    Refer {
        /// The task.
        task: TaskId,
        /// Which actor.
        actor: ActorName,
    },
    /// Stop these tasks and all that need them; one that made an actor, or stands for one, ends the actor.
    Cancel {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// The client will not ask for these results again.
    Release {
        /// The tasks.
        tasks: Vec<TaskId>,
    },
    /// A value was not where the master said.
    ReportMissing {
        /// Which value.
        value: ValueId,
        /// Who was said to hold it.
        holder: WorkerId,
    },
    /// A question; the answer carries the same number.
    Ask {
        /// The client's number for it.
        question: u64,
        /// What it wants to know.
        about: Question,
    },
    /// A value of at most [`INLINE_LIMIT`](crate::INLINE_LIMIT) bytes; tasks may name it as an input from now on. Payloads:
    /// its bytes.
    Give {
        /// The task that stands for it.
        task: TaskId,
        /// How its bytes are to be read.
        encoding: Encoding,
    },
}

/// A task as a client describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmittedTask {
    /// Its number in the client's job.
    pub task: TaskId,
    /// What runs.
    pub function: FunctionId,
    /// One per parameter of the function.
    pub arguments: Vec<Argument>,
    /// Everything that has a default.
    pub options: TaskOptions,
}

/// One argument of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Argument {
    /// The bytes are the next payload.
    Literal(Encoding),
    /// The result of another task.
    Value(ValueId),
    /// A list made of the results of other tasks.
    Values(Vec<ValueId>),
    /// The result of another task, of which the function reads what it needs.
    Reference(ValueId),
    /// A list made of the results of other tasks, of which the function reads what it needs.
    References(Vec<ValueId>),
}

/// The options of a task; see `quiltwork_types::TaskSpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOptions {
    /// What it occupies.
    pub resources: Resources,
    /// Higher runs first.
    pub priority: i32,
    /// How often a failed attempt may be tried again.
    pub retries: u32,
    /// Whether the client wants to hear of the result.
    pub kept: bool,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// Which partition of a data set it works on; told to the task.
    pub partition: Option<u32>,
    /// Whether the result is wanted as plain data, which functions of every language read.
    pub plain: bool,
    /// How long an attempt may run.
    pub time_limit: Option<Duration>,
    /// What it is in relation to actors; no reference, which has a message of its own.
    pub role: TaskRole,
}

/// What a client can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The workers there are.
    Workers,
    /// The story of a task.
    Story(TaskId),
    /// Who holds the value of a task.
    Holders(TaskId),
}

impl Message for ClientToMaster {
    fn payloads(&self) -> usize {
        match self {
            Self::Submit { tasks } => tasks
                .iter()
                .flat_map(|task| &task.arguments)
                .filter(|argument| matches!(argument, Argument::Literal(_)))
                .count(),
            Self::Give { .. } => 1,
            _ => 0,
        }
    }
}
