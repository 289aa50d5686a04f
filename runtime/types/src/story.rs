//! The story of a task: what happened to it and when, kept short enough to keep for every task.
use crate::failure::FailureKind;
use crate::ids::WorkerId;
use crate::time::Time;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One thing that happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryEntry {
    /// When.
    pub at: Time,
    /// What.
    pub chapter: Chapter,
}

/// What can happen to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chapter {
    /// A client asked for it.
    Submitted,
    /// All inputs are there; it waits for a worker.
    Queued,
    /// Attempt `number` was given to a worker.
    Assigned {
        /// The attempt's number.
        number: u32,
        /// Where it was sent.
        worker: WorkerId,
    },
    /// The worker said the attempt runs.
    Started {
        /// Where it runs.
        worker: WorkerId,
    },
    /// The attempt was taken back unstarted, to run elsewhere or because an input was missing.
    Returned {
        /// Who gave it back.
        worker: WorkerId,
    },
    /// Its result was published.
    Finished {
        /// Who made it.
        worker: WorkerId,
    },
    /// The attempt failed and will be tried again.
    Retrying {
        /// Why.
        kind: FailureKind,
    },
    /// It failed for good.
    Failed {
        /// Why.
        kind: FailureKind,
    },
    /// The worker that held an attempt of it died.
    WorkerLost {
        /// Who died.
        worker: WorkerId,
        /// How many workers have died holding this task, this one included.
        deaths: u32,
    },
    /// Its published result is gone; it is computed again.
    ValueLost,
    /// Somebody cancelled it or dropped the last reference to it.
    Cancelled,
}

impl fmt::Display for StoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.6} s  ", self.at.since(Time::ZERO).as_secs_f64())?;
        match self.chapter {
            Chapter::Submitted => write!(f, "submitted"),
            Chapter::Queued => write!(f, "queued"),
            Chapter::Assigned { number, worker } => write!(f, "attempt {number} assigned to {worker}"),
            Chapter::Started { worker } => write!(f, "running on {worker}"),
            Chapter::Returned { worker } => write!(f, "given back by {worker}"),
            Chapter::Finished { worker } => write!(f, "finished on {worker}"),
            Chapter::Retrying { kind } => write!(f, "{}; trying again", kind.word()),
            Chapter::Failed { kind } => write!(f, "failed: {}", kind.word()),
            Chapter::WorkerLost { worker, deaths } => write!(f, "worker {worker} died holding it (death {deaths})"),
            Chapter::ValueLost => write!(f, "result lost; computing it again"),
            Chapter::Cancelled => write!(f, "cancelled"),
        }
    }
}
