//! The integers that name things; nothing here knows what the named thing is.
use core::fmt;
use serde::{Deserialize, Serialize};

/// Declares one integer id: a newtype that prints as its prefix and number.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// One client's unit of accounting and cancellation; numbered by the master, never used twice in one epoch.
    JobId(u32), "job "
);
id!(
    /// One worker process as the master knows it; a process that joins again gets a new one.
    WorkerId(u32), "w"
);
id!(
    /// One machine, or container, by a number its workers agree on; they share a store of values.
    NodeId(u64), "node "
);
id!(
    /// A function by number; its name is sent once per link.
    FunctionId(u32), "f"
);
id!(
    /// Number of the master's life; grows at every start or takeover.
    Epoch(u64), "epoch "
);

/// What shall be done, once: the `index`-th task of a job. The client numbers its own tasks densely from 0,
/// so a task can be named before the master has heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// The job the task belongs to.
    pub job: JobId,
    /// Its number within the job, from 0.
    pub index: u32,
}

impl TaskId {
    /// As eight bytes that mean the same everywhere.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        ((self.job.0 as u64) << 32 | self.index as u64).to_le_bytes()
    }

    /// What [`to_bytes`](Self::to_bytes) was given; none for bytes of another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let number = u64::from_le_bytes(bytes.try_into().ok()?);
        let half = |bits: u64| u32::try_from(bits).expect("half of 64 bits");
        Some(Self { job: JobId(half(number >> 32)), index: half(number & u64::from(u32::MAX)) })
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}.{}", self.job.0, self.index)
    }
}

/// One try of a task on one worker. The number grows with every dispatch of the task, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The task that is tried.
    pub task: TaskId,
    /// Which try this is, from 1.
    pub number: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempt {}", self.task, self.number)
    }
}

/// The immutable result of a task: task + output index, never the attempt that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueId {
    /// The task whose result this is.
    pub task: TaskId,
    /// Which of its outputs, from 0.
    pub output: u16,
}

impl ValueId {
    /// The first (today the only) output of `task`.
    #[must_use]
    pub const fn of(task: TaskId) -> Self {
        Self { task, output: 0 }
    }
}

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value {}.{}:{}", self.task.job.0, self.task.index, self.output)
    }
}
