//! A model's parameters: tensors by name, in the order of their names; how they are averaged is not known here.
use super::error::{Error, Result};
use super::files;
use super::tensor::{Element, Tensor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

/// Named tensors, ordered by name, so that equal parameters are equal byte for byte wherever they are written.
///
/// ```
/// use quiltwork::train::{Parameters, Tensor};
/// let mut model = Parameters::new();
/// model.insert("bias", Tensor::new([2], vec![0.5_f32, -0.5])?);
/// assert_eq!(model.slice::<f32>("bias")?, [0.5, -0.5]);
/// # Ok::<(), quiltwork::train::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    tensors: BTreeMap<String, Tensor>,
}

impl Parameters {
    /// No tensors yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { tensors: BTreeMap::new() }
    }

    /// Adds a tensor; gives back the one that had this name before.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        self.tensors.insert(name.into(), tensor)
    }

    /// The tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The elements of a tensor, row by row.
    ///
    /// # Errors
    /// If there is no tensor of this name, or its elements are of another type.
    pub fn slice<T: Element>(&self, name: &str) -> Result<&[T]> {
        let tensor = self.tensors.get(name).ok_or_else(|| self.unknown(name))?;
        tensor.as_slice().ok_or_else(|| wrong_dtype::<T>(name, tensor))
    }

    /// The elements of a tensor for writing.
    ///
    /// # Errors
    /// If there is no tensor of this name, or its elements are of another type.
    pub fn slice_mut<T: Element>(&mut self, name: &str) -> Result<&mut [T]> {
        // Looked at first, for the errors need the tensors the result borrows.
        self.slice::<T>(name)?;
        Ok(self.tensors.get_mut(name).and_then(Tensor::as_mut_slice).expect("it has just been looked at"))
    }

    /// Names and tensors in the order of the names.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// How many tensors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether there is no tensor at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// SHA-256 over names, element types, shapes and little-endian data: equal if and only if every bit is.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Sha256::new();
        for (name, tensor) in self.iter() {
            // Each run of unknown length is told its length first, so that no two layouts give the same bytes.
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update([tensor.dtype().size().to_le_bytes()[0]]);
            hasher.update((tensor.shape().len() as u64).to_le_bytes());
            for &length in tensor.shape() {
                hasher.update((length as u64).to_le_bytes());
            }
            hasher.update(tensor.to_bytes());
        }
        Digest(hasher.finalize().into())
    }

    /// Writes a safetensors file. The file is there whole or not at all, also when the machine stops meanwhile.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), self, HashMap::new())
    }

    /// Reads a safetensors file of `f32` and `f64` tensors.
    ///
    /// # Errors
    /// If the file cannot be read, is not whole, or has a tensor of another element type.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        files::read(path.as_ref()).map(|(parameters, _)| parameters)
    }

    /// Checks that `self` has the very tensors `expected` has: names, element types, shapes. `whose` says in the
    /// error whose parameters these are (`partition 3`).
    ///
    /// # Errors
    /// [`Error::Layout`], naming the first tensor that differs.
    pub fn check_layout(&self, expected: &Self, whose: &str) -> Result<()> {
        let mismatch = |tensor: &str, found: String, expected: String| {
            Err(Error::Layout { tensor: tensor.to_owned(), whose: whose.to_owned(), found, expected })
        };
        for (name, want) in expected.iter() {
            match self.get(name) {
                None => return mismatch(name, "missing".to_owned(), want.layout()),
                Some(have) if !have.same_layout(want) => return mismatch(name, have.layout(), want.layout()),
                Some(_) => {}
            }
        }
        match self.iter().find(|(name, _)| expected.get(name).is_none()) {
            Some((name, tensor)) => mismatch(name, tensor.layout(), "no such tensor".to_owned()),
            None => Ok(()),
        }
    }

    /// Checks that no element is NaN or infinite. `whose` says in the error whose parameters these are.
    ///
    /// # Errors
    /// [`Error::NotFinite`], naming the first such tensor.
    pub fn check_finite(&self, whose: &str) -> Result<()> {
        match self.iter().find(|(_, tensor)| !tensor.is_finite()) {
            Some((name, _)) => Err(Error::NotFinite { tensor: name.to_owned(), whose: whose.to_owned() }),
            None => Ok(()),
        }
    }

    /// Names behind a prefix, and the tensors.
    pub(super) fn under(&self, prefix: &str) -> impl Iterator<Item = (String, Tensor)> {
        self.iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor.clone()))
    }

    /// The tensors whose names begin with a prefix, named without it.
    pub(super) fn below(&self, prefix: &str) -> Self {
        self.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))).collect()
    }

    fn unknown(&self, name: &str) -> Error {
        Error::UnknownTensor { tensor: name.to_owned(), known: self.tensors.keys().cloned().collect() }
    }
}

impl FromIterator<(String, Tensor)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(tensors: I) -> Self {
        Self { tensors: tensors.into_iter().collect() }
    }
}

impl IntoIterator for Parameters {
    type Item = (String, Tensor);
    type IntoIter = std::collections::btree_map::IntoIter<String, Tensor>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

fn wrong_dtype<T: Element>(name: &str, tensor: &Tensor) -> Error {
    Error::Layout {
        tensor: name.to_owned(),
        whose: "the parameters".to_owned(),
        found: tensor.layout(),
        expected: format!("{} {:?}", T::DTYPE, tensor.shape()),
    }
}

/// A SHA-256; prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes, one run after the other.
    pub(super) fn of<'b>(runs: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut hasher = Sha256::new();
        runs.into_iter().for_each(|run| hasher.update(run));
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
