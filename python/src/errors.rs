//! The engine's errors as Python's exceptions: which class for which error, and what an exception is told.
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;
use quiltwork::{Error, ErrorKind, FailedTask, FailureKind};

/// The exception for an error, made by the package: its users meet these classes.
pub(crate) fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let exception = match error {
        Error::Task(task) => from_task(py, error, task),
        _ => from_engine(py, error),
    };
    exception.map_or_else(|failed| failed, PyErr::from_value)
}

fn from_engine<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyAny>> {
    static FROM_ENGINE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let arguments = (class_of(error.kind()), error.to_string(), error.hint(), error.is_retryable());
    FROM_ENGINE.import(py, "quiltwork._raised", "from_engine")?.call1(arguments)
}

fn from_task<'py>(py: Python<'py>, error: &Error, task: &FailedTask) -> PyResult<Bound<'py, PyAny>> {
    static FROM_TASK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let failure = &task.failure;
    let original = failure.original.as_deref().map(|original| PyBytes::new(py, original));
    let origin = (failure.origin != task.task).then_some(failure.name.as_str());
    FROM_TASK.import(py, "quiltwork._raised", "from_task")?.call1((
        class_of(error.kind()),
        error.to_string(),
        &*task.name,
        origin,
        error.hint(),
        error.is_retryable(),
        original,
    ))
}

fn class_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Task(FailureKind::Cancelled) => "TaskCancelled",
        ErrorKind::Task(FailureKind::Poisoned) => "Poisoned",
        ErrorKind::Task(FailureKind::ValueLost) => "ValueLost",
        ErrorKind::Task(FailureKind::StoreFull) => "StoreFull",
        ErrorKind::Task(FailureKind::NoSuchResources) => "NoSuchResources",
        ErrorKind::Task(FailureKind::ActorLost) => "ActorLostError",
        ErrorKind::Task(FailureKind::ActorDied) => "ActorDiedError",
        ErrorKind::Task(FailureKind::ActorFull) => "ActorFullError",
        ErrorKind::Task(_) => "TaskError",
        ErrorKind::ConnectionLost | ErrorKind::Connect | ErrorKind::Refused => "ConnectionLost",
        ErrorKind::Encode | ErrorKind::Decode | ErrorKind::Graph | ErrorKind::Invalid => "UsageError",
        _ => "ClusterError",
    }
}
