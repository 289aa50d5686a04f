//! Checkpoints of a run: one safetensors file each, whole or not there at all, with all a bit-identical resume needs.
//!
//! A file holds the parameters (`model/…`), the strategy's state (`strategy/…`) and, as metadata, the round, the
//! history, what the run was started with, and a digest over all of it: a damaged file is known as such.
use super::error::{Error, Result};
use super::files;
use super::parameters::{Digest, Parameters};
use super::round::RoundReport;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MODEL: &str = "model/";
const STRATEGY: &str = "strategy/";
const RECORD: &str = "quiltwork.checkpoint";
const DIGEST: &str = "quiltwork.digest";
const FORMAT: u32 = 1;

/// Where checkpoints are kept, how often one is made, and how many stay.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    directory: PathBuf,
    every: u32,
    keep: usize,
}

impl Checkpoints {
    /// After each round, into this directory (made if it is not there), the newest 3 are kept.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), every: 1, keep: 3 }
    }

    /// One every this many rounds (at least 1).
    #[must_use]
    pub fn every(mut self, rounds: u32) -> Self {
        self.every = rounds.max(1);
        self
    }

    /// Keep the newest this many (at least 1).
    #[must_use]
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = files.max(1);
        self
    }

    /// Whether one is due after this round.
    pub(super) const fn is_due(&self, round: u32) -> bool {
        round.is_multiple_of(self.every)
    }

    /// Makes sure that the directory has no checkpoints of another run: only the one that is resumed may be there.
    pub(super) fn claim(&self, resumed: Option<&Path>) -> Result<()> {
        let io = |source| Error::File { action: "write", path: self.directory.clone(), source };
        fs::create_dir_all(&self.directory).map_err(io)?;
        let same = |other: &Path| io::Result::Ok(fs::canonicalize(other)? == fs::canonicalize(&self.directory)?);
        if listed(&self.directory)?.files.is_empty() || resumed.is_some_and(|other| same(other).unwrap_or(false)) {
            return Ok(());
        }
        Err(Error::Setup(format!(
            "{} holds the checkpoints of another run\n  hint: resume that run, or choose another directory",
            self.directory.display()
        )))
    }

    /// Writes one, then drops the oldest over the limit. In this order: there is never a moment without a whole one.
    pub(super) fn write(&self, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.save(self.directory.join(format!("round-{:06}.safetensors", checkpoint.round())))?;
        self.prune(checkpoint.round())
    }

    /// Drops what is older than the newest few, and what is torn: a file newer than the one just written was found
    /// damaged when the run was resumed.
    fn prune(&self, newest: u32) -> Result<()> {
        let Listing { files, partial } = listed(&self.directory)?;
        let (mut whole, torn): (Vec<_>, Vec<_>) = files.into_iter().partition(|(round, _)| *round <= newest);
        let old = whole.drain(..whole.len().saturating_sub(self.keep));
        old.chain(torn).map(|(_, path)| path).chain(partial).try_for_each(|path| {
            fs::remove_file(&path).map_err(|source| Error::File { action: "remove", path, source })
        })
    }
}

/// A run as it stood after a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The parameters.
    pub parameters: Parameters,
    /// What the strategy remembers.
    pub strategy: Parameters,
    /// One report per round so far.
    pub history: Vec<RoundReport>,
    /// What the run was started with.
    pub run: RunIdentity,
}

/// What must be the same for a checkpoint to be resumed bit by bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// The seed of the run.
    pub seed: u64,
    /// The number of partitions.
    pub partitions: u32,
    /// The name of the strategy.
    pub strategy: String,
}

impl fmt::Display for RunIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, partitions, strategy } = self;
        write!(f, "seed {seed}, {partitions} partitions and the strategy `{strategy}`")
    }
}

/// What stands in the metadata of the file.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    run: RunIdentity,
    history: Vec<RoundReport>,
}

