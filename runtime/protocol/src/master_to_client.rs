//! What the master says to a client.
use crate::parcel::Message;
use crate::peer::Holder;
use quiltwork_types::{Encoding, StoryEntry, TaskFailure, TaskId, TaskState, WorkerId, WorkerInfo};
use serde::{Deserialize, Serialize};

/// A message to a client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MasterToClient {
    /// These tasks have ended. Payloads: every [`End::Inline`], in order.
    Ended {
        /// Which, and how.
        ends: Vec<TaskEnd>,
    },
    /// These workers are gone: nothing will come from them any more.
    WorkersLost {
        /// Who.
        workers: Vec<WorkerId>,
    },
    /// How far running tasks say they are; only the latest of each.
    Progress {
        /// Task, done and total in the task's own unit.
        reports: Vec<(TaskId, u64, u64)>,
    },
    /// The answer to a question.
    Answer {
        /// The client's number of the question.
        question: u64,
        /// What there is to say.
        answer: Answer,
    },
}

/// The end of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// Which task.
    pub task: TaskId,
    /// How.
    pub end: End,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum End {
    /// The value is the next payload.
    Inline(Encoding),
    /// The value is to be fetched.
    Stored {
        /// How to read it.
        encoding: Encoding,
        /// Its size in bytes.
        size: u64,
        /// Where it is.
        holders: Vec<Holder>,
    },
    /// It failed.
    Failed(TaskFailure),
}

/// What there is to say to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The workers there are.
    Workers(Vec<WorkerInfo>),
    /// Where the task stands and what happened to it; `None` if the master knows nothing of it (any more).
    Story(Option<(TaskState, Vec<StoryEntry>)>),
    /// Who holds a value; nobody, if there is none.
    Holders {
        /// Whether the master does.
        master: bool,
        /// The workers that do.
        workers: Vec<WorkerId>,
    },
}

impl Message for MasterToClient {
    fn payloads(&self) -> usize {
        match self {
            Self::Ended { ends } => ends.iter().filter(|end| matches!(end.end, End::Inline(_))).count(),
            _ => 0,
        }
    }
}
