//! A run of numbers that is shared until somebody writes to it: in memory of its own, or in place in a value's bytes.
use bytemuck::Pod;
use bytes::Bytes;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Numbers in a row. Clones share them; who writes gets a copy of its own first, unless nobody else has them.
#[derive(Clone)]
pub enum Numbers<T> {
    Owned(Arc<Vec<T>>),
    /// Bytes that are whole numbers and begin where numbers may: see [`Numbers::in_place`].
    InPlace(Bytes),
}

impl<T: Pod + Send + Sync> Numbers<T> {
    /// The numbers these bytes are, in the order of this machine: in place, or as a copy if they begin where numbers may
    /// not. What is behind the last whole number is left out.
    pub(super) fn in_place(bytes: Bytes) -> Self {
        if bytemuck::try_cast_slice::<u8, T>(&bytes).is_ok() {
            return Self::InPlace(bytes);
        }
        let whole = bytes.chunks_exact(size_of::<T>());
        Self::from(whole.map(bytemuck::pod_read_unaligned).collect::<Vec<T>>())
    }

    /// Their bytes in the order of this machine, shared.
    pub(super) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Owned(numbers) => Bytes::from_owner(AsBytes(Arc::clone(numbers))),
            Self::InPlace(bytes) => bytes.clone(),
        }
    }

    /// For writing.
    pub(super) fn to_mut(&mut self) -> &mut [T] {
        if let Self::InPlace(_) = self {
            *self = Self::from(self.to_vec());
        }
        match self {
            Self::Owned(numbers) => Arc::make_mut(numbers).as_mut_slice(),
            Self::InPlace(_) => unreachable!("it has just been copied"),
        }
    }
}

impl<T> From<Vec<T>> for Numbers<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self::Owned(Arc::new(numbers))
    }
}

impl<T: Pod> Deref for Numbers<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(numbers) => numbers,
            Self::InPlace(bytes) => bytemuck::cast_slice(bytes),
        }
    }
}

impl<T: Pod + PartialEq> PartialEq for Numbers<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Numbers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Shared numbers that are handed out as bytes.
struct AsBytes<T>(Arc<Vec<T>>);

impl<T: Pod> AsRef<[u8]> for AsBytes<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_until_one_is_written_to() {
        let mut one = Numbers::from(vec![1.0_f64, 2.0]);
        let other = one.clone();
        assert!(std::ptr::eq(&raw const one[0], &raw const other[0]));
        one.to_mut()[0] = 5.0;
        assert_eq!((&*one, &*other), (&[5.0, 2.0][..], &[1.0, 2.0][..]));
    }

    #[test]
    fn bytes_are_read_in_place_and_never_written() {
        let numbers = Numbers::from(vec![1.0_f32, 2.0]);
        let bytes = numbers.to_bytes();
        let mut in_place = Numbers::<f32>::in_place(bytes.clone());
        assert_eq!(in_place.as_ptr().cast(), bytes.as_ptr());
        in_place.to_mut()[1] = 7.0;
        assert_eq!((&*in_place, &*numbers), (&[1.0, 7.0][..], &[1.0, 2.0][..]));
    }

    #[test]
    fn bytes_that_begin_anywhere_are_read_as_well() {
        let bytes = Numbers::from(vec![0.0_f64, 3.5]).to_bytes();
        let shifted = Bytes::from([&[0], &bytes[..]].concat()).slice(1..);
        let shifted = Numbers::<f64>::in_place(shifted.slice(..));
        assert_eq!(*shifted, [0.0, 3.5]);
    }
}
