//! What can go wrong, said so that a program can decide (`kind`, `is_retryable`) and a person knows what to do (`hint`).
use quiltwork_types::{FailureKind, TaskFailure, TaskId};
use std::borrow::Cow;
use std::fmt;

/// A result whose error is a Quiltwork [`enum@Error`] unless told otherwise.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work.
///
/// Its text ends with a line `hint: …` where something can be done about it. It is cheap to clone, for every clone of
/// a [`Handle`](crate::Handle) may hand it out.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A task, or one of its inputs, failed in the cluster.
    #[error("{0}")]
    Task(Box<FailedTask>),
    /// The link to the master broke; what was not yet fetched is gone.
    #[error("{0}")]
    ConnectionLost(Problem),
    /// The master could not be reached, or has no room just now.
    #[error("{0}")]
    Connect(Problem),
    /// The master will not let this program in, or the ticket cannot be read.
    #[error("{0}")]
    Refused(Problem),
    /// An argument cannot be encoded, or is over the cluster's limit.
    #[error("{0}")]
    Encode(Problem),
    /// A result cannot be read as the type it is asked for.
    #[error("{0}")]
    Decode(Problem),
    /// A value or handle was used where it does not belong.
    #[error("{0}")]
    Graph(Problem),
    /// An option cannot be understood, or a call makes no sense where it is made.
    #[error("{0}")]
    Invalid(Problem),
    /// The local cluster could not be started or ended.
    #[error("{0}")]
    Local(Problem),
    /// Something took longer than the caller wanted to wait.
    #[error("{0}")]
    Timeout(Problem),
}

/// What sort of [`enum@Error`] it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// [`Error::Task`], with what happened to the task.
    Task(FailureKind),
    /// [`Error::ConnectionLost`].
    ConnectionLost,
    /// [`Error::Connect`].
    Connect,
    /// [`Error::Refused`].
    Refused,
    /// [`Error::Encode`].
    Encode,
    /// [`Error::Decode`].
    Decode,
    /// [`Error::Graph`].
    Graph,
    /// [`Error::Invalid`].
    Invalid,
    /// [`Error::Local`].
    Local,
    /// [`Error::Timeout`].
    Timeout,
}

/// As it is displayed: `unwrap` and a plain `main` show errors this way, and there the hint is needed most.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// What sort of error it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Task(task) => ErrorKind::Task(task.failure.kind),
            Self::ConnectionLost(_) => ErrorKind::ConnectionLost,
            Self::Connect(_) => ErrorKind::Connect,
            Self::Refused(_) => ErrorKind::Refused,
            Self::Encode(_) => ErrorKind::Encode,
            Self::Decode(_) => ErrorKind::Decode,
            Self::Graph(_) => ErrorKind::Graph,
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::Local(_) => ErrorKind::Local,
            Self::Timeout(_) => ErrorKind::Timeout,
        }
    }

    /// Whether doing the same again may succeed without changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Task(task) => task.failure.is_retryable(),
            Self::ConnectionLost(_) | Self::Connect(_) | Self::Timeout(_) => true,
            Self::Refused(_)
            | Self::Encode(_)
            | Self::Decode(_)
            | Self::Graph(_)
            | Self::Invalid(_)
            | Self::Local(_) => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Task(task) => task.failure.hint.as_deref(),
            Self::ConnectionLost(problem)
            | Self::Connect(problem)
            | Self::Refused(problem)
            | Self::Encode(problem)
            | Self::Decode(problem)
            | Self::Graph(problem)
            | Self::Invalid(problem)
            | Self::Local(problem)
            | Self::Timeout(problem) => problem.hint.as_deref(),
        }
    }

    /// The failure of the task it is about, if it is about one.
    #[must_use]
    pub fn failure(&self) -> Option<&TaskFailure> {
        match self {
            Self::Task(task) => Some(&task.failure),
            _ => None,
        }
    }
}

/// What happened and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What happened where, in lower case and without a final period.
    pub message: String,
    /// What to do about it.
    pub hint: Option<Cow<'static, str>>,
}