/// What [`Checkpoint::newest`] finds.
#[derive(Debug)]
pub struct Newest {
    /// The newest whole checkpoint and its file.
    pub found: Option<(PathBuf, Checkpoint)>,
    /// What is wrong with the newer files, which were passed over.
    pub skipped: Vec<Error>,
}

impl Checkpoint {
    /// The round it was made after; 0 before the first.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.history.last().map_or(0, |report| report.round)
    }

    /// Writes it as one file, atomically.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let tensors: Parameters = self.parameters.under(MODEL).chain(self.strategy.under(STRATEGY)).collect();
        let record = Record { format: FORMAT, run: self.run.clone(), history: self.history.clone() };
        let record = serde_json::to_string(&record)
            .map_err(|e| Error::BadFile { path: path.to_owned(), reason: format!("its record cannot be made: {e}") })?;
        let digest = digest(tensors.digest(), &record);
        files::write(path, &tensors, HashMap::from([(RECORD.to_owned(), record), (DIGEST.to_owned(), digest)]))
    }

    /// Reads one file.
    ///
    /// # Errors
    /// If the file cannot be read or is no whole checkpoint.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (tensors, metadata) = files::read(path)?;
        Self::from_file(tensors, &metadata).map_err(|reason| Error::BadFile { path: path.to_owned(), reason })
    }

    /// Looks for the newest whole checkpoint of a directory. A directory that is not there has none.
    ///
    /// # Errors
    /// If the directory is there but cannot be read.
    pub fn newest(directory: impl AsRef<Path>) -> Result<Newest> {
        let mut skipped = Vec::new();
        for (_, path) in listed(directory.as_ref())?.files.into_iter().rev() {
            match Self::load(&path) {
                Ok(checkpoint) => return Ok(Newest { found: Some((path, checkpoint)), skipped }),
                Err(reason) => skipped.push(reason),
            }
        }
        Ok(Newest { found: None, skipped })
    }

    fn from_file(tensors: Parameters, metadata: &HashMap<String, String>) -> Result<Self, String> {
        let entry = |key| metadata.get(key).ok_or_else(|| format!("it is no checkpoint: it has no `{key}`"));
        let record = entry(RECORD)?;
        if *entry(DIGEST)? != digest(tensors.digest(), record) {
            return Err("it is damaged: its digest is another".to_owned());
        }
        let Record { format, run, history } =
            serde_json::from_str(record).map_err(|e| format!("its record cannot be read: {e}"))?;
        if format != FORMAT {
            return Err(format!("it is of format {format}, this program knows format {FORMAT}"));
        }
        let (mut parameters, mut strategy) = (Parameters::new(), Parameters::new());
        for (name, tensor) in tensors {
            let _ = match (name.strip_prefix(MODEL), name.strip_prefix(STRATEGY)) {
                (Some(name), _) => parameters.insert(name, tensor),
                (None, Some(name)) => strategy.insert(name, tensor),
                (None, None) => return Err(format!("tensor `{name}` does not belong into a checkpoint")),
            };
        }
        Ok(Self { parameters, strategy, history, run })
    }
}

fn digest(tensors: Digest, record: &str) -> String {
    Digest::of([tensors.to_string().as_bytes(), record.as_bytes()]).to_string()
}

/// What a directory of checkpoints holds.
#[derive(Default)]
struct Listing {
    /// The checkpoints by their round, oldest first.
    files: Vec<(u32, PathBuf)>,
    /// What was left of interrupted writing.
    partial: Vec<PathBuf>,
}

fn listed(directory: &Path) -> Result<Listing> {
    let unreadable = |source| Error::File { action: "read", path: directory.to_owned(), source };
    let mut listing = Listing::default();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
        Err(error) => return Err(unreadable(error)),
    };
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { continue };
        if name.starts_with(files::PARTIAL) {
            listing.partial.push(path);
        } else if let Some(round) = round_of(name) {
            listing.files.push((round, path));
        }
    }
    listing.files.sort_unstable();
    Ok(listing)
}

fn round_of(name: &str) -> Option<u32> {
    name.strip_prefix("round-")?.strip_suffix(".safetensors")?.parse().ok()
}
