//! Ends functions whose tasks were cancelled while they run: an exception is raised in the midst of them, or, if they run in an
//! event loop, the loop is told. Everything here happens with the interpreter's lock held, so a function cannot end
//! between being found and being interrupted.
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use quiltwork::TaskContext;
use quiltwork::bindings::AttemptId;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::c_long;
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

thread_local! {
    static THREAD: OnceCell<c_long> = const { OnceCell::new() };
}

/// The attempts that run Python functions, and how each is interrupted.
#[derive(Default)]
pub(crate) struct Interrupts {
    running: Mutex<HashMap<AttemptId, Running>>,
}

enum Running {
    /// Alone on a thread of this number of the interpreter's.
    Thread { thread: c_long, interrupted: bool },
    /// Beside others in an event loop: this is to be called.
    Told(Py<PyAny>),
}

impl Interrupts {
    /// Calls `function`, which from here to its end can be interrupted.
    pub(crate) fn during<R>(
        &self,
        py: Python<'_>,
        task: &TaskContext,
        function: impl FnOnce() -> PyResult<R>,
    ) -> PyResult<R> {
        let (thread, attempt) = (this_thread(py)?, task.attempt());
        self.running().insert(attempt, Running::Thread { thread, interrupted: false });
        // It may have been cancelled before it could be interrupted.
        let returned = if task.is_cancelled() { Err(PyErr::from_value(interrupted(py)?.call0()?)) } else { function() };
        if let Some(Running::Thread { interrupted: true, .. }) = self.running().remove(&attempt) {
            // What has not been raised by now must not be raised in the next task of this thread.
            raise_in(py, thread, null_mut());
        }
        returned
    }

    /// Has `cancel` called when the attempt is interrupted, until it is forgotten.
    pub(crate) fn tell(&self, attempt: AttemptId, cancel: Py<PyAny>) {
        self.running().insert(attempt, Running::Told(cancel));
    }

    /// The attempt has ended.
    pub(crate) fn forget(&self, attempt: AttemptId) {
        let forgotten = self.running().remove(&attempt);
        // Not under the lock: code of the user's may run when it goes.
        drop(forgotten);
    }

    /// Has the function of this attempt end soon, if it runs: when it next runs code of Python's.
    pub(crate) fn interrupt(&self, py: Python<'_>, attempt: AttemptId) -> PyResult<()> {
        let exception = interrupted(py)?.as_ptr();
        let cancel = match self.running().get_mut(&attempt) {
            Some(Running::Thread { thread, interrupted }) => {
                *interrupted = true;
                raise_in(py, *thread, exception);
                return Ok(());
            }
            Some(Running::Told(cancel)) => cancel.clone_ref(py),
            None => return Ok(()),
        };
        cancel.call0(py).map(drop)
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn running(&self) -> MutexGuard<'_, HashMap<AttemptId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the package: calls what may be interrupted, where not all of it may be.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Guard {
    task: TaskContext,
    interrupts: Arc<Interrupts>,
}

impl Guard {
    pub(crate) const fn new(task: TaskContext, interrupts: Arc<Interrupts>) -> Self {
        Self { task, interrupts }
    }
}

#[pymethods]
impl Guard {
    /// Calls `function()` on this thread.
    fn call<'py>(&self, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.interrupts.during(function.py(), &self.task, || function.call0())
    }
}

/// Raises what this thread's function is to be ended with, if it is due and this thread was not in Python to hear of it.
/// The interpreter looks for that when it runs code of Python's: so it is raised once, be it here or there.
pub(crate) fn raise_what_is_due(py: Python<'_>) -> PyResult<()> {
    static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let nothing = NOTHING.get_or_try_init(py, || py.eval(c"lambda: None", None, None).map(Bound::unbind))?;
    nothing.call0(py).map(drop)
}

/// The exception a function is ended with.
pub(crate) fn interrupted(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static INTERRUPTED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    INTERRUPTED.import(py, "quiltwork.errors", "Interrupted")
}

/// The interpreter's number of this thread.
fn this_thread(py: Python<'_>) -> PyResult<c_long> {
    static GET_IDENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if let Some(thread) = THREAD.with(|thread| thread.get().copied()) {
        return Ok(thread);
    }
    let thread: c_long = GET_IDENT.import(py, "threading", "get_ident")?.call0()?.extract()?;
    Ok(THREAD.with(|known| *known.get_or_init(|| thread)))
}

/// Has `exception` raised in a thread, or takes back what has not been raised yet.
#[expect(unsafe_code, reason = "PyO3 has no safe way to it")]
fn raise_in(_py: Python<'_>, thread: c_long, exception: *mut ffi::PyObject) {
    // SAFETY: the interpreter's lock is held. It looks the number up and does nothing if there is no such thread; the
    // exception is a class that lives as long as the interpreter, or null.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread, exception) };
}
