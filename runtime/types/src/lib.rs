//! Plain data every other crate shares: ids, time, task specifications, resources, failures and stories; it does nothing.
#![no_std]
extern crate alloc;

mod actor;
mod encoding;
mod failure;
mod ids;
mod resources;
mod size;
mod story;
mod task;
mod time;
mod worker;

pub use actor::{ActorName, ActorOptions, TaskRole};
pub use encoding::{Encoding, TypeHash};
pub use failure::{FailureKind, TaskFailure};
pub use ids::{AttemptId, Epoch, FunctionId, JobId, NodeId, TaskId, ValueId, WorkerId};
pub use resources::{NamedResource, Resources};
pub use size::ByteCount;
pub use story::{Chapter, StoryEntry};
pub use task::{TaskSpec, TaskState};
pub use time::Time;
pub use worker::{LossReason, WorkerInfo};
