//! One array of numbers: element type, shape and contiguous data; what its numbers mean, and files, are not known here.
use super::error::{Error, Result};
use super::numbers::Numbers;
use crate::{Blob, Run};
use bytemuck::Pod;
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;
use std::thread::available_parallelism;

/// How many elements are worked on at a time: few enough to stay in the processor's nearest memory.
pub(super) const BLOCK: usize = 1024;

/// The fewest elements that are worth a thread.
const LEAST_SHARE: usize = 128 * 1024;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
}

impl Dtype {
    /// Bytes one element takes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// A number a tensor can hold: `f32` or `f64`.
pub trait Element: sealed::Sealed + Copy + Into<f64> + 'static {
    /// Its element type.
    const DTYPE: Dtype;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Element for f64 {
    const DTYPE: Dtype = Dtype::F64;
}

/// An array of `f32` or `f64`, row by row, with its shape. An empty shape is a single number. Clones share the elements until
/// one of them is written to.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    F32(Numbers<f32>),
    F64(Numbers<f64>),
}

impl Tensor {
    /// A tensor of this shape over `data`, row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shape asks for another number of elements than `data` has.
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, data: Vec<T>) -> Result<Self> {
        let shape = shape.into();
        if elements(&shape) != Some(data.len()) {
            return Err(Error::Shape { shape, elements: data.len() });
        }
        Ok(Self { shape, data: T::into_data(data) })
    }

    /// A tensor of zeros.
    ///
    /// # Panics
    /// If a tensor of that shape cannot be counted, let alone stored.
    #[must_use]
    pub fn zeros(dtype: Dtype, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let len = elements(&shape).expect("the number of elements fits into a usize");
        let data = match dtype {
            Dtype::F32 => Data::F32(vec![0.0; len].into()),
            Dtype::F64 => Data::F64(vec![0.0; len].into()),
        };
        Self { shape, data }
    }

    /// A tensor over the bytes of a blob, which are its elements in the order of this machine; they are read in place.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shape asks for another number of elements than the blob has.
    ///
    /// ```
    /// use quiltwork::{Blob, train::{Dtype, Tensor}};
    /// let tensor = Tensor::from_blob(Dtype::F32, [2, 1], &Blob::from_slice_of(&[0.5_f32, -1.0]))?;
    /// assert_eq!(tensor.as_slice::<f32>(), Some(&[0.5, -1.0][..]));
    /// # Ok::<(), quiltwork::train::Error>(())
    /// ```
    pub fn from_blob(dtype: Dtype, shape: impl Into<Vec<usize>>, blob: &Blob) -> Result<Self> {
        let shape = shape.into();
        if elements(&shape).and_then(|elements| elements.checked_mul(dtype.size())) != Some(blob.len()) {
            return Err(Error::Shape { shape, elements: blob.len() / dtype.size() });
        }
        let data = match dtype {
            Dtype::F32 => Data::F32(Numbers::in_place(blob.bytes())),
            Dtype::F64 => Data::F64(Numbers::in_place(blob.bytes())),
        };
        Ok(Self { shape, data })
    }

    /// Its elements as bytes in the order of this machine; they are shared, not copied.
    #[must_use]
    pub fn to_blob(&self) -> Blob {
        Blob::of(match &self.data {
            Data::F32(data) => data.to_bytes(),
            Data::F64(data) => data.to_bytes(),
        })
    }

    /// The length of each dimension, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of its elements.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        match self.data {
            Data::F32(_) => Dtype::F32,
            Data::F64(_) => Dtype::F64,
        }
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.data {
            Data::F32(data) => data.len(),
            Data::F64(data) => data.len(),
        }
    }

    /// Whether it has no elements at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its elements, row by row; `None` if they are of the other type.
    #[must_use]
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        T::slice(&self.data)
    }

    /// Its elements for writing; `None` if they are of the other type.
    #[must_use]
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        T::slice_mut(&mut self.data)
    }

    /// Whether every element is finite: no NaN, no infinity.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        // Block by block without an early end, so that the compiler may look at several elements at once.
        match &self.data {
            Data::F32(data) => data.chunks(BLOCK).all(|block| block.iter().fold(true, |all, x| all & x.is_finite())),
            Data::F64(data) => data.chunks(BLOCK).all(|block| block.iter().fold(true, |all, x| all & x.is_finite())),
        }
    }

    /// Whether `other` has the same element type and shape.
    #[must_use]
    pub fn same_layout(&self, other: &Self) -> bool {
        self.dtype() == other.dtype() && self.shape == other.shape
    }

    /// Writes the sum of its elements and those of another tensor from `start` on, each widened and multiplied by its own
    /// factor, into a block.
    pub(super) fn write_scaled_sum(&self, start: usize, factor: f64, other: (&Self, f64), block: &mut [f64]) {
        match (&self.data, &other.0.data) {
            (Data::F32(data), Data::F32(others)) => {
                for ((into, x), y) in block.iter_mut().zip(&data[start..]).zip(&others[start..]) {
                    *into = f64::from(*x) * factor + f64::from(*y) * other.1;
                }
            }
            (Data::F64(data), Data::F64(others)) => {
                for ((into, x), y) in block.iter_mut().zip(&data[start..]).zip(&others[start..]) {
                    *into = x * factor + y * other.1;
                }
            }
            _ => unreachable!("tensors that are added have the same layout"),
        }
    }

    /// Writes its elements from `start` on, widened to `f64` (exact) and multiplied by `factor`, into a block.
    pub(super) fn write_scaled(&self, start: usize, factor: f64, block: &mut [f64]) {
        match &self.data {
            Data::F32(data) => {
                for (into, x) in block.iter_mut().zip(&data[start..]) {
                    *into = f64::from(*x) * factor;
                }
            }
            Data::F64(data) => {
                for (into, x) in block.iter_mut().zip(&data[start..]) {
                    *into = x * factor;
                }
            }
        }
    }

    /// A tensor whose elements `make` writes block by block, from the given place on; they are rounded to the element type.
    #[expect(clippy::cast_possible_truncation, reason = "they are rounded")]
    pub(super) fn made(dtype: Dtype, shape: &[usize], mut make: impl FnMut(usize, &mut [f64])) -> Self {
        let len = elements(shape).expect("it is the shape of a tensor that is there");
        let data = match dtype {
            Dtype::F32 => {
                let mut made = Vec::with_capacity(len);
                let mut block = [0.0; BLOCK];
                while made.len() < len {
                    let block = &mut block[..BLOCK.min(len - made.len())];
                    make(made.len(), block);
                    made.extend(block.iter().map(|x| *x as f32));
                }
                Data::F32(made.into())
            }
            Dtype::F64 => {
                let mut made = vec![0.0; len];
                for (number, block) in made.chunks_mut(BLOCK).enumerate() {
                    make(number * BLOCK, block);
                }
                Data::F64(made.into())
            }
        };
        Self { shape: shape.to_vec(), data }
    }

    /// The same for a tensor of this one's layout and a maker that `begin` gives to each of several threads, if it is large
    /// enough for them. What an element becomes must not depend on who makes it.
    pub(super) fn made_together<M: FnMut(usize, &mut [f64])>(&self, begin: impl Fn() -> M + Sync) -> Self {
        let threads = match self.len() / LEAST_SHARE {
            0 | 1 => 1,
            most => available_parallelism().map_or(1, NonZero::get).min(most),
        };
        if threads == 1 {
            return self.made_like(begin());
        }
        let data = match self.data {
            Data::F32(_) => Data::F32(fill_together(self.len(), threads, &begin).into()),
            Data::F64(_) => Data::F64(fill_together(self.len(), threads, &begin).into()),
        };
        Self { shape: self.shape.clone(), data }
    }

    /// The same for a tensor of this one's layout.
    pub(super) fn made_like(&self, make: impl FnMut(usize, &mut [f64])) -> Self {
        Self::made(self.dtype(), &self.shape, make)
    }

    /// Its elements as little-endian bytes, the same on every machine.
    pub(super) fn to_bytes(&self) -> Cow<'_, [u8]> {
        match &self.data {
            Data::F32(data) if cfg!(target_endian = "little") => Cow::Borrowed(bytemuck::cast_slice(data)),
            Data::F64(data) if cfg!(target_endian = "little") => Cow::Borrowed(bytemuck::cast_slice(data)),
            Data::F32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Data::F64(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        }
    }

    /// The tensor [`to_bytes`](Self::to_bytes) was asked of.
    pub(super) fn from_bytes(dtype: Dtype, shape: Vec<usize>, bytes: &[u8]) -> Result<Self> {
        if !bytes.len().is_multiple_of(dtype.size()) {
            return Err(Error::Shape { shape, elements: bytes.len() / dtype.size() });
        }
        match dtype {
            Dtype::F32 => Self::new(shape, bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect()),
            Dtype::F64 => Self::new(shape, bytes.as_chunks().0.iter().map(|x| f64::from_le_bytes(*x)).collect()),
        }
    }

    /// Element type and shape as a message shows them: `f32 [64, 10]`.
    pub(super) fn layout(&self) -> String {
        format!("{} {:?}", self.dtype(), self.shape)
    }
}

