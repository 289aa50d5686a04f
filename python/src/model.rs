//! A model's leaves as Python has them, one buffer each, and the engine's parameters; nothing is copied between the two.
use crate::buffers::{Payload, borrow};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use quiltwork::bindings::{blob_of, bytes_of};
use quiltwork::train::{Dtype, Parameters, Tensor};

/// A leaf as the package describes it: its name, the character of its element type, its shape, and its bytes.
pub(crate) type Described<'py> = (String, char, Vec<usize>, Bound<'py, PyAny>);

/// The leaves of a model, in the order in which the package knows them.
pub(crate) struct Model {
    leaves: Vec<Leaf>,
}

struct Leaf {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Model {
    /// What the leaves are, and the parameters they begin with.
    ///
    /// # Errors
    /// If the package describes something else than a model.
    pub(crate) fn read(described: Vec<Described<'_>>) -> PyResult<(Self, Parameters)> {
        let (mut leaves, mut buffers) = (Vec::new(), Vec::new());
        for (name, kind, shape, buffer) in described {
            let dtype = match kind {
                'f' => Dtype::F32,
                'd' => Dtype::F64,
                other => return Err(PyValueError::new_err(format!("leaf `{name}` has elements of type `{other}`"))),
            };
            leaves.push(Leaf { name, dtype, shape });
            buffers.push(buffer);
        }
        let model = Self { leaves };
        let parameters = model.parameters(&buffers)?;
        Ok((model, parameters))
    }

    /// The parameters whose leaves are these buffers.
    ///
    /// # Errors
    /// If there are more or fewer of them, or one has another length than its leaf.
    pub(crate) fn parameters(&self, buffers: &[Bound<'_, PyAny>]) -> PyResult<Parameters> {
        if buffers.len() != self.leaves.len() {
            let (found, expected) = (buffers.len(), self.leaves.len());
            return Err(PyValueError::new_err(format!("a model of {found} leaves was given for one of {expected}")));
        }
        let tensor = |(leaf, buffer): (&Leaf, &Bound<'_, PyAny>)| {
            let tensor = Tensor::from_blob(leaf.dtype, leaf.shape.clone(), &blob_of(borrow(buffer)?));
            let wrong = |error| PyValueError::new_err(format!("leaf `{}`: {error}", leaf.name));
            Ok((leaf.name.clone(), tensor.map_err(wrong)?))
        };
        self.leaves.iter().zip(buffers).map(tensor).collect()
    }

    /// The leaves of these parameters; none if they are not a model's.
    pub(crate) fn payloads(&self, parameters: &Parameters) -> Vec<Payload> {
        let tensors = self.leaves.iter().filter_map(|leaf| parameters.get(&leaf.name));
        tensors.map(|tensor| Payload::part(bytes_of(&tensor.to_blob()))).collect()
    }
}
