//! Why an attempt did not make a value, inside the worker, and how that becomes the failure that travels.
use quiltwork_types::{AttemptId, FailureKind, TaskFailure, ValueId, did_you_mean};
use std::error::Error;
use std::fmt::{Display, Formatter, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The longest text of a failure that travels, in bytes: more is cut, for a user's error may print a data set.
const TEXT_LIMIT: usize = 8 * 1024;
/// The most causes of an error that travel.
const CAUSES_LIMIT: usize = 16;
/// The longest line of details that travels, in bytes.
const DETAIL_LIMIT: usize = 1024;

/// Why a task's function did not make a value.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The function returned an `Err`.
    #[error("{message}")]
    User {
        /// What the error displays.
        message: String,
        /// What its sources display, the nearest first.
        chain: Vec<String>,
        /// The type of the error.
        type_name: &'static str,
    },
    /// A function of another language raised an error.
    #[error("{message}")]
    Raised {
        /// What the error says.
        message: String,
        /// The name of its type in that language.
        type_name: String,
        /// Where it was raised, if that is known.
        location: Option<String>,
        /// The error as that language encodes it; left out if it is over [`TaskFailure::ORIGINAL_LIMIT`].
        original: Vec<u8>,
    },
    /// The function panicked.
    #[error("{message}")]
    Panicked {
        /// What was said to `panic!`.
        message: String,
        /// Where (`file:line:column`), if it is known.
        location: Option<String>,
    },
    /// No function of that name is registered in this program.
    #[error("this worker knows no task `{name}`")]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// Registered names that look like it.
        similar: Vec<&'static str>,
    },
    /// What was asked for as a task is the constructor of an actor.
    #[error("`{name}` makes an actor, and is no task")]
    MakesActor {
        /// The name asked for.
        name: String,
    },
    /// The actor has no method of that name.
    #[error("a `{actor}` has no method `{method}`")]
    NoSuchMethod {
        /// The type of the actor.
        actor: &'static str,
        /// What was called.
        method: String,
    },
    /// An argument could not be read as what the parameter expects.
    #[error("parameter `{parameter}` (number {number}) expects a {expected}: {reason}")]
    Argument {
        /// The parameter's name.
        parameter: &'static str,
        /// Its number, from 1.
        number: usize,
        /// The type it expects.
        expected: &'static str,
        /// What was wrong.
        reason: String,
    },
    /// More arguments were given than the function has parameters.
    #[error("{given} arguments were given, but it takes {taken}")]
    Surplus {
        /// How many it takes.
        taken: usize,
        /// How many there were.
        given: usize,
    },
    /// The function's result could not be encoded.
    #[error("its result cannot travel: {0}")]
    Unencodable(String),
    /// The result is larger than the cluster accepts.
    #[error("its result has {size} bytes, more than the limit of {limit}")]
    ResultTooLarge {
        /// The result's size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// No place the worker keeps values in has room for the result.
    #[error("its result has {size} bytes, and there is no room for it: {}", listed(.places))]
    StoreFull {
        /// The result's size in bytes.
        size: u64,
        /// Where there is none.
        places: Vec<FullPlace>,
    },
    /// The node's area cannot be written, for another reason than room.
    #[error("its result cannot be kept: {0}")]
    StoreBroken(std::io::Error),
    /// What was to be adopted is not in the node's area.
    #[error("its bytes are not in the area of its node")]
    NotWritten,
    /// It ran longer than it may.
    #[error("its time limit is {limit:?}")]
    TimedOut {
        /// How long it may run.
        limit: Duration,
        /// Where it was when it was interrupted, if that is known.
        location: Option<String>,
    },
    /// It was cancelled before it was started, or gave up because it was cancelled.
    #[error("")]
    Cancelled,
    /// A call of an actor was let go of without an answer.
    #[error("its actor has let go of it without an answer")]
    Unanswered,
    /// What a call of an actor was reading is gone, and the call cannot be run again.
    #[error("{0}, which it was reading, is gone from where it was")]
    InputGone(ValueId),
    /// The worker could not start a thread for it.
    #[error("the worker could not start a thread for it: {0}")]
    NoThread(std::io::Error),
}

/// Memory or disk that has no room for a result.
#[derive(Debug)]
pub struct FullPlace {
    /// Where it is; none for the worker's own memory.
    pub folder: Option<PathBuf>,
    /// Bytes of values the worker holds there.
    pub held: u64,
    /// Bytes of values it may hold there.
    pub limit: u64,
    /// Whether there is nothing left, whatever the limit says.
    pub is_used_up: bool,
}

