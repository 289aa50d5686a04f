//! What a running task can learn about itself and tell, for Python, and how it waits in an event loop.
use crate::errors::id_of;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::sync::{Mutex, PoisonError};

/// The attempt of a task that runs on this thread.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct TaskContext(pub(crate) quiltwork::TaskContext);

#[pymethods]
impl TaskContext {
    /// The task's number in the cluster.
    #[getter]
    fn id(&self) -> String {
        id_of(self.0.attempt().task)
    }

    /// What people call the task: its function's `module:qualname`, unless it was given another name.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Which try this is, from 1; it also grows when a worker was lost.
    #[getter]
    fn attempt(&self) -> u32 {
        self.0.attempt_number()
    }

    /// Whether nobody wants the result any more.
    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Tells whoever waits how far the task is, in a unit of its own.
    fn progress(&self, done: u64, total: u64) {
        self.0.progress(done, total);
    }
}

/// The context of the task that runs on this thread; none elsewhere.
#[pyfunction]
pub(crate) fn current_task() -> Option<TaskContext> {
    quiltwork::TaskContext::current().map(TaskContext)
}

/// The slots of a task whose thread waits in an event loop, and not in the engine, which would lend them by itself.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Lent(Mutex<Option<quiltwork::bindings::Lent>>);

#[pymethods]
impl Lent {
    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Takes the slots back; waits for them if others have them.
    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyTuple>) {
        let lent = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Whoever has them may need the interpreter to come to its end.
        py.detach(|| drop(lent));
    }
}

/// Lends the slots of the task that runs on this thread until the end of a `with` block; nothing if none does.
#[pyfunction]
pub(crate) fn lend() -> Lent {
    Lent(Mutex::new(quiltwork::bindings::lend()))
}