impl Problem {
    /// Something nobody can do anything about yet.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    pub(crate) fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// A task that did not make its value, seen by whoever asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTask {
    /// The task that was asked for.
    pub task: TaskId,
    /// What people call it.
    pub name: Box<str>,
    /// What happened, perhaps in a task it needed: then `failure.origin` is another one.
    pub failure: TaskFailure,
}

impl FailedTask {
    /// The failure of `task` as the master told it; names are shortened to what the user's source says.
    pub(crate) fn new(task: TaskId, name: &str, mut failure: TaskFailure) -> Self {
        let name: Box<str> = short_name(name).into();
        if failure.name.is_empty() && failure.origin == task {
            failure.name = name.to_string();
        } else {
            failure.name = short_name(&failure.name).to_owned();
        }
        Self { task, name, failure }
    }
}

impl fmt::Display for FailedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.failure.origin == self.task {
            return self.failure.fmt(f);
        }
        let failure = self.failure.to_string();
        let input = failure.strip_prefix("task ").filter(|rest| rest.starts_with('`')).unwrap_or(&failure);
        if self.failure.kind == FailureKind::ActorDied {
            return write!(f, "task `{}` ({}) has no result: its actor {input}", self.name, self.task);
        }
        write!(f, "task `{}` ({}) was not run: its input {input}", self.name, self.task)
    }
}

/// The last part of a function's path; names given by users stay as they are.
fn short_name(name: &str) -> &str {
    let is_path = |name: &str| name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    match name.rsplit_once("::") {
        Some((_, last)) if is_path(name) => last,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::JobId;

    const MERGE: TaskId = TaskId { job: JobId(1), index: 7 };
    const COUNT: TaskId = TaskId { job: JobId(1), index: 3 };

    fn failed(origin: TaskId, name: &str) -> Error {
        let mut failure = TaskFailure::new(FailureKind::Error, origin, "no such file").with_hint("look for it");
        failure.name = name.to_owned();
        Error::Task(Box::new(FailedTask::new(MERGE, "words::merge", failure)))
    }

    #[test]
    fn a_task_that_failed_itself_says_so() {
        let text = failed(MERGE, "words::merge").to_string();
        assert_eq!(text, "task `merge` (task 1.7) returned an error: no such file\n  hint: look for it");
        assert_eq!(failed(MERGE, "").to_string(), text);
    }

    #[test]
    fn a_task_whose_input_failed_names_both() {
        assert_eq!(
            failed(COUNT, "words::count").to_string(),
            "task `merge` (task 1.7) was not run: its input `count` (task 1.3) returned an error: no such file\n  \
             hint: look for it"
        );
        let nameless = failed(COUNT, "").to_string();
        assert!(nameless.contains("its input task 1.3 returned an error"), "{nameless}");
    }

    #[test]
    fn a_call_whose_actor_has_ended_names_both() {
        let mut failure = TaskFailure::new(FailureKind::ActorDied, COUNT, "a client ended it");
        failure.name = "Counter".to_owned();
        assert_eq!(
            FailedTask::new(MERGE, "words::Counter::add", failure).to_string(),
            "task `add` (task 1.7) has no result: its actor `Counter` (task 1.3) does not live (any more): a client ended it"
        );
    }

    #[test]
    fn unwrapping_shows_the_hint_too() {
        let error = failed(MERGE, "words::merge");
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn a_name_given_by_a_user_is_not_shortened() {
        assert_eq!(short_name("part 3 :: left"), "part 3 :: left");
        assert_eq!(short_name("a::b::c"), "c");
    }

    #[test]
    fn what_can_be_tried_again_is_told_from_what_cannot() {
        assert!(failed(MERGE, "").is_retryable());
        assert!(Error::ConnectionLost(Problem::new("gone")).is_retryable());
        assert!(!Error::Graph(Problem::new("foreign")).is_retryable());
        assert_eq!(failed(MERGE, "").kind(), ErrorKind::Task(FailureKind::Error));
        assert_eq!(failed(MERGE, "").hint(), Some("look for it"));
    }
}
