//! What can go wrong with files and records, said so that a person knows which one to look at.
use std::io;
use std::path::{Path, PathBuf};

/// Why data could not be listed, read, changed or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder of a data set is not there, or is not a folder.
    #[error("cannot list {}: {reason}\n  hint: name a folder that this machine can read", directory.display())]
    Directory {
        /// What was to be listed.
        directory: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A file of a partition cannot be opened or read where the task runs.
    #[error("cannot read {}: {reason}\n  hint: workers read files themselves: the path must mean the same for them", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A line does not fit into memory in good manners.
    #[error("a line of {} is longer than {limit} bytes\n  hint: this is no file of lines; leave it out", path.display())]
    LongLine {
        /// Which file.
        path: PathBuf,
        /// The longest line that is read, in bytes.
        limit: u64,
    },
    /// A line of a file is no record of the wanted type.
    #[error("a record of {} cannot be read: {reason}", path.display())]
    Record {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and where it is.
        reason: String,
    },
    /// A file of a partition cannot be written where the task runs.
    #[error("cannot write {}: {reason}\n  hint: workers write files themselves: the path must mean the same for them", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system or the format said.
        reason: io::Error,
    },
    /// A folder holds parts of another data set, which would be taken for parts of this one.
    #[error("{} is left from another data set\n  hint: write into a new folder, or remove the old parts", path.display())]
    Leftover {
        /// One of the parts.
        path: PathBuf,
    },
    /// A step that may fail did.
    #[error("{0}")]
    Step(String),
    /// A record cannot be encoded.
    #[error("a record cannot travel: {0}\n  hint: give records whose `Serialize` cannot fail and knows its length")]
    Unencodable(String),
    /// What another task left cannot be read.
    #[error(
        "what another task left cannot be read: {0}\n  hint: a `Deserialize` that does not fit the `Serialize` of its type does this"
    )]
    Damaged(String),
    /// A pipeline is not the same here as where it was started.
    #[error("pipeline `{pipeline}` {problem}")]
    Pipeline {
        /// Its path.
        pipeline: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The partitions of a data set are in a cluster that does not answer.
    #[error("{0}")]
    Cluster(#[from] crate::Error),
}

impl DataError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |reason| Self::Read { path: path.to_owned(), reason }
    }

    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |reason| Self::Write { path: path.to_owned(), reason }
    }

    /// Whether trying again may succeed without changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Directory { reason, .. } | Self::Read { reason, .. } | Self::Write { reason, .. } => {
                !matches!(reason.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
            }
            Self::Cluster(error) => error.is_retryable(),
            Self::LongLine { .. }
            | Self::Record { .. }
            | Self::Leftover { .. }
            | Self::Step(_)
            | Self::Unencodable(_)
            | Self::Damaged(_)
            | Self::Pipeline { .. } => false,
        }
    }
}