impl Display for FullPlace {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let Self { folder, held, limit, is_used_up } = self;
        write!(f, "the worker holds {held} of at most {limit} bytes in ")?;
        match folder {
            Some(folder) => write!(f, "`{}`", folder.display())?,
            None => f.write_str("its own memory")?,
        }
        if *is_used_up { f.write_str(", where nothing is left for anybody") } else { Ok(()) }
    }
}

fn listed(places: &[FullPlace]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl TaskError {
    /// The function returned this error.
    pub fn user<E: Error + ?Sized>(error: &E) -> Self {
        let mut chain = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source.filter(|_| chain.len() < CAUSES_LIMIT) {
            chain.push(text_of(cause, DETAIL_LIMIT));
            source = cause.source();
        }
        Self::User { message: text_of(error, TEXT_LIMIT), chain, type_name: std::any::type_name::<E>() }
    }

    /// The function returned an `Err` of a type that is no [`Error`] but can be displayed.
    pub fn displayed<E: Display + ?Sized>(error: &E) -> Self {
        let type_name = std::any::type_name::<E>();
        Self::User { message: text_of(error, TEXT_LIMIT), chain: Vec::new(), type_name }
    }

    /// The failure of `attempt`, whose task people call `name`.
    pub(crate) fn into_failure(self, attempt: AttemptId, name: &str) -> TaskFailure {
        let mut failure = TaskFailure::new(self.kind(), attempt.task, text_of(&self, TEXT_LIMIT));
        failure.name = text_of(name, DETAIL_LIMIT);
        failure.hint = self.hint();
        failure.details = match self {
            Self::User { chain, type_name, .. } => {
                let causes = chain.iter().map(|cause| format!("caused by: {cause}"));
                // `anyhow::Error` and boxes know only that they hold some error.
                let known = (!type_name.starts_with("dyn ")).then(|| format!("error type: {type_name}"));
                causes.chain(known).collect()
            }
            Self::Raised { type_name, location, original, .. } => {
                failure.original = (original.len() <= TaskFailure::ORIGINAL_LIMIT).then(|| original.into());
                let place = location.map(|location| format!("at {location}"));
                place.into_iter().chain([format!("error type: {type_name}")]).collect()
            }
            Self::Panicked { location: Some(location), .. } | Self::TimedOut { location: Some(location), .. } => {
                vec![format!("at {location}")]
            }
            _ => Vec::new(),
        };
        failure
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::User { .. }
            | Self::Raised { .. }
            | Self::Unencodable(_)
            | Self::StoreBroken(_)
            | Self::Unanswered
            | Self::NoThread(_) => FailureKind::Error,
            Self::Panicked { .. } => FailureKind::Panicked,
            Self::UnknownTask { .. } | Self::MakesActor { .. } | Self::NoSuchMethod { .. } => FailureKind::UnknownTask,
            Self::Argument { .. } | Self::Surplus { .. } => FailureKind::BadArgument,
            Self::ResultTooLarge { .. } => FailureKind::ResultTooLarge,
            Self::StoreFull { .. } => FailureKind::StoreFull,
            Self::NotWritten | Self::InputGone(_) => FailureKind::ValueLost,
            Self::TimedOut { .. } => FailureKind::TimedOut,
            Self::Cancelled => FailureKind::Cancelled,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::User { .. } | Self::Raised { .. } | Self::Panicked { .. } | Self::Cancelled => return None,
            Self::UnknownTask { similar, .. } => return Some(unknown_task_hint(similar)),
            Self::MakesActor { .. } => {
                "actors are made by `Client::actor`, in a program that knows their type; \
                 for others let a task take the actor, or find it by its name, and call it"
            }
            Self::NoSuchMethod { .. } => "the actor that was found by its name may be of another type",
            Self::Argument { .. } => {
                "its type must read back what it writes (serde's `skip_…`, `flatten`, `tag` and `untagged` break that); \
                 if the worker runs another build of the program, rebuild and restart both"
            }
            Self::Surplus { .. } => "leave out those that are too many; a list is one argument",
            Self::Unencodable(_) => {
                "return a type whose `Serialize` cannot fail and knows its length (serde's `flatten` does not)"
            }
            Self::ResultTooLarge { .. } => "split the task into smaller ones, or raise the cluster's value limit",
            Self::StoreFull { places, .. } if places.iter().any(|place| place.is_used_up) => {
                "free some of it: others use it too; or drop handles that are not needed any more"
            }
            Self::StoreFull { .. } => {
                "drop handles that are not needed any more, raise the cluster's store or spill limit, or make smaller parts"
            }
            Self::StoreBroken(_) => {
                "look at the folders for values: are they mounted, and may this user write to them?"
            }
            Self::TimedOut { .. } => "give it more time, or less to do",
            Self::NotWritten => "upload the value once more",
            Self::Unanswered => "look at the actor's log: it may have ended while the call ran",
            Self::InputGone(_) => {
                "call once more; a value that is taken whole instead of by a reader is there when the call runs"
            }
            Self::NoThread(_) => "let fewer tasks wait for other tasks at the same time",
        };
        Some(hint.to_owned())
    }
}

