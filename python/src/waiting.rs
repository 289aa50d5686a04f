//! Waiting for the engine on a thread of Python's: without the interpreter's lock, and with an ear for Ctrl-C.
use crate::errors::raised;
use crate::interrupts::raise_what_is_due;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use quiltwork::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long a signal may wait to be seen. A thread that sleeps is not woken by one.
const SLICE: Duration = Duration::from_millis(50);

/// How long to wait, from seconds as Python gives them.
///
/// # Errors
/// If it is not a number of seconds.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    let Some(seconds) = timeout else { return Ok(None) };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("a timeout is a number of seconds, or None"));
    }
    // What is too long to be a duration never ends.
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).ok().and_then(|wait| Instant::now().checked_add(wait)))
}

/// Waits for the future; `None` when the time is over.
///
/// # Errors
/// If a signal's handler raises, as the one for Ctrl-C does, or this is a task that is cancelled meanwhile.
pub(crate) fn wait<F>(py: Python<'_>, future: F, deadline: Option<Instant>) -> PyResult<Option<F::Output>>
where
    F: Future + Send,
    F::Output: Send,
{
    let mut future = Box::pin(future);
    let waker = Waker::from(Arc::new(Sleeper(thread::current())));
    let waited = loop {
        let end = Instant::now() + SLICE;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        if let Some(output) = py.detach(|| poll_until(future.as_mut(), &waker, end)) {
            break Ok(Some(output));
        }
        if let Err(interrupt) = py.check_signals().and_then(|()| raise_what_is_due(py)) {
            break Err(interrupt);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break Ok(None);
        }
    };
    // Inside a task this may wait until the task has its slot back, which another thread of Python's may hold.
    py.detach(|| drop(future));
    waited
}

/// Waits for a future that keeps time by tokio's clock.
///
/// # Errors
/// As [`wait`]; or if such a future waits already on this thread, and has called code of Python's that led here.
pub(crate) fn wait_by_clock<F>(py: Python<'_>, future: F) -> PyResult<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    if tokio::runtime::Handle::try_current().is_ok() {
        return Err(PyRuntimeError::new_err("one training cannot be run by a function that another one calls"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut future = Box::pin(future);
    let waited = loop {
        let slice = || runtime.block_on(async { tokio::time::timeout(SLICE, future.as_mut()).await });
        if let Ok(output) = py.detach(slice) {
            break Ok(output);
        }
        if let Err(interrupt) = py.check_signals().and_then(|()| raise_what_is_due(py)) {
            break Err(interrupt);
        }
    };
    py.detach(|| drop(future));
    waited
}

/// Waits for an answer of the engine's, however long that takes.
///
/// # Errors
/// As for [`wait`], and the exception for the engine's error.
pub(crate) fn answered<T: Send>(py: Python<'_>, answer: impl Future<Output = Result<T, Error>> + Send) -> PyResult<T> {
    let answer = wait(py, answer, None)?.expect("it is waited for without a limit");
    answer.map_err(|error| raised(py, &error))
}

fn poll_until<F: Future>(mut future: Pin<&mut F>, waker: &Waker, end: Instant) -> Option<F::Output> {
    let mut context = Context::from_waker(waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        thread::park_timeout(left);
    }
}

struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
