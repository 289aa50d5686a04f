//! Bytes that travel as they are: written once, mapped by whoever reads them on the same node, never decoded.
use crate::argument::{Encoded, Portable};
use crate::error::{Error, Problem, Result};
use bytes::Bytes;
use quiltwork_protocol::codec::CodecError;
use quiltwork_types::Encoding;
use std::fmt;
use std::ops::{Deref, Range};

/// Bytes as a parameter or result of a task.
///
/// A large result is copied once, into the shared memory of its node; every task and client there reads it in place, at
/// an address that is a multiple of 64. Clones share the bytes. They never change.
///
/// A blob travels by itself: it cannot be a part of another value.
///
/// ```
/// use quiltwork::Blob;
///
/// #[quiltwork::task]
/// fn squares(count: u32) -> Blob {
///     let squares: Vec<f64> = (0..count).map(|n| f64::from(n * n)).collect();
///     Blob::from_slice_of(&squares)
/// }
///
/// #[quiltwork::task]
/// fn sum(numbers: Blob) -> quiltwork::Result<f64> {
///     Ok(numbers.as_slice_of::<f64>()?.iter().sum())
/// }
///
/// assert_eq!(sum::call(squares::call(4)).unwrap(), 14.0);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blob(Bytes);

/// Numbers a [`Blob`] can be read as in place.
pub trait BlobItem: bytemuck::Pod {}

macro_rules! items {
    ($($number:ty)*) => {$(impl BlobItem for $number {})*};
}

items! { u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64 }

impl Blob {
    /// A blob with the bytes of these numbers, in the order of this machine.
    #[must_use]
    pub fn from_slice_of<T: BlobItem>(numbers: &[T]) -> Self {
        Self(Bytes::copy_from_slice(bytemuck::cast_slice(numbers)))
    }

    /// A part of it, which shares its bytes.
    ///
    /// # Panics
    /// If it has no such range.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self(self.0.slice(range))
    }

    pub(crate) const fn of(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes as numbers, in place. Not every slice of bytes begins where numbers may; what a task was given or a
    /// client has fetched does if it is large.
    ///
    /// # Errors
    /// If the bytes are not a whole number of them, or do not begin at a multiple of their alignment.
    pub fn as_slice_of<T: BlobItem>(&self) -> Result<&[T]> {
        bytemuck::try_cast_slice(&self.0).map_err(|reason| {
            let (length, kind) = (self.len(), std::any::type_name::<T>());
            let message = format!("a blob of {length} bytes cannot be read as {kind}s in place: {reason}");
            Error::Invalid(Problem::new(message).with_hint("read it byte by byte, or make it of whole numbers"))
        })
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Blob {
    /// Without a copy.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

#[diagnostic::do_not_recommend]
impl Portable for Blob {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        Ok((Encoding::Raw, self.0.clone()))
    }

    fn from_encoded((encoding, bytes): &Encoded) -> Result<Self, CodecError> {
        match encoding {
            Encoding::Raw => Ok(Self(bytes.clone())),
            Encoding::Bincode(_) | Encoding::Pickle | Encoding::Actor => {
                Err(CodecError::WrongType { expected: std::any::type_name::<Self>(), found: *encoding })
            }
        }
    }

    fn from_list(_: &[Encoded]) -> Result<Self, CodecError> {
        let reason = "a list of results was given for a blob".to_owned();
        Err(CodecError::Decode { what: std::any::type_name::<Self>(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_place() {
        let blob = Blob::from_slice_of(&[1.5_f64, -2.0]);
        assert_eq!(blob.len(), 16);
        let bytes = Blob::from(vec![0_u8; 7]);
        let error = bytes.as_slice_of::<f64>().unwrap_err();
        assert!(error.to_string().starts_with("a blob of 7 bytes cannot be read as f64s"), "{error}");
        assert_eq!(bytes.as_slice_of::<u8>().unwrap(), &[0; 7]);
    }

    #[test]
    fn a_blob_and_a_value_are_not_taken_for_each_other() {
        let (blob, list) = (Blob::from(vec![1, 2, 3]), vec![1_u8, 2, 3]);
        assert_eq!(Blob::from_encoded(&blob.to_encoded().unwrap()).unwrap(), blob);
        assert!(Blob::from_encoded(&list.to_encoded().unwrap()).is_err());
        assert!(Vec::<u8>::from_encoded(&blob.to_encoded().unwrap()).is_err());
        assert!(Blob::from_list(&[blob.to_encoded().unwrap()]).is_err());
    }
}
