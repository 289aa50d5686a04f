//! What can go wrong in training, said so that a person knows which tensor, partition or file to look at.
use super::round::Absence;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why training could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor was made of more or fewer elements than its shape has.
    #[error("a tensor of shape {shape:?} cannot be made of {elements} elements")]
    Shape {
        /// The shape asked for.
        shape: Vec<usize>,
        /// The number of elements given.
        elements: usize,
    },
    /// A tensor of that name is not there.
    #[error("there is no tensor `{tensor}`\n  hint: there are {}", listed(known))]
    UnknownTensor {
        /// The name asked for.
        tensor: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A tensor has another element type or shape than it should.
    #[error("tensor `{tensor}` of {whose}: found {found}, expected {expected}")]
    Layout {
        /// Its name.
        tensor: String,
        /// Whose parameters these are.
        whose: String,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A tensor has NaN or infinite elements: training diverged.
    #[error(
        "tensor `{tensor}` of {whose} is not finite\n  \
         hint: training diverges there; a smaller learning rate or fewer local steps usually help"
    )]
    NotFinite {
        /// Its name.
        tensor: String,
        /// Whose parameters these are.
        whose: String,
    },
    /// Fewer partitions trained in a round than the quorum asks for.
    #[error(
        "round {round}: {trained} partitions trained, but the quorum is {quorum}{}\n  \
         hint: a failing task may be tried again with `.retries(n)`; a smaller `quorum` lets a round go on without it",
        Absences(absences)
    )]
    Quorum {
        /// The round.
        round: u32,
        /// How many partitions trained.
        trained: usize,
        /// How many were needed.
        quorum: usize,
        /// The partitions that were missing, and why.
        absences: BTreeMap<u32, Absence>,
    },
    /// What was asked for cannot be carried out.
    #[error("cannot train: {0}")]
    Setup(String),
    /// The strategy cannot plan or merge a round.
    #[error("round {round}: {reason}")]
    Strategy {
        /// The round.
        round: u32,
        /// What the strategy says.
        reason: String,
    },
    /// The evaluation of the parameters failed.
    #[error("round {round}: the evaluation failed: {reason}")]
    Evaluation {
        /// The round.
        round: u32,
        /// What the evaluation says.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write` or `remove`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is not what its name promises: torn, damaged or of another kind.
    #[error("{} cannot be used: {reason}", path.display())]
    BadFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A checkpoint belongs to another run.
    #[error(
        "the checkpoint {} was made with {found}, this run has {expected}\n  \
         hint: resume with the settings the run was started with, or start afresh in another directory",
        path.display()
    )]
    OtherRun {
        /// Which file.
        path: PathBuf,
        /// What the checkpoint says.
        found: String,
        /// What the run says.
        expected: String,
    },
    /// The cluster could not do its part.
    #[error(transparent)]
    Cluster(#[from] crate::Error),
}

/// The result of anything in training.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the same call may succeed without changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Quorum { absences, .. } => absences.values().all(Absence::is_retryable),
            Self::File { .. } => true,
            Self::Cluster(error) => error.is_retryable(),
            _ => false,
        }
    }
}

/// The first few absences, one per line.
struct Absences<'a>(&'a BTreeMap<u32, Absence>);

impl fmt::Display for Absences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        for (partition, absence) in self.0.iter().take(SHOWN) {
            write!(f, "\n  partition {partition}: {absence}")?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  and {more} more"),
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    }
}
