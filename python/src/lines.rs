//! What workers print, on its way to a thread of Python's: the engine leaves lines in a list and never waits.
use crate::resident::Resident;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use quiltwork::LineSink;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The most lines that wait for Python; what comes on top is dropped.
const MOST: usize = 10_000;

/// Lines that workers have printed.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Lines(Resident<Arc<Waiting>>);

/// A line, after the process id of its worker.
type Printed<'py> = (u32, Bound<'py, PyBytes>);

#[derive(Default)]
struct Waiting {
    lines: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Each with the process id of its worker.
    lines: VecDeque<(u32, Vec<u8>)>,
    closed: bool,
}

#[pymethods]
impl Lines {
    #[new]
    fn new() -> Self {
        Self(Resident::new(Arc::default()))
    }

    /// Waits until there are lines, and takes all of them; none when this was closed and nothing is left.
    fn next<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Printed<'py>>>> {
        let waiting = self.0.get()?;
        let lines = py.detach(|| waiting.take());
        Ok(lines.map(|lines| lines.into_iter().map(|(pid, line)| (pid, PyBytes::new(py, &line))).collect()))
    }

    /// Lets `next` end when nothing is left to be told.
    fn close(&self) -> PyResult<()> {
        let waiting = self.0.get()?;
        waiting.queue().closed = true;
        waiting.arrived.notify_all();
        Ok(())
    }
}

impl Lines {
    /// Where the engine brings lines.
    pub(crate) fn sink(&self) -> PyResult<LineSink> {
        let waiting = Arc::clone(self.0.get()?);
        Ok(LineSink::new(move |pid, line| waiting.put(pid, line)))
    }
}

impl Waiting {
    fn put(&self, pid: u32, line: &[u8]) -> bool {
        let mut queue = self.queue();
        if queue.lines.len() >= MOST {
            return false;
        }
        queue.lines.push_back((pid, line.to_vec()));
        self.arrived.notify_one();
        true
    }

    fn take(&self) -> Option<VecDeque<(u32, Vec<u8>)>> {
        let is_idle = |queue: &mut Queue| queue.lines.is_empty() && !queue.closed;
        let mut queue = self.arrived.wait_while(self.queue(), is_idle).unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut queue.lines)).filter(|lines| !lines.is_empty())
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
