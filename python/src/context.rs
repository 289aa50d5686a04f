//! What a running task can learn about itself and tell, for Python.
use crate::errors::id_of;
use pyo3::prelude::*;

/// The attempt of a task that runs on this thread.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct TaskContext(quiltwork::TaskContext);

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
