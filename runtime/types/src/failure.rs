//! Why a task did not end well, as data that travels and can be shown to a person.
use crate::ids::TaskId;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What sort of failure it was; decides whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureKind {
    /// The task's function returned an `Err`.
    Error,
    /// The task's function panicked.
    Panicked,
    /// No function of that name is registered where the task was to run.
    UnknownTask,
    /// An argument could not be decoded into the type the function expects.
    BadArgument,
    /// The result was larger than the configured limit.
    ResultTooLarge,
    /// The worker could not keep the result: its store is full.
    StoreFull,
    /// The task was cancelled, or nobody wanted its result any more.
    Cancelled,
    /// Its attempts kept killing workers.
    Poisoned,
    /// A value it needed is gone and cannot be recomputed.
    ValueLost,
    /// No worker has the resources it asks for.
    NoSuchResources,
    /// It was submitted in a way that cannot be carried out (unknown input, number used twice, over a limit).
    Refused,
    /// Its attempts kept using more memory than their workers have.
    OutOfMemory,
    /// It was a call an actor had been given when its worker was lost: it may or may not have run.
    ActorLost,
    /// It was an actor, or called one, that has ended for good.
    ActorDied,
    /// The actor it called has as many calls waiting as it may have.
    ActorFull,
}

impl FailureKind {
    /// Whether submitting the same task again may succeed without changing it.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Error
                | Self::Panicked
                | Self::StoreFull
                | Self::ValueLost
                | Self::NoSuchResources
                | Self::ActorLost
                | Self::ActorFull
        )
    }

    /// The word for it in messages, metrics and stories.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "returned an error",
            Self::Panicked => "panicked",
            Self::UnknownTask => "is not registered on the worker",
            Self::BadArgument => "could not read an argument",
            Self::ResultTooLarge => "made a result over the limit",
            Self::StoreFull => "made a result the worker has no room for",
            Self::Cancelled => "was cancelled",
            Self::Poisoned => "was stopped because its attempts kept killing workers",
            Self::ValueLost => "needs a value that is lost",
            Self::NoSuchResources => "asks for resources no worker has",
            Self::Refused => "was refused",
            Self::OutOfMemory => "ran out of memory",
            Self::ActorLost => "was with an actor that was lost",
            Self::ActorDied => "does not live (any more)",
            Self::ActorFull => "was refused by an actor that is full",
        }
    }
}

/// Why a task failed. A task whose *input* failed carries its input's failure: `origin` then names another task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// What sort of failure it was.
    pub kind: FailureKind,
    /// The task in which it happened.
    pub origin: TaskId,
    /// The name people know that task by.
    pub name: String,
    /// What happened, in lower case and without a final period; empty if the kind says it all.
    pub message: String,
    /// Lines worth reading under the message: location of a panic, history of deaths, last lines of a worker's log.
    pub details: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The error itself as the task's own language encodes it, for clients that speak it; others have the texts. At
    /// most [`ORIGINAL_LIMIT`](Self::ORIGINAL_LIMIT) bytes.
    pub original: Option<Box<[u8]>>,
}

impl TaskFailure {
    /// Bytes of the largest [`original`](Self::original) that travels: it is kept for every task that needs the failed one.
    pub const ORIGINAL_LIMIT: usize = 16 * 1024;

    /// A failure of `origin` with a message and nothing else yet; the name is filled in by whoever knows it.
    #[must_use]
    pub fn new(kind: FailureKind, origin: TaskId, message: impl Into<String>) -> Self {
        Self {
            kind,
            origin,
            name: String::new(),
            message: message.into(),
            details: Vec::new(),
            hint: None,
            original: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether submitting the same task again may succeed without changing it.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(f, "{} {}", self.origin, self.kind.word())?;
        } else {
            write!(f, "task `{}` ({}) {}", self.name, self.origin, self.kind.word())?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for TaskFailure {}
