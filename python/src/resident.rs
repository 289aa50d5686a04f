//! Things that belong to the process that made them: a copy of them that a fork left behind is never touched.
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Something whose threads and locks are only whole in one process.
pub(crate) struct Resident<T> {
    process: u32,
    /// Taken when it is dropped.
    thing: Option<T>,
}

impl<T> Resident<T> {
    pub(crate) fn new(thing: T) -> Self {
        Self { process: std::process::id(), thing: Some(thing) }
    }

    /// The thing itself.
    ///
    /// # Errors
    /// In any other process than the one that made it.
    pub(crate) fn get(&self) -> PyResult<&T> {
        if self.is_forked() {
            return Err(PyRuntimeError::new_err(
                "this client was made before the process was forked, and belongs to the parent\n  \
                 hint: make a `quiltwork.Client` in each process, after the fork",
            ));
        }
        Ok(self.thing.as_ref().expect("it is taken only when it is dropped"))
    }

    fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }
}

impl<T> Drop for Resident<T> {
    /// The threads that hold the thing's locks do not exist after a fork: what it owns is left to the end of the process.
    fn drop(&mut self) {
        if self.is_forked() {
            std::mem::forget(self.thing.take());
        }
    }
}
