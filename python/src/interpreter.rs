//! A worker's executor of Python functions: it hands payloads to the package's `_run` and takes back what that made; what
//! is cancelled it has interrupted.
use crate::buffers::{Payload, borrow};
use crate::errors::raised;
use crate::forms;
use crate::interrupts::{Interrupts, interrupted};
use crate::layout::pieces;
use pyo3::prelude::*;
use quiltwork::TaskContext;
use quiltwork::bindings::bytes::Bytes;
use quiltwork::bindings::{Arguments, AttemptId, Encoding, Executor, Given, Opaque, Product, TaskError};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Builder;

/// In a process that was started as a worker: runs tasks until the cluster ends. `execute(function, payloads, plain)` runs one
/// and returns its result, pickled with its buffers or as every language reads it, or how it failed.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>, execute: Py<PyAny>) -> PyResult<()> {
    let interrupts = Arc::new(Interrupts::default());
    let (cancelled, takes) = mpsc::channel();
    let interrupter = Interrupter { interrupts: Arc::clone(&interrupts), cancelled: takes };
    Builder::new().name("quiltwork-interrupt".to_owned()).spawn(|| interrupter.run())?;
    let interpreter = Box::new(Interpreter { execute, interrupts, cancelled });
    py.detach(|| quiltwork::bindings::serve(interpreter)).map_err(|error| raised(py, &error))
}

struct Interpreter {
    execute: Py<PyAny>,
    interrupts: Arc<Interrupts>,
    cancelled: Sender<AttemptId>,
}

/// A thread that may wait for the interpreter's lock, as the session must not.
struct Interrupter {
    interrupts: Arc<Interrupts>,
    /// No longer than the list of attempts this worker has.
    cancelled: Receiver<AttemptId>,
}

impl Interrupter {
    fn run(self) {
        for attempt in self.cancelled {
            Python::attach(|py| {
                if let Err(error) = self.interrupts.interrupt(py, attempt) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}

/// What `execute` returns.
#[derive(FromPyObject)]
enum Returned<'py> {
    /// A pickle and its buffers.
    Made(Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>),
    /// What every language reads.
    Plain(String, Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>),
    /// What was raised: its text, its type's name, where it was raised, and all of it pickled.
    Raised(String, String, Option<String>, Vec<u8>),
}

impl Executor for Interpreter {
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError> {
        let plain = arguments.wants_plain();
        let given = arguments.rest().map(given).collect::<Result<Vec<_>, _>>()?;
        let task = TaskContext::current().expect("functions are run for attempts only");
        Python::attach(|py| {
            let call = || {
                // It was told before it could be interrupted.
                if task.is_cancelled() {
                    return Err(PyErr::from_value(interrupted(py)?.call0()?));
                }
                self.execute.bind(py).call1((function, given, plain))
            };
            let returned = self.interrupts.during(py, task.attempt(), call);
            match returned.and_then(|returned| returned.extract()) {
                Ok(Returned::Made(pickle, buffers)) => {
                    product(&pickle, &buffers).map_err(|error| TaskError::Unencodable(error.to_string()))
                }
                Ok(Returned::Plain(form, first, rest)) => {
                    forms::product(&(form, first, rest)).map_err(|error| TaskError::Unencodable(error.to_string()))
                }
                Ok(Returned::Raised(message, type_name, location, original)) => {
                    Err(TaskError::Raised { message, type_name, location, original })
                }
                // The package catches what functions raise: this is about the package itself, or the lack of memory.
                Err(error) => Err(TaskError::displayed(&error)),
            }
        })
    }

    fn interrupt(&self, attempt: AttemptId) {
        self.cancelled.send(attempt).expect("the thread that takes them ends with the process");
    }

    /// A thread of Python's lasts as long as the slot thread: what functions keep for their thread stays, and no task
    /// pays for making it.
    fn host(&self, work: &mut (dyn FnMut() + Send)) {
        Python::attach(|py| py.detach(work));
    }
}

/// What the package is given for one argument.
#[derive(IntoPyObject)]
enum Passed {
    One(Payload),
    Many(Vec<Payload>),
}

fn given(argument: Given) -> Result<Passed, TaskError> {
    let payload = |(encoding, bytes)| Payload::new(Opaque { encoding, bytes });
    match argument {
        Given::One(value) => Ok(Passed::One(payload(value))),
        Given::List(values) => Ok(Passed::Many(values.into_iter().map(payload).collect())),
        Given::Reader(_) | Given::Readers(_) => {
            let reason = "it is to be read piece by piece, which functions in Python do not".to_owned();
            Err(TaskError::Argument { parameter: "input", number: 1, expected: "value", reason })
        }
    }
}

fn product(pickle: &Bound<'_, PyAny>, buffers: &[Bound<'_, PyAny>]) -> PyResult<Product> {
    let buffers: Vec<Bytes> = buffers.iter().map(borrow).collect::<PyResult<_>>()?;
    Ok(Product::Pieces(Encoding::Pickle, pieces(borrow(pickle)?, buffers)))
}
