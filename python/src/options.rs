//! The options of a task, and of an actor, as Python gives them.
use crate::errors::raised;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use quiltwork::bindings::{self, ByteSize, Opaque, without_slot};
use quiltwork::{TaskCall, WorkerId};
use std::time::Duration;

/// What a task is submitted with; made once for many tasks.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Options {
    retries: u32,
    priority: i32,
    slots: u32,
    memory: Option<u64>,
    resources: Vec<(String, u64)>,
    plain: bool,
    /// One of them is to run it; none for any.
    workers: Vec<WorkerId>,
    time_limit: Option<Duration>,
}

/// A number of bytes, or a text such as `2GiB`.
#[derive(FromPyObject)]
pub(crate) enum Amount {
    Bytes(u64),
    Text(String),
}

impl Amount {
    /// The number of bytes.
    ///
    /// # Errors
    /// If the text cannot be understood.
    pub(crate) fn in_bytes(self, py: Python<'_>) -> PyResult<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Text(text) => text.in_bytes().map_err(|error| raised(py, &error)),
        }
    }
}

#[pymethods]
impl Options {
    #[new]
    #[pyo3(signature = (
        *, retries=0, priority=0, slots=1, memory=None, resources=Vec::new(), plain=false, workers=Vec::new(), timeout=None
    ))]
    #[expect(clippy::too_many_arguments, reason = "each is an option by name")]
    fn new(
        py: Python<'_>,
        retries: u32,
        priority: i32,
        slots: u32,
        memory: Option<Amount>,
        resources: Vec<(String, u64)>,
        plain: bool,
        workers: Vec<u32>,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        let memory = memory.map(|memory| memory.in_bytes(py)).transpose()?;
        let workers = workers.into_iter().map(WorkerId).collect();
        let time_limit = timeout.map(time_limit).transpose()?;
        Ok(Self { retries, priority, slots, memory, resources, plain, workers, time_limit })
    }
}

impl Options {
    /// The call with these options.
    pub(crate) fn of(&self, call: TaskCall<Opaque>) -> TaskCall<Opaque> {
        let mut call = call.retries(self.retries).priority(self.priority);
        // One slot is what a call has anyway; the setter refuses none.
        call = match self.slots {
            0 => without_slot(call),
            1 => call,
            slots => call.slots(slots),
        };
        if self.plain {
            call = call.plain();
        }
        if let Some(memory) = self.memory {
            call = call.memory(memory);
        }
        if !self.workers.is_empty() {
            call = call.on_workers(self.workers.iter().copied());
        }
        if let Some(limit) = self.time_limit {
            call = call.time_limit(limit);
        }
        self.resources.iter().fold(call, |call, (name, amount)| call.resource(name, *amount))
    }
}

fn time_limit(seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(PyValueError::new_err("the timeout of a task is a number of seconds above 0, or None"));
    }
    // What is too long to be a duration never ends.
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// What an actor has beside what every task has.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct ActorOptions(bindings::ActorOptions);

#[pymethods]
impl ActorOptions {
    /// No number of restarts or of pending calls means: without a limit.
    #[new]
    #[pyo3(signature = (*, name, get_if_exists, max_restarts, max_pending, max_concurrency))]
    fn new(
        name: Option<String>,
        get_if_exists: bool,
        max_restarts: Option<u32>,
        max_pending: Option<u32>,
        max_concurrency: u32,
    ) -> Self {
        let name = name.map(String::into_boxed_str);
        Self(bindings::ActorOptions { name, or_existing: get_if_exists, max_restarts, max_pending, max_concurrency })
    }
}

impl ActorOptions {
    pub(crate) fn get(&self) -> bindings::ActorOptions {
        self.0.clone()
    }
}
