//! What stands at the head of a bulk stream: a value is asked for or uploaded, then its raw bytes follow.
use quiltwork_types::{Encoding, TaskId, ValueId, WorkerId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Somebody who has a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holder {
    /// The master itself: fetch it over the link's own connection.
    Master,
    /// A worker.
    Worker {
        /// Who.
        worker: WorkerId,
        /// Where it serves values.
        address: SocketAddr,
    },
}

/// Opens a bulk stream: what the opener wants. Roles decide who may: workers and clients fetch, clients upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkRequest {
    /// Send me this value.
    Fetch(ValueId),
    /// Here comes the value announced with `Put`; its bytes follow.
    Upload {
        /// The task that stands for it.
        task: TaskId,
        /// Its size in bytes.
        size: u64,
    },
}

/// The answer to a [`BulkRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkReply {
    /// The value's bytes follow.
    Found {
        /// How to read it.
        encoding: Encoding,
        /// Its size in bytes.
        size: u64,
    },
    /// It is not here.
    Missing,
    /// The upload has arrived whole.
    Stored,
    /// The request is not allowed here, or over a limit.
    Refused,
}