fn unknown_task_hint(similar: &[&'static str]) -> String {
    did_you_mean(similar)
        + "the worker was built from another program or an older build: rebuild and restart it, or give the cluster workers \
           of that program (`workers_of` in Rust, `programs=` in Python)"
}

/// What `shown` displays, cut after `limit` bytes. A `Display` that fails says what it said before it failed.
fn text_of(shown: &(impl Display + ?Sized), limit: usize) -> String {
    let mut text = Cut { text: String::new(), limit };
    if write!(text, "{shown}").is_err() && text.text.len() >= limit {
        text.text.push('…');
    }
    text.text
}

/// Takes text until there is enough of it.
struct Cut {
    text: String,
    limit: usize,
}

impl Write for Cut {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let room = self.limit - self.text.len();
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        self.text.push_str(&more[..more.floor_char_boundary(room)]);
        self.limit = self.text.len();
        Err(std::fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::{JobId, TaskId};

    const ATTEMPT: AttemptId = AttemptId { task: TaskId { job: JobId(1), index: 2 }, number: 3 };

    #[derive(Debug, thiserror::Error)]
    #[error("cannot load {0}")]
    struct Loading(&'static str, #[source] std::num::ParseIntError);

    #[test]
    fn an_error_travels_with_its_causes_and_type() {
        let error = Loading("part 7", "x".parse::<u32>().unwrap_err());
        let failure = TaskError::user(&error).into_failure(ATTEMPT, "load");
        assert_eq!(failure.kind, FailureKind::Error);
        assert_eq!((failure.name.as_str(), failure.message.as_str()), ("load", "cannot load part 7"));
        assert_eq!(failure.details[0], "caused by: invalid digit found in string");
        assert!(failure.details[1].starts_with("error type: ") && failure.details[1].ends_with("::Loading"));
    }

    #[test]
    fn a_boxed_error_hides_its_type() {
        let error: Box<dyn Error> = "no".into();
        assert_eq!(TaskError::user(&*error).into_failure(ATTEMPT, "load").details, [""; 0]);
    }

    #[test]
    fn an_error_of_another_language_travels_whole_or_by_its_texts() {
        let raised = |bytes| TaskError::Raised {
            message: "no such file".into(),
            type_name: "FileNotFoundError".into(),
            location: Some("load.py:7 in load".into()),
            original: vec![7; bytes],
        };
        let failure = raised(3).into_failure(ATTEMPT, "load");
        assert_eq!(failure.details, ["at load.py:7 in load", "error type: FileNotFoundError"]);
        assert_eq!(failure.original.as_deref(), Some(&[7; 3][..]));
        let failure = raised(TaskFailure::ORIGINAL_LIMIT + 1).into_failure(ATTEMPT, "load");
        assert_eq!((failure.message.as_str(), failure.original), ("no such file", None));
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let failure = TaskError::displayed(&"ü".repeat(TEXT_LIMIT)).into_failure(ATTEMPT, "x");
        assert!(failure.message.len() <= TEXT_LIMIT + '…'.len_utf8());
        assert!(failure.message.ends_with("ü…"), "{}", &failure.message[failure.message.len() - 8..]);
    }

    #[test]
    fn an_unknown_task_names_similar_ones_and_what_to_do() {
        let error = TaskError::UnknownTask { name: "a::sun".into(), similar: vec!["a::sum", "b::sum"] };
        let failure = error.into_failure(ATTEMPT, "a::sun");
        assert_eq!(failure.kind, FailureKind::UnknownTask);
        let hint = failure.hint.expect("says what to do");
        assert!(hint.starts_with("did you mean `a::sum` or `b::sum`? ") && hint.contains("rebuild"), "{hint}");
    }
}
