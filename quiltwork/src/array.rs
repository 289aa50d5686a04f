//! Arrays of numbers that functions of every language read in place: in Python they are numpy's; it computes nothing.
//!
//! ```text
//! 0   kind       8 bytes: numpy's name for the type of the numbers, such as `<f8`, and zeros
//! 8   dimensions 8 bytes: how many there are; then the length of each, 8 bytes
//! ..  numbers    from the next multiple of 64 on, the last dimension varying fastest
//! ```
use crate::argument::{Encoded, Portable};
use crate::blob::BlobItem;
use crate::error::{Error, Problem, Result};
use bytes::{Bytes, BytesMut};
use quiltwork_protocol::codec::CodecError;
use quiltwork_types::Encoding;
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// What the place of the numbers is a multiple of.
const ALIGNMENT: usize = 64;
/// Bytes of a number in the header.
const NUMBER: usize = 8;
/// The most dimensions an array may have: as many as one of numpy's.
const DIMENSIONS: usize = 64;

/// Numbers an [`Array`] can hold, each with numpy's name for its type.
pub trait ArrayItem: BlobItem {
    #[doc(hidden)]
    const KIND: &'static str;
}

macro_rules! items {
    ($($number:ty: $kind:literal)*) => {$(impl ArrayItem for $number { const KIND: &'static str = $kind; })*};
}

items! {
    u8: "|u1" i8: "|i1" u16: "<u2" i16: "<i2" u32: "<u4" i32: "<i4" u64: "<u8" i64: "<i8" f32: "<f4" f64: "<f8"
}

/// Numbers in rows, columns and so on, as a parameter or result of a task.
///
/// It is to functions in Python what a numpy array is there, and the other way round. Like a [`Blob`](crate::Blob) it is
/// written once, read in place by all tasks and clients of its node, and cannot be a part of another value. Clones share
/// the numbers; they never change.
///
/// ```
/// use quiltwork::Array;
///
/// #[quiltwork::task]
/// fn row_sums(matrix: Array<f64>) -> Array<f64> {
///     Array::from_slice(&matrix.rows().map(|row| row.iter().sum()).collect::<Vec<f64>>())
/// }
///
/// let matrix = Array::build([2, 3], |numbers| numbers.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
/// assert_eq!(*row_sums::call(matrix), [6.0, 15.0]);
/// ```
pub struct Array<T> {
    shape: Box<[usize]>,
    /// Header and numbers.
    bytes: Bytes,
    /// Where the numbers begin.
    start: usize,
    holds: PhantomData<fn() -> T>,
}

impl<T: ArrayItem> Array<T> {
    /// An array of this shape, whose numbers, all zero at first, `fill` writes.
    ///
    /// # Panics
    /// If it has over 64 dimensions, or more bytes than there can be.
    #[must_use]
    pub fn build(shape: impl Into<Vec<usize>>, fill: impl FnOnce(&mut [T])) -> Self {
        let shape = shape.into().into_boxed_slice();
        assert!(shape.len() <= DIMENSIONS, "an array of {} dimensions: at most {DIMENSIONS}", shape.len());
        let start = start_behind(shape.len());
        let size = size_of_all::<T>(&shape).and_then(|size| size.checked_add(start + ALIGNMENT));
        // Where the system puts it is a multiple of 16 at best; large ones are moved to the next multiple of 64.
        let mut buffer = BytesMut::zeroed(size.expect("an array of more bytes than there can be"));
        let shift = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let _ = buffer.split_to(shift);
        buffer.truncate(buffer.len() - (ALIGNMENT - shift));
        write_header::<T>(&shape, &mut buffer);
        fill(bytemuck::cast_slice_mut(&mut buffer[start..]));
        Self { shape, bytes: buffer.freeze(), start, holds: PhantomData }
    }

    /// An array of one dimension with these numbers.
    #[must_use]
    pub fn from_slice(numbers: &[T]) -> Self {
        Self::build([numbers.len()], |all| all.copy_from_slice(numbers))
    }

    /// The same numbers in another shape: a copy.
    ///
    /// # Errors
    /// If there are more or fewer numbers than the shape has.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Result<Self> {
        let shape = shape.into();
        if shape.iter().try_fold(1_usize, |all, length| all.checked_mul(*length)) != Some(self.len()) {
            let message = format!("an array of {} numbers cannot be one of the shape {shape:?}", self.len());
            return Err(Error::Invalid(Problem::new(message).with_hint("the lengths multiplied are its numbers")));
        }
        Ok(Self::build(shape, |numbers| numbers.copy_from_slice(self)))
    }

    /// The parts along the first dimension: the rows of a matrix.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        let rows = self.shape.first().copied().unwrap_or(1);
        let width = self.len() / rows.max(1);
        (0..rows).map(move |row| &self[row * width..(row + 1) * width])
    }

    /// Reads what stands in a payload.
    fn open(bytes: &Bytes) -> Result<Self, CodecError> {
        let refused = |reason: String| CodecError::Decode { what: type_name::<Self>(), reason };
        let (kind, shape) = read_header(bytes).ok_or_else(|| refused("its header is damaged".to_owned()))?;
        if kind != T::KIND {
            return Err(refused(format!("its numbers are of the kind `{kind}`, not `{}`", T::KIND)));
        }
        let start = start_behind(shape.len());
        if size_of_all::<T>(&shape).and_then(|size| size.checked_add(start)) != Some(bytes.len()) {
            return Err(refused(format!("it has {} bytes, which its shape {shape:?} does not say", bytes.len())));
        }
        if bytemuck::try_cast_slice::<u8, T>(&bytes[start..]).is_ok() {
            return Ok(Self { shape, bytes: bytes.clone(), start, holds: PhantomData });
        }
        // A small one, beside a message, begins anywhere.
        Ok(Self::build(shape, |numbers| bytemuck::cast_slice_mut(numbers).copy_from_slice(&bytes[start..])))
    }
}

impl<T> Array<T> {
    /// The length of each dimension.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
}

/// Where the numbers begin behind a header of so many dimensions.
const fn start_behind(dimensions: usize) -> usize {
    (NUMBER * (2 + dimensions)).next_multiple_of(ALIGNMENT)
}

/// The bytes of all numbers.
fn size_of_all<T>(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(size_of::<T>(), |all, length| all.checked_mul(*length))
}

fn write_header<T: ArrayItem>(shape: &[usize], out: &mut [u8]) {
    out[..T::KIND.len()].copy_from_slice(T::KIND.as_bytes());
    let numbers = std::iter::once(shape.len()).chain(shape.iter().copied());
    for (place, number) in out[NUMBER..].chunks_exact_mut(NUMBER).zip(numbers) {
        place.copy_from_slice(&(number as u64).to_le_bytes());
    }
}

/// The kind of the numbers, and the shape.
fn read_header(bytes: &[u8]) -> Option<(&str, Box<[usize]>)> {
    let (fields, _) = bytes.as_chunks::<NUMBER>();
    let number = |place: usize| usize::try_from(u64::from_le_bytes(*fields.get(place)?)).ok();
    let kind = std::str::from_utf8(fields.first()?).ok()?.trim_end_matches('\0');
    let dimensions = number(1).filter(|count| *count <= DIMENSIONS)?;
    Some((kind, (0..dimensions).map(|dimension| number(2 + dimension)).collect::<Option<_>>()?))
}

impl<T: ArrayItem> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.bytes[self.start..])
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self { shape: self.shape.clone(), bytes: self.bytes.clone(), start: self.start, holds: PhantomData }
    }
}

