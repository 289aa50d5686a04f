//! Actors of plain methods, whose instances are Python's: how calls come to them, and on which threads. What an instance is, the
//! package's `_instances` knows.
use crate::interpreter::{ended, hosted, payloads};
use crate::interrupts::Interrupts;
use pyo3::prelude::*;
use quiltwork::bindings::{Call, Calls, Instance};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, Scope};

/// Bytes of stack a call has: as much as the threads of tasks have.
const STACK: usize = 8 << 20;

/// An instance of Python's, to be closed on the thread on which it is dropped.
pub(crate) struct Closing(pub(crate) Py<PyAny>);

impl Drop for Closing {
    fn drop(&mut self) {
        Python::attach(|py| {
            if let Err(error) = self.0.call_method0(py, "close") {
                error.write_unraisable(py, Some(self.0.bind(py)));
            }
        });
    }
}

/// An actor of plain methods. They run on its thread, or on as many threads as calls may run at a time.
pub(crate) struct Threaded {
    instance: Closing,
    interrupts: Arc<Interrupts>,
}

/// The threads of an actor whose calls run side by side.
struct Crew {
    calls: Mutex<Receiver<Call>>,
    /// Calls that were handed out and have not ended.
    busy: AtomicUsize,
}

impl Threaded {
    pub(crate) const fn new(instance: Py<PyAny>, interrupts: Arc<Interrupts>) -> Self {
        Self { instance: Closing(instance), interrupts }
    }

    /// Runs a call on this thread.
    fn answer(&self, call: Call) {
        let (method, mut arguments, reply) = call.into_parts();
        let made = payloads(&mut arguments).and_then(|payloads| {
            let _entered = reply.enter();
            let task = reply.context();
            Python::attach(|py| {
                let call = || self.instance.0.bind(py).call_method1("call", (&*method, payloads));
                ended(self.interrupts.during(py, &task, call))
            })
        });
        reply.send(made);
    }

    /// Hands calls to threads that have nothing to do, or to new ones.
    fn serve_side_by_side(&self, calls: &mut Calls) {
        let (give, take) = mpsc::channel();
        let crew = Crew { calls: Mutex::new(take), busy: AtomicUsize::new(0) };
        thread::scope(|scope| {
            let mut threads = 0;
            while let Some(call) = calls.next() {
                let is_short = crew.busy.fetch_add(1, Ordering::AcqRel) >= threads && threads < calls.max_concurrency();
                if is_short && self.start_thread(&crew, scope) {
                    threads += 1;
                }
                if threads == 0 {
                    // The system gives no more threads.
                    self.answer(call);
                    crew.busy.fetch_sub(1, Ordering::AcqRel);
                } else {
                    give.send(call).expect("the receiver is behind this scope");
                }
            }
            // The threads end when they have taken all, and the scope ends with them.
            drop(give);
        });
    }

    /// Whether there is one more thread for calls now.
    fn start_thread<'scope>(&'scope self, crew: &'scope Crew, scope: &'scope Scope<'scope, '_>) -> bool {
        let work = || {
            hosted(&mut || {
                while let Some(call) = crew.next() {
                    self.answer(call);
                    crew.busy.fetch_sub(1, Ordering::AcqRel);
                }
            });
        };
        Builder::new().name("quiltwork-call".to_owned()).stack_size(STACK).spawn_scoped(scope, work).is_ok()
    }
}

impl Instance for Threaded {
    fn call(&mut self, call: Call) {
        self.answer(call);
    }

    fn serve(&mut self, calls: &mut Calls) {
        if calls.max_concurrency() > 1 {
            self.serve_side_by_side(calls);
            return;
        }
        for call in calls.by_ref() {
            self.answer(call);
        }
    }
}

impl Crew {
    fn next(&self) -> Option<Call> {
        // Poison means nothing here: no change is made in more than one step.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
}
