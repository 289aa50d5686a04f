//! A worker's executor of Python functions: it hands payloads to the package's `_run` and takes back what that made.
use crate::buffers::{Payload, borrow};
use crate::errors::raised;
use crate::layout::pieces;
use pyo3::prelude::*;
use quiltwork::bindings::bytes::Bytes;
use quiltwork::bindings::{Arguments, Encoding, Executor, Given, Product, TaskError};

/// In a process that was started as a worker: runs tasks until the cluster ends. `execute(function, payloads)` runs one and
/// returns its pickled result with its buffers, or how it failed.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>, execute: Py<PyAny>) -> PyResult<()> {
    let interpreter = Box::new(Interpreter { execute });
    py.detach(|| quiltwork::bindings::serve(interpreter)).map_err(|error| raised(py, &error))
}

struct Interpreter {
    execute: Py<PyAny>,
}

/// What `execute` returns.
#[derive(FromPyObject)]
enum Returned<'py> {
    /// A pickle and its buffers.
    Made(Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>),
    /// What was raised: its text, its type's name, where it was raised, and all of it pickled.
    Raised(String, String, Option<String>, Vec<u8>),
}

impl Executor for Interpreter {
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError> {
        let payloads = arguments.rest().map(payload).collect::<Result<Vec<_>, _>>()?;
        Python::attach(|py| {
            let returned = self.execute.bind(py).call1((function, payloads));
            match returned.and_then(|returned| returned.extract()) {
                Ok(Returned::Made(pickle, buffers)) => {
                    product(&pickle, &buffers).map_err(|error| TaskError::Unencodable(error.to_string()))
                }
                Ok(Returned::Raised(message, type_name, location, original)) => {
                    Err(TaskError::Raised { message, type_name, location, original })
                }
                // The package catches what functions raise: this is about the package itself, or the lack of memory.
                Err(error) => Err(TaskError::displayed(&error)),
            }
        })
    }

    /// A thread of Python's lasts as long as the slot thread: what functions keep for their thread stays, and no task
    /// pays for making it.
    fn host(&self, work: &mut (dyn FnMut() + Send)) {
        Python::attach(|py| py.detach(work));
    }
}

fn payload(given: Given) -> Result<Payload, TaskError> {
    match given {
        Given::One((Encoding::Pickle, bytes)) => Ok(Payload(bytes)),
        _ => Err(TaskError::Argument {
            parameter: "input",
            number: 1,
            expected: "pickled value",
            reason: "another task made it, in another language".to_owned(),
        }),
    }
}

fn product(pickle: &Bound<'_, PyAny>, buffers: &[Bound<'_, PyAny>]) -> PyResult<Product> {
    let buffers: Vec<Bytes> = buffers.iter().map(borrow).collect::<PyResult<_>>()?;
    Ok(Product::Pieces(Encoding::Pickle, pieces(borrow(pickle)?, buffers)))
}
