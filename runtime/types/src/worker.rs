//! What is known and said about workers.
use crate::ids::{AttemptId, NodeId, WorkerId};
use crate::resources::Resources;
use crate::size::ByteCount;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How the master learned that a worker is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossReason {
    /// The worker closed its connection or the connection broke.
    ConnectionClosed(String),
    /// Its process ended; says how (`signal 9 (SIGKILL)`, `exit status 1`) and its last words.
    ProcessEnded(String),
    /// Nothing was heard from it for longer than allowed.
    Silent,
    /// It sent something the protocol does not allow.
    Misbehaved(String),
    /// It was asked to go; no task is blamed for that.
    Left,
    /// It used more memory than it may and ended itself; only its newest attempt is blamed for that.
    OutOfMemory {
        /// The attempt that was started last of those that ran.
        attempt: AttemptId,
        /// Bytes in use when it gave up.
        used: u64,
        /// Bytes it may use.
        limit: u64,
    },
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionClosed(how) => write!(f, "connection closed: {how}"),
            Self::ProcessEnded(how) => write!(f, "process ended: {how}"),
            Self::Silent => write!(f, "nothing was heard from it"),
            Self::Misbehaved(how) => write!(f, "broke the protocol: {how}"),
            Self::Left => write!(f, "left"),
            Self::OutOfMemory { attempt, used, limit } => {
                let (used, limit) = (ByteCount(*used), ByteCount(*limit));
                write!(f, "used {used} of its {limit} of memory; its newest was {attempt}")
            }
        }
    }
}

/// A worker as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its number.
    pub worker: WorkerId,
    /// Its process id on its node.
    pub pid: u32,
    /// The node whose store of values it shares with the other workers there; none if it keeps its values to itself.
    pub node: Option<NodeId>,
    /// What it has in total.
    pub capacity: Resources,
    /// Attempts it was given and has not ended.
    pub assigned: u32,
    /// Of those, the ones it has said it started.
    pub running: u32,
    /// Actors that live there.
    pub actors: u32,
    /// Bytes of values it holds.
    pub held_bytes: u64,
    /// Whether it is short of memory: then it gets an attempt only when it has nothing to do.
    pub pressed: bool,
}
