//! The options of a task as Python gives them.
use crate::errors::raised;
use pyo3::prelude::*;
use quiltwork::TaskCall;
use quiltwork::bindings::{ByteSize, Opaque};

/// What a task is submitted with; made once for many tasks.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Options {
    retries: u32,
    priority: i32,
    slots: u32,
    memory: Option<u64>,
    resources: Vec<(String, u64)>,
    plain: bool,
}

/// A number of bytes, or a text such as `2GiB`.
#[derive(FromPyObject)]
pub(crate) enum Amount {
    Bytes(u64),
    Text(String),
}

impl Amount {
    /// The number of bytes.
    ///
    /// # Errors
    /// If the text cannot be understood.
    pub(crate) fn in_bytes(self, py: Python<'_>) -> PyResult<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Text(text) => text.in_bytes().map_err(|error| raised(py, &error)),
        }
    }
}

#[pymethods]
impl Options {
    #[new]
    #[pyo3(signature = (*, retries=0, priority=0, slots=1, memory=None, resources=Vec::new(), plain=false))]
    fn new(
        py: Python<'_>,
        retries: u32,
        priority: i32,
        slots: u32,
        memory: Option<Amount>,
        resources: Vec<(String, u64)>,
        plain: bool,
    ) -> PyResult<Self> {
        let memory = memory.map(|memory| memory.in_bytes(py)).transpose()?;
        Ok(Self { retries, priority, slots, memory, resources, plain })
    }
}

impl Options {
    /// The call with these options.
    pub(crate) fn of(&self, call: TaskCall<Opaque>) -> TaskCall<Opaque> {
        let mut call = call.retries(self.retries).priority(self.priority);
        // One slot is what a call has anyway; the setter refuses none.
        if self.slots != 1 {
            call = call.slots(self.slots);
        }
        if self.plain {
            call = call.plain();
        }
        if let Some(memory) = self.memory {
            call = call.memory(memory);
        }
        self.resources.iter().fold(call, |call, (name, amount)| call.resource(name, *amount))
    }
}
