//! What can go wrong with files, said so that a person knows which one to look at.
use std::io;
use std::path::{Path, PathBuf};

/// Why files could not be listed or read.
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
}

impl DataError {
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |reason| Self::Read { path: path.to_owned(), reason }
    }

    /// Whether trying again may succeed without changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Directory { reason, .. } | Self::Read { reason, .. } => {
                !matches!(reason.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
            }
            Self::LongLine { .. } => false,
        }
    }
}
