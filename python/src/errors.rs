//! The engine's errors as Python's exceptions: which class for which error, and what an exception is told.
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use quiltwork::{Error, ErrorKind, FailedTask, FailureKind, TaskId, train};

/// The exception for an error, made by the package: its users meet these classes.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let exception = match error {
        Error::Task(task) => from_task(py, error, task),
        _ => from_engine(py, error),
    };
    exception.map_or_else(|failed| failed, PyErr::from_value)
}

/// The exception for what a training ended with.
pub(crate) fn from_training(py: Python<'_>, error: &train::Error) -> PyErr {
    let class = match error {
        train::Error::Setup(_) | train::Error::OtherRun { .. } => "UsageError",
        _ => "TrainingError",
    };
    let text = error.to_string();
    let hint = text.split_once("hint: ").map(|(_, hint)| hint);
    engine_exception(py, class, &text, hint, error.is_retryable()).map_or_else(|failed| failed, PyErr::from_value)
}

fn from_engine<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    engine_exception(py, class_of(error.kind()), &error.to_string(), error.hint(), error.is_retryable())
}

fn engine_exception<'py>(
    py: Python<'py>,
    class: &str,
    text: &str,
    hint: Option<&str>,
    retryable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    static FROM_ENGINE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FROM_ENGINE.import(py, "quiltwork._raised", "from_engine")?.call1((class, text, hint, retryable))
}

fn from_task<'py>(py: Python<'py>, error: &Error, task: &FailedTask) -> PyResult<Bound<'py, PyAny>> {
    static FROM_TASK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let failure = &task.failure;
    let original = failure.original.as_deref().map(|original| PyBytes::new(py, original));
    let origin = (failure.origin != task.task).then(|| (failure.name.as_str(), id_of(failure.origin)));
    FROM_TASK.import(py, "quiltwork._raised", "from_task")?.call1((
        class_of(error.kind()),
        error.to_string(),
        &*task.name,
        id_of(task.task),
        origin,
        error.hint(),
        error.is_retryable(),
        original,
    ))
}

/// A task's number as Python's users see it.
pub(crate) fn id_of(task: TaskId) -> String {
    format!("{}.{}", task.job.0, task.index)
}

fn class_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Task(FailureKind::Cancelled) => "TaskCancelled",
        ErrorKind::Task(FailureKind::Poisoned) => "Poisoned",
        ErrorKind::Task(FailureKind::ValueLost) => "ValueLost",
        ErrorKind::Task(FailureKind::StoreFull) => "StoreFull",
        ErrorKind::Task(FailureKind::NoSuchResources) => "NoSuchResources",
        ErrorKind::Task(FailureKind::TimedOut) => "TimedOut",
        ErrorKind::Task(FailureKind::OutOfMemory) => "OutOfMemory",
        ErrorKind::Task(FailureKind::ActorLost) => "ActorLostError",
        ErrorKind::Task(FailureKind::ActorDied) => "ActorDiedError",
        ErrorKind::Task(FailureKind::ActorFull) => "ActorFullError",
        ErrorKind::Task(_) => "TaskError",
        ErrorKind::ConnectionLost | ErrorKind::Connect | ErrorKind::Refused => "ConnectionLost",
        ErrorKind::Encode | ErrorKind::Decode | ErrorKind::Graph | ErrorKind::Invalid => "UsageError",
        _ => "ClusterError",
    }
}
