//! A task as Python refers to it; what its value means is for the package to know.
use crate::buffers::{Handed, Payload};
use crate::errors::{id_of, raised};
use crate::resident::Resident;
use crate::waiting::{answered, deadline, wait};
use pyo3::prelude::*;
use quiltwork::bindings::{Opaque, value_here};

/// A live reference to the result of a task, which the cluster keeps until it is dropped.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Handle(Resident<quiltwork::Handle<Opaque>>);

impl Handle {
    pub(crate) fn new(handle: quiltwork::Handle<Opaque>) -> Self {
        Self(Resident::new(handle))
    }

    /// The engine's own handle.
    ///
    /// # Errors
    /// In a process that was forked from the one that made it.
    pub(crate) fn inner(&self) -> PyResult<&quiltwork::Handle<Opaque>> {
        self.0.get()
    }
}

#[pymethods]
impl Handle {
    /// The task's number in the cluster.
    #[getter]
    fn id(&self) -> PyResult<Option<String>> {
        Ok(self.inner()?.id().map(id_of))
    }

    /// Whether the task has ended, well or not.
    fn done(&self) -> PyResult<bool> {
        Ok(self.inner()?.is_done())
    }

    /// How far the task last said it is.
    fn progress(&self) -> PyResult<Option<(u64, u64)>> {
        Ok(self.inner()?.progress())
    }

    /// Waits for the end of the task; whether it has ended in time.
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let handle = self.inner()?;
        Ok(handle.is_done() || wait(py, handle.ready(), deadline(timeout)?)?.is_some())
    }

    /// Waits for the value and brings it here; none when the time is over.
    fn fetch(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Handed>> {
        let fetched = wait(py, self.inner()?.into_future(), deadline(timeout)?)?;
        fetched.map(|value| value.map(Handed).map_err(|error| raised(py, &error))).transpose()
    }

    /// The value if it is here: one that travelled with the news of the task's end, or was fetched before.
    fn here(&self) -> PyResult<Option<Payload>> {
        Ok(value_here(self.inner()?).map(Payload::new))
    }

    /// Why there will be no value, if that is known: an exception, not raised.
    fn failure(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.inner()?.failure().map(|error| raised(py, &error).into_value(py).into_any()))
    }

    /// Waits for the value and has so many nodes keep it.
    fn replicate(&self, py: Python<'_>, copies: usize) -> PyResult<()> {
        answered(py, self.inner()?.replicate(copies))
    }

    /// Asks the cluster to stop the task; never waits.
    fn cancel(&self) -> PyResult<()> {
        self.inner()?.cancel();
        Ok(())
    }
}
