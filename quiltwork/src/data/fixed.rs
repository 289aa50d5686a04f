//! Records that are nothing but a fixed number of bytes. They know no file.
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A record of exactly `N` bytes. Records are ordered as their bytes are.
///
/// Unlike an array, which is encoded byte by byte, it travels in one go, whatever its length is.
///
/// ```
/// use quiltwork::data::FixedRecord;
///
/// let record = FixedRecord(*b"key, value");
/// let key: [u8; 3] = record.part(0);
/// assert_eq!(&key, b"key");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FixedRecord<const N: usize>(pub [u8; N]);

impl<const N: usize> FixedRecord<N> {
    /// The `M` bytes that begin at `start`: a key, say.
    ///
    /// # Panics
    /// If the record has no such part.
    #[must_use]
    pub fn part<const M: usize>(&self, start: usize) -> [u8; M] {
        self.0[start..start + M].try_into().expect("a slice of M bytes")
    }
}

impl<const N: usize> Deref for FixedRecord<N> {
    type Target = [u8; N];

    fn deref(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> DerefMut for FixedRecord<N> {
    fn deref_mut(&mut self) -> &mut [u8; N] {
        &mut self.0
    }
}

impl<const N: usize> fmt::Debug for FixedRecord<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FixedRecord(\"{}\")", self.0.escape_ascii())
    }
}

impl<const N: usize> Serialize for FixedRecord<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for FixedRecord<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Takes `N` bytes, in whatever form a format gives them.
struct Bytes<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for Bytes<N> {
    type Value = FixedRecord<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{N} bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<FixedRecord<N>, E> {
        bytes.try_into().map(FixedRecord).map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<FixedRecord<N>, A::Error> {
        let mut record = [0; N];
        for (at, byte) in record.iter_mut().enumerate() {
            *byte = bytes.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
        }
        Ok(FixedRecord(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_in_every_format_and_no_other_length_does() {
        let record = FixedRecord([7_u8; 300]);
        let bytes = crate::to_bytes(&record).unwrap();
        assert_eq!(bytes.len(), 303, "its bytes and their length");
        assert_eq!(crate::from_bytes::<FixedRecord<300>>(&bytes).unwrap(), record);
        assert!(crate::from_bytes::<FixedRecord<299>>(&bytes).is_err());
        let json = serde_json::to_string(&FixedRecord(*b"ab")).unwrap();
        assert_eq!(serde_json::from_str::<FixedRecord<2>>(&json).unwrap(), FixedRecord(*b"ab"));
        assert!(serde_json::from_str::<FixedRecord<3>>(&json).is_err());
    }
}
