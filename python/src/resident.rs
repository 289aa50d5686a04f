//! Things that belong to the process that made them: a copy of them that a fork left behind is never touched.
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the first one that has loaded this module. To ask the system for the number
/// of the process each time would cost more than most of what is done then.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Has forks counted from here on.
///
/// # Errors
/// If the interpreter has no such thing.
pub(crate) fn count_forks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let hooks = PyDict::new(module.py());
    hooks.set_item("after_in_child", wrap_pyfunction!(on_forked, module)?)?;
    module.py().import("os")?.getattr("register_at_fork")?.call((), Some(&hooks)).map(drop)
}

/// This process has just been forked from another one.
#[pyfunction]
fn on_forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Something whose threads and locks are only whole in one process.
pub(crate) struct Resident<T> {
    /// The number of forks before it was made.
    forks: u32,
    /// Taken when it is dropped.
    thing: Option<T>,
}

impl<T> Resident<T> {
    pub(crate) fn new(thing: T) -> Self {
        Self { forks: FORKS.load(Ordering::Relaxed), thing: Some(thing) }
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
        self.forks != FORKS.load(Ordering::Relaxed)
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
