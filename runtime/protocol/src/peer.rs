//! What stands at the head of a bulk stream: a value is asked for or uploaded, then its raw bytes follow.
use bytes::Bytes;
use quiltwork_types::{Encoding, TaskId, ValueId, WorkerId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::ops::Range;

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

/// A stretch of a value's bytes. It may reach beyond the end of the value: what is not there is not meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByteRange {
    /// Bytes of the value before it.
    pub start: u64,
    /// How many bytes, at most.
    pub length: u64,
}

impl ByteRange {
    /// All of a value, whatever its size.
    pub const WHOLE: Self = Self { start: 0, length: u64::MAX };

    /// What a value of `size` bytes has of it, as offsets of the first byte and behind the last one.
    ///
    /// ```
    /// # use quiltwork_protocol::ByteRange;
    /// assert_eq!(ByteRange { start: 5, length: 10 }.within(8), 5..8);
    /// assert_eq!(ByteRange { start: 9, length: 10 }.within(8), 8..8);
    /// ```
    #[must_use]
    pub fn within(self, size: u64) -> Range<u64> {
        self.start.min(size)..self.start.saturating_add(self.length).min(size)
    }

    /// What a value that consists of these bytes has of it; they are not copied.
    #[must_use]
    pub fn of(self, bytes: &Bytes) -> Bytes {
        let Range { start, end } = self.within(bytes.len() as u64);
        let offset = |offset| usize::try_from(offset).expect("no more than the bytes that are here");
        bytes.slice(offset(start)..offset(end))
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(Range { start, end }: Range<u64>) -> Self {
        Self { start, length: end.saturating_sub(start) }
    }
}

/// Opens a bulk stream: what the opener wants. Roles decide who may: workers and clients fetch, clients upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkRequest {
    /// Send me these bytes of this value.
    Fetch {
        /// The value.
        value: ValueId,
        /// Which of its bytes.
        range: ByteRange,
        /// Who wants them.
        asker: Asker,
    },
    /// Here comes the value announced with `Put`; its bytes follow.
    Upload {
        /// The task that stands for it.
        task: TaskId,
        /// Its size in bytes.
        size: u64,
    },
}

/// Who fetches a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asker {
    /// Somebody who only reads.
    Reader,
    /// A worker that will hold a copy, and serves it to others at the address it asks from.
    Worker {
        /// Who.
        worker: WorkerId,
        /// Whether it has been told to ask elsewhere and did not get it there. Then it must be served.
        insists: bool,
    },
}

/// The answer to a [`BulkRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BulkReply {
    /// It is here; the bytes of the range follow, as far as the value has them.
    Found {
        /// How to read the value.
        encoding: Encoding,
        /// The size of the whole value in bytes.
        size: u64,
    },
    /// It is not here.
    Missing,
    /// It is here and was sent to enough others: ask this one of them, which may still be getting it.
    Elsewhere {
        /// Who.
        worker: WorkerId,
        /// Where it serves values.
        address: SocketAddr,
    },
    /// The upload has arrived whole.
    Stored,
    /// The request is not allowed here, or over a limit.
    Refused,
}
