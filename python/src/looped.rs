//! Actors that live in an event loop of Python's, on their thread: how their calls get there, and their answers back. What runs
//! in the loop, the package's `_looped` knows.
use crate::actors::Closing;
use crate::interpreter::{Passed, payloads};
use crate::interrupts::Interrupts;
use crate::reply::Reply;
use pyo3::prelude::*;
use quiltwork::bindings::{Call, Calls, Instance};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// An actor in an event loop.
pub(crate) struct Looped {
    /// Closed before the bell is: the loop watches it.
    instance: Closing,
    interrupts: Arc<Interrupts>,
    /// Can be read when the bell has been rung.
    rung: UnixStream,
    bell: Waker,
}

/// Rings where an event loop hears it. The engine's threads do that with locks held, and never wait for the
/// interpreter's: so it is a byte in a socket, and no call.
struct Bell(UnixStream);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // If it is full, the bell was rung and not heard yet.
        let _ = (&self.0).write(&[0]);
    }
}

impl Looped {
    /// # Errors
    /// If the system gives no more files, or the loop cannot watch them.
    pub(crate) fn new(py: Python<'_>, instance: Py<PyAny>, interrupts: Arc<Interrupts>) -> PyResult<Self> {
        let instance = Closing(instance);
        let (rung, bell) = UnixStream::pair()?;
        rung.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        instance.0.call_method1(py, "watch", (rung.as_raw_fd(),))?;
        Ok(Self { instance, interrupts, rung, bell: Arc::new(Bell(bell)).into() })
    }

    /// Begins these calls, and runs the loop until the bell rings.
    fn turn(&self, calls: Vec<Call>) {
        let begun: Vec<_> = calls.into_iter().filter_map(|call| self.begin(call)).collect();
        self.enter(|instance| instance.call_method1("turn", (begun,)));
    }

    /// Calls what runs the loop. What that raises no call has raised, and the loop can go on.
    fn enter(&self, run: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>) {
        Python::attach(|py| {
            let instance = self.instance.0.bind(py);
            if let Err(error) = run(instance) {
                error.write_unraisable(py, Some(instance));
            }
        });
    }

    /// What the package needs of a call; none if it has ended already.
    fn begin(&self, call: Call) -> Option<(String, Vec<Passed>, Reply)> {
        let (method, mut arguments, reply) = call.into_parts();
        match payloads(&mut arguments) {
            Ok(payloads) => Some((method.to_string(), payloads, Reply::new(reply, Arc::clone(&self.interrupts)))),
            Err(error) => {
                reply.send(Err(error));
                None
            }
        }
    }

    /// Takes the calls that may run now; none if the actor shall end.
    fn take(&self, calls: &mut Calls) -> Option<Vec<Call>> {
        // First this, for what comes later rings again.
        let mut heard = [0; 64];
        while matches!((&self.rung).read(&mut heard), Ok(1..)) {}
        let mut context = Context::from_waker(&self.bell);
        let mut taken = Vec::new();
        loop {
            match calls.poll_next(&mut context) {
                Poll::Ready(Some(call)) => taken.push(call),
                Poll::Ready(None) => return None,
                Poll::Pending => return Some(taken),
            }
        }
    }
}

impl Instance for Looped {
    fn call(&mut self, call: Call) {
        self.turn(vec![call]);
    }

    fn serve(&mut self, calls: &mut Calls) {
        while let Some(calls) = self.take(calls) {
            self.turn(calls);
        }
        // Who waits for the last answers does not run the loop.
        self.enter(|instance| instance.call_method0("finish"));
    }
}
