//! What one step leaves for the next: encoded sections in one row of bytes, with an index. It knows no step.
use super::error::DataError;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The result of one task of a pipeline. Each section is read by itself: batches of records one after the other, or
/// what a shuffle sends to each target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// How many records there are in all sections together.
    records: u64,
    /// Where each section ends.
    ends: Vec<u64>,
    bytes: Bytes,
}

impl Piece {
    /// A piece of one section that is no record.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub(super) fn of_note<T: Serialize>(note: &T) -> Result<Self, DataError> {
        let mut piece = PieceWriter::default();
        piece.push_note(note)?;
        Ok(piece.finish())
    }

    /// How many records there are in all sections together.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// How many sections there are.
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Decodes one section.
    ///
    /// # Errors
    /// If there is no such section, or it is no `T`.
    pub(super) fn section<T: DeserializeOwned>(&self, index: usize) -> Result<T, DataError> {
        let bytes = self.range(index).and_then(|(start, end)| self.bytes.get(start..end));
        let bytes = bytes.ok_or_else(|| DataError::Damaged(format!("there is no section {index}")))?;
        crate::from_bytes(bytes).map_err(|error| DataError::Damaged(error.to_string()))
    }

    fn range(&self, index: usize) -> Option<(usize, usize)> {
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some((usize::try_from(start).ok()?, usize::try_from(*self.ends.get(index)?).ok()?))
    }
}

/// Writes a [`Piece`] section by section.
#[derive(Debug, Default)]
pub(super) struct PieceWriter {
    records: u64,
    ends: Vec<u64>,
    bytes: Vec<u8>,
}

impl PieceWriter {
    /// Adds a section of records.
    ///
    /// # Errors
    /// If a record's `Serialize` fails.
    pub(super) fn push<T: Serialize>(&mut self, records: &[T]) -> Result<(), DataError> {
        self.records += records.len() as u64;
        self.push_note(&records)
    }

    /// Adds a section that is no record: it does not count.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub(super) fn push_note<T: Serialize>(&mut self, note: &T) -> Result<(), DataError> {
        let encoded = crate::to_bytes(note).map_err(|error| DataError::Unencodable(error.to_string()))?;
        self.bytes.extend_from_slice(&encoded);
        self.ends.push(self.bytes.len() as u64);
        Ok(())
    }

    pub(super) fn finish(self) -> Piece {
        Piece { records: self.records, ends: self.ends, bytes: self.bytes.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_read_by_themselves() {
        let mut writer = PieceWriter::default();
        writer.push(&["a", "b"]).unwrap();
        writer.push_note(&7_u64).unwrap();
        writer.push::<String>(&[]).unwrap();
        let piece = writer.finish();
        assert_eq!((piece.len(), piece.records()), (3, 2));
        assert_eq!(piece.section::<u64>(1).unwrap(), 7);
        assert_eq!(piece.section::<Vec<String>>(0).unwrap(), ["a", "b"]);
        assert!(piece.section::<Vec<String>>(2).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_there_is_refused() {
        assert!(Piece::default().section::<u64>(0).is_err());
        let forged = Piece { records: 1, ends: vec![9, 3], bytes: Bytes::from_static(b"abc") };
        assert!(forged.section::<u64>(0).is_err());
        assert!(forged.section::<u64>(1).is_err());
    }
}