/// Makes elements by several threads, each of them a part of whole blocks.
fn fill_together<T, M>(len: usize, threads: usize, begin: &(impl Fn() -> M + Sync)) -> Vec<T>
where
    T: Element + Pod + Send,
    M: FnMut(usize, &mut [f64]),
{
    let mut made = vec![T::zeroed(); len];
    let share = len.div_ceil(threads).next_multiple_of(BLOCK);
    let fill = |first: usize, part: &mut [T]| {
        let (mut make, mut block) = (begin(), [0.0; BLOCK]);
        for (number, into) in part.chunks_mut(BLOCK).enumerate() {
            let block = &mut block[..into.len()];
            make(first + number * BLOCK, block);
            into.iter_mut().zip(block).for_each(|(into, number)| *into = T::rounded(*number));
        }
    };
    std::thread::scope(|scope| {
        let mut parts = made.chunks_mut(share).enumerate();
        let own = parts.next();
        for (number, part) in parts {
            scope.spawn(move || fill(number * share, part));
        }
        if let Some((_, part)) = own {
            fill(0, part);
        }
    });
    made
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length))
}

/// How a tensor travels: its elements as one run of bytes, not number by number.
#[derive(Serialize, Deserialize)]
struct Wire {
    dtype: Dtype,
    shape: Vec<usize>,
    elements: Run,
}

