//! How the package answers a call of an actor that lives in an event loop, and hears that it is cancelled.
use crate::context::TaskContext;
use crate::interpreter::Returned;
use crate::interrupts::Interrupts;
use pyo3::prelude::*;
use quiltwork::bindings::{self, AttemptId};
use std::sync::{Arc, Mutex, PoisonError};

/// The way back of a call's result.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Reply {
    task: quiltwork::TaskContext,
    interrupts: Arc<Interrupts>,
    /// Until it is sent.
    way: Mutex<Option<bindings::Reply>>,
}

impl Reply {
    pub(crate) fn new(way: bindings::Reply, interrupts: Arc<Interrupts>) -> Self {
        Self { task: way.context(), interrupts, way: Mutex::new(Some(way)) }
    }

    fn take(&self) -> Option<bindings::Reply> {
        self.interrupts.forget(self.attempt());
        self.way.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn attempt(&self) -> AttemptId {
        self.task.attempt()
    }
}

#[pymethods]
impl Reply {
    /// The call as a task.
    #[getter]
    fn task(&self) -> TaskContext {
        TaskContext(self.task.clone())
    }

    /// Has `cancel()` called, on any thread, when the call is cancelled before it is answered.
    fn on_cancel(&self, py: Python<'_>, cancel: Py<PyAny>) -> PyResult<()> {
        self.interrupts.tell(self.attempt(), cancel);
        // It may have been cancelled before anybody could be told.
        if self.task.is_cancelled() { self.interrupts.interrupt(py, self.attempt()) } else { Ok(()) }
    }

    /// Answers the call with its pickled result and the buffers of that, or with how it failed. Only the first answer counts.
    fn send(&self, py: Python<'_>, returned: Returned<'_>) {
        let made = returned.into_product();
        if let Some(way) = self.take() {
            // Who holds the engine's locks may wait for the interpreter's, to let go of something of Python's.
            py.detach(|| way.send(made));
        }
    }
}

impl Drop for Reply {
    /// The engine fails a call that nobody answers.
    fn drop(&mut self) {
        if let Some(way) = self.take() {
            Python::attach(|py| py.detach(|| drop(way)));
        }
    }
}
