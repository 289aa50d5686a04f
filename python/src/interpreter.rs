//! A worker's executor of Python functions: it hands payloads to the package's `_run` and takes back what that made; what
//! is cancelled it has interrupted.
use crate::actors::Threaded;
use crate::buffers::{COPIED, Handed, borrow};
use crate::errors::raised;
use crate::forms;
use crate::interrupts::{Guard, Interrupts};
use crate::layout::{lone, pieces};
use crate::looped::Looped;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use quiltwork::TaskContext;
use quiltwork::bindings::bytes::Bytes;
use quiltwork::bindings::{Arguments, AttemptId, Encoding, Executor, Given, Instance, Opaque, Product, TaskError};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::Builder;

/// In a process that was started as a worker: runs tasks until the cluster ends. `execute(function, payloads, plain)` runs one
/// and returns its result, pickled with its buffers or as every language reads it, or how it failed.
/// `construct(function, payloads, guard)` makes an actor and returns it, and whether it lives in an event loop, or how that
/// failed.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>, execute: Py<PyAny>, construct: Py<PyAny>) -> PyResult<()> {
    let interrupts = Arc::new(Interrupts::default());
    let (cancelled, takes) = mpsc::channel();
    let interrupter = Interrupter { interrupts: Arc::clone(&interrupts), cancelled: takes };
    Builder::new().name("quiltwork-interrupt".to_owned()).spawn(|| interrupter.run())?;
    let interpreter = Box::new(Interpreter { execute, construct, interrupts, cancelled });
    py.detach(|| quiltwork::bindings::serve(interpreter)).map_err(|error| raised(py, &error))
}

struct Interpreter {
    execute: Py<PyAny>,
    construct: Py<PyAny>,
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

/// What the package makes of a call.
#[derive(FromPyObject)]
pub(crate) enum Returned<'py> {
    /// A pickle and its buffers.
    Made(Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>),
    /// What every language reads.
    Plain(String, Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>),
    /// What was raised: its text, its type's name, where it was raised, and all of it pickled.
    Raised(String, String, Option<String>, Vec<u8>),
}

/// What the package makes of the call of a constructor.
#[derive(FromPyObject)]
enum Constructed<'py> {
    /// The instance, and whether it lives in an event loop.
    Made(Bound<'py, PyAny>, bool),
    /// As above.
    Raised(String, String, Option<String>, Vec<u8>),
}

impl Returned<'_> {
    pub(crate) fn into_product(self) -> Result<Product, TaskError> {
        match self {
            Self::Made(pickle, buffers) => {
                product(&pickle, &buffers).map_err(|error| TaskError::Unencodable(error.to_string()))
            }
            Self::Plain(form, first, rest) => {
                forms::product(&(form, first, rest)).map_err(|error| TaskError::Unencodable(error.to_string()))
            }
            Self::Raised(message, type_name, location, original) => {
                Err(TaskError::Raised { message, type_name, location, original })
            }
        }
    }
}

impl Interpreter {
    fn make_instance(
        &self,
        py: Python<'_>,
        function: &str,
        payloads: Vec<Passed>,
    ) -> PyResult<Result<Box<dyn Instance>, TaskError>> {
        let task = TaskContext::current().expect("functions are run for attempts only");
        let guard = Guard::new(task, Arc::clone(&self.interrupts));
        let made = self.construct.bind(py).call1((function, payloads, guard))?;
        let interrupts = || Arc::clone(&self.interrupts);
        Ok(match made.extract()? {
            Constructed::Made(instance, true) => Ok(Box::new(Looped::new(py, instance.unbind(), interrupts())?)),
            Constructed::Made(instance, false) => Ok(Box::new(Threaded::new(instance.unbind(), interrupts()))),
            Constructed::Raised(message, type_name, location, original) => {
                Err(TaskError::Raised { message, type_name, location, original })
            }
        })
    }
}

impl Executor for Interpreter {
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError> {
        let plain = arguments.wants_plain();
        let payloads = payloads(arguments)?;
        let task = TaskContext::current().expect("functions are run for attempts only");
        Python::attach(|py| {
            let call = || self.execute.bind(py).call1((function, payloads, plain));
            ended(self.interrupts.during(py, &task, call))
        })
    }

    fn construct(&self, function: &str, arguments: &mut Arguments) -> Result<Box<dyn Instance>, TaskError> {
        let payloads = payloads(arguments)?;
        Python::attach(|py| {
            let made = self.make_instance(py, function, payloads);
            made.unwrap_or_else(|error| Err(TaskError::displayed(&error)))
        })
    }

    fn interrupt(&self, attempt: AttemptId) {
        self.cancelled.send(attempt).expect("the thread that takes them ends with the process");
    }

    fn host(&self, work: &mut (dyn FnMut() + Send)) {
        hosted(work);
    }
}

/// Calls `work`, which is all that this thread ever does. A thread of Python's lasts as long: what functions keep for their
/// thread stays, and no task pays for making it.
pub(crate) fn hosted(work: &mut (dyn FnMut() + Send)) {
    Python::attach(|py| py.detach(work));
}

/// What is returned for a call.
pub(crate) fn ended(returned: PyResult<Bound<'_, PyAny>>) -> Result<Product, TaskError> {
    match returned.and_then(|returned| returned.extract::<Returned<'_>>()) {
        Ok(returned) => returned.into_product(),
        // The package catches what functions raise: this is about the package itself, or the lack of memory.
        Err(error) => Err(TaskError::displayed(&error)),
    }
}

/// What the package is given for one argument.
#[derive(IntoPyObject)]
pub(crate) enum Passed {
    One(Handed),
    Many(Vec<Handed>),
}

/// The arguments of a call, as they came.
pub(crate) fn payloads(arguments: &mut Arguments) -> Result<Vec<Passed>, TaskError> {
    arguments.rest().map(passed).collect()
}

fn passed(given: Given) -> Result<Passed, TaskError> {
    let handed = |(encoding, bytes)| Handed(Opaque { encoding, bytes });
    match given {
        Given::One(value) => Ok(Passed::One(handed(value))),
        Given::List(values) => Ok(Passed::Many(values.into_iter().map(handed).collect())),
        Given::Reader(_) | Given::Readers(_) => {
            let reason = "it is to be read piece by piece, which functions in Python do not".to_owned();
            Err(TaskError::Argument { parameter: "input", number: 1, expected: "value", reason })
        }
    }
}

fn product(pickle: &Bound<'_, PyAny>, buffers: &[Bound<'_, PyAny>]) -> PyResult<Product> {
    if let (Ok(pickle), []) = (pickle.cast::<PyBytes>(), buffers)
        && pickle.as_bytes().len() <= COPIED
    {
        return Ok(Product::Pieces(Encoding::Pickle, vec![lone(pickle.as_bytes())]));
    }
    let buffers: Vec<Bytes> = buffers.iter().map(borrow).collect::<PyResult<_>>()?;
    Ok(Product::Pieces(Encoding::Pickle, pieces(borrow(pickle)?, buffers)))
}