impl Serialize for Tensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elements =
            if cfg!(target_endian = "little") { self.to_blob().bytes() } else { self.to_bytes().into_owned().into() };
        Wire { dtype: self.dtype(), shape: self.shape.clone(), elements: Run(elements) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Tensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { dtype, shape, elements: Run(elements) } = Wire::deserialize(deserializer)?;
        let tensor = if cfg!(target_endian = "little") {
            Self::from_blob(dtype, shape, &Blob::of(elements))
        } else {
            Self::from_bytes(dtype, shape, &elements)
        };
        tensor.map_err(de::Error::custom)
    }
}

/// Keeps [`Element`] to the two types a tensor has room for.
mod sealed {
    use super::Data;

    pub trait Sealed: Sized {
        fn into_data(data: Vec<Self>) -> Data;
        fn slice(data: &Data) -> Option<&[Self]>;
        fn slice_mut(data: &mut Data) -> Option<&mut [Self]>;
        fn rounded(number: f64) -> Self;
    }

    macro_rules! sealed {
        ($element:ty, $variant:ident) => {
            impl Sealed for $element {
                fn into_data(data: Vec<Self>) -> Data {
                    Data::$variant(data.into())
                }

                fn slice(data: &Data) -> Option<&[Self]> {
                    if let Data::$variant(data) = data { Some(data) } else { None }
                }

                fn slice_mut(data: &mut Data) -> Option<&mut [Self]> {
                    if let Data::$variant(data) = data { Some(data.to_mut()) } else { None }
                }

                #[expect(clippy::allow_attributes, reason = "for one of the two types nothing is lost")]
                #[allow(clippy::cast_possible_truncation, reason = "it is rounded")]
                fn rounded(number: f64) -> Self {
                    number as Self
                }
            }
        };
    }

    sealed!(f32, F32);
    sealed!(f64, F64);
}