impl<T: ArrayItem + PartialEq> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && **self == **other
    }
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Array<{}>({:?})", type_name::<T>(), self.shape)
    }
}

#[diagnostic::do_not_recommend]
impl<T: ArrayItem> Portable for Array<T> {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        Ok((Encoding::Array, self.bytes.clone()))
    }

    fn from_encoded((encoding, bytes): &Encoded) -> Result<Self, CodecError> {
        match encoding {
            Encoding::Array => Self::open(bytes),
            found => Err(CodecError::WrongType { expected: type_name::<Self>(), found: *found }),
        }
    }

    fn from_list(_: &[Encoded]) -> Result<Self, CodecError> {
        let reason = "a list of results was given for an array".to_owned();
        Err(CodecError::Decode { what: type_name::<Self>(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Array<i32> {
        Array::build(shape, |numbers| numbers.iter_mut().zip(0..).for_each(|(number, n)| *number = n))
    }

    #[test]
    fn an_array_arrives_as_it_was_wherever_its_bytes_begin() {
        for shape in [&[2, 3, 4][..], &[], &[0, 5], &[7]] {
            let array = counted(shape);
            let (encoding, bytes) = array.to_encoded().unwrap();
            for shift in 0..8 {
                let moved = Bytes::from([vec![0; shift], bytes.to_vec()].concat()).slice(shift..);
                assert_eq!(Array::from_encoded(&(encoding, moved)).unwrap(), array);
            }
        }
    }

    #[test]
    fn the_numbers_begin_at_a_multiple_of_64() {
        for size in [1, 1000, 1_000_000] {
            let array = Array::from_slice(&vec![1.5_f64; size]);
            assert_eq!((array.len(), array.as_ptr().align_offset(ALIGNMENT)), (size, 0));
        }
    }

    #[test]
    fn rows_are_the_parts_along_the_first_dimension() {
        let rows: Vec<Vec<i32>> = counted(&[2, 3]).rows().map(<[i32]>::to_vec).collect();
        assert_eq!(rows, [[0, 1, 2], [3, 4, 5]]);
        assert_eq!(counted(&[]).rows().len(), 1);
        assert_eq!(counted(&[6]).reshaped([3, 2]).unwrap(), counted(&[3, 2]));
        assert!(counted(&[6]).reshaped([4, 2]).is_err());
    }

    #[test]
    fn another_kind_of_numbers_and_damage_are_refused() {
        let (encoding, bytes) = counted(&[2, 3]).to_encoded().unwrap();
        let error = Array::<f64>::from_encoded(&(encoding, bytes.clone())).unwrap_err().to_string();
        assert!(error.contains("of the kind `<i4`, not `<f8`"), "{error}");
        for cut in [0, 7, 15, 30, bytes.len() - 1] {
            assert!(Array::<i32>::from_encoded(&(encoding, bytes.slice(..cut))).is_err(), "cut at {cut}");
        }
        let mut absurd = bytes.to_vec();
        absurd[16..24].fill(0xff);
        assert!(Array::<i32>::from_encoded(&(encoding, absurd.into())).is_err());
        assert!(Array::<i32>::from_encoded(&(Encoding::Raw, bytes)).is_err());
    }
}
