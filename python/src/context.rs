//! What a running task can learn about itself and tell, for Python.
use pyo3::prelude::*;

/// The attempt of a task that runs on this thread.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct TaskContext(pub(crate) quiltwork::TaskContext);

#[pymethods]
impl TaskContext {
    /// The task's number in the cluster.
    #[getter]
    fn id(&self) -> String {
        let task = self.0.attempt().task;
        format!("{}.{}", task.job.0, task.index)
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
