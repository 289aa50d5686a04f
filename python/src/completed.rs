//! Handles in the order in which their tasks end.
use crate::handle::Handle;
use crate::resident::Resident;
use crate::waiting::{deadline, wait};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use quiltwork::bindings::Opaque;
use quiltwork::{AsCompleted, as_completed};
use std::sync::{Mutex, TryLockError};

/// Says which of many tasks ends next.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Completed(Resident<Mutex<AsCompleted<Opaque>>>);

#[pymethods]
impl Completed {
    #[new]
    fn new(handles: Vec<PyRef<'_, Handle>>) -> PyResult<Self> {
        let handles = handles.iter().map(|handle| handle.inner().cloned()).collect::<PyResult<Vec<_>>>()?;
        Ok(Self(Resident::new(Mutex::new(as_completed(handles)))))
    }

    /// The place in the list of the next task that has ended, well or not; none when the time is over, or all have been
    /// told.
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<usize>> {
        let (completed, deadline) = (self.0.get()?, deadline(timeout)?);
        let mut completed = match completed.try_lock() {
            Ok(completed) => completed,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(PyRuntimeError::new_err("another thread waits for these futures already"));
            }
        };
        let next = wait(py, completed.next(), deadline)?.flatten();
        Ok(next.map(|(place, _)| place))
    }
}
