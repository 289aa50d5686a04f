//! Why a worker could not be, or is no longer, part of a cluster.
use quiltwork_transport::{ConnectError, EndpointError, JoinError, LinkError, PushError};
use quiltwork_types::{AttemptId, ByteCount};
use std::io;

/// Why [`run`](crate::run) ended other than by the master's wish. None of these is worth another try by the same
/// process: whoever started the worker decides whether to start another.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It was configured with no slots.
    #[error("a worker needs at least one slot\nhint: set the number of slots to 1 or more")]
    NoSlots,
    /// The machine did not give what a worker needs.
    #[error("the machine did not give what a worker needs: {0}")]
    Machine(#[from] io::Error),
    /// It could not listen for others that want its values.
    #[error("the worker cannot serve values: {0}")]
    Listen(#[from] EndpointError),
    /// The master was not reached.
    #[error("the worker did not reach the master: {0}")]
    Connect(#[from] ConnectError),
    /// The master did not let it in.
    #[error("the worker could not join: {0}")]
    Join(#[from] JoinError),
    /// The master is gone: it ended, or the network between broke.
    #[error("the worker lost the master: {0}")]
    MasterLost(#[from] LinkError),
    /// The link does not take what the worker has to say.
    #[error("the worker could not report to the master: {0}")]
    NotReported(#[from] PushError),
    /// The process used more memory than it may.
    #[error(
        "the worker used {} of its {} of memory; `{name}` ({attempt}) was its newest task",
        ByteCount(*used),
        ByteCount(*limit)
    )]
    OutOfMemory {
        /// The attempt that was started last of those that ran.
        attempt: AttemptId,
        /// The name people know its task by.
        name: Box<str>,
        /// Bytes in use when it gave up.
        used: u64,
        /// Bytes it may use.
        limit: u64,
    },
    /// Functions that ran longer than they may did not end when they were told to, and hold threads and memory.
    #[error(
        "{count} functions did not end when their time was over\nhint: let long tasks ask whether they are cancelled"
    )]
    Stuck {
        /// How many.
        count: usize,
    },
    /// The master said something the protocol does not allow.
    #[error("the master broke the protocol: {0}\nhint: install the same release on both sides")]
    Protocol(String),
}
