//! Blobs that are read piece by piece: what a task takes that needs only a part of another task's result.
use crate::Handle;
use crate::argument::{Argument, Encoded, Form, IntoArgument, Portable};
use crate::blob::Blob;
use crate::error::{Error, Problem, Result};
use crate::graph::Value;
use quiltwork_protocol::codec::CodecError;
use quiltwork_types::Encoding;
use quiltwork_worker::ValueReader;
use std::any::type_name;
use std::fmt;
use std::ops::{Deref, Range};

/// A [`Blob`] as a parameter of a task that reads only parts of it.
///
/// A task that takes a `Blob` starts when all of it has been brought to its node. One that takes a `BlobReader` starts
/// at once, and brings only the ranges it reads; on the node where the blob is, nothing moves at all. If every worker
/// that held the blob is lost while the task reads, reading fails and the task runs again when the blob is there again;
/// that counts as no failure of the task.
///
/// What is given for it is a `Value<Blob>` or a `Handle<Blob>`, or a [`Blob`] itself. For many, take [`BlobReaders`].
///
/// ```
/// use quiltwork::{Blob, BlobReader, Graph, Value};
///
/// #[quiltwork::task]
/// fn squares(count: u64) -> Blob {
///     (0..count).flat_map(|n| (n * n).to_le_bytes()).collect::<Vec<u8>>().into()
/// }
///
/// #[quiltwork::task]
/// fn square_of(squares: BlobReader, n: u64) -> quiltwork::Result<u64> {
///     let bytes = squares.read(8 * n..8 * n + 8)?;
///     Ok(u64::from_le_bytes(bytes[..].try_into().expect("eight bytes were asked for")))
/// }
///
/// let mut graph = Graph::new();
/// let table: Value<Blob> = graph.add(squares(1_000_000));
/// let _: Value<u64> = graph.add(square_of(table, 12));
///
/// assert_eq!(square_of::call(squares::call(20).into(), 12).unwrap(), 144);
/// ```
pub struct BlobReader(Origin);

enum Origin {
    Here(Blob),
    Elsewhere(ValueReader),
}

impl BlobReader {
    /// How many bytes the blob has.
    #[must_use]
    pub fn len(&self) -> u64 {
        match &self.0 {
            Origin::Here(blob) => blob.len() as u64,
            Origin::Elsewhere(reader) => reader.size(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// These bytes of the blob. Waits for them if they must travel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the blob has no such range, [`Error::ConnectionLost`] if nobody has the blob any more: the
    /// task will run again, whatever it makes of that.
    pub fn read(&self, range: Range<u64>) -> Result<Blob> {
        if range.start > range.end || range.end > self.len() {
            let message = format!("a blob of {} bytes has no range {}..{}", self.len(), range.start, range.end);
            return Err(Error::Invalid(Problem::new(message).with_hint("stay within its `len()`")));
        }
        match &self.0 {
            Origin::Here(blob) => Ok(blob.slice(in_memory(range.start)..in_memory(range.end))),
            Origin::Elsewhere(reader) => {
                let read = reader.read(range).map_err(|gone| Error::ConnectionLost(Problem::new(gone.to_string())));
                read.map(Blob::of)
            }
        }
    }
}

fn in_memory(offset: u64) -> usize {
    usize::try_from(offset).expect("an offset in bytes that are here")
}

impl From<Blob> for BlobReader {
    fn from(blob: Blob) -> Self {
        Self(Origin::Here(blob))
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobReader({} bytes)", self.len())
    }
}

#[diagnostic::do_not_recommend]
impl Portable for BlobReader {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        let all = self.read(0..self.len());
        all.map_err(|error| CodecError::Encode { what: type_name::<Self>(), reason: error.to_string() })?.to_encoded()
    }

    fn from_encoded(value: &Encoded) -> Result<Self, CodecError> {
        Blob::from_encoded(value).map(Self::from)
    }

    fn from_list(items: &[Encoded]) -> Result<Self, CodecError> {
        Blob::from_list(items).map(Self::from)
    }

    fn from_reader(reader: ValueReader) -> Result<Self, CodecError> {
        match reader.encoding() {
            Encoding::Raw => Ok(Self(Origin::Elsewhere(reader))),
            found @ (Encoding::Bincode(_) | Encoding::Pickle | Encoding::Actor) => {
                Err(CodecError::WrongType { expected: type_name::<Self>(), found })
            }
        }
    }
}

/// Many [`BlobReader`]s, in order: what a task takes that reads parts of many results.
///
/// What is given for it is a list of results, such as a `Vec<Value<Blob>>` or a slice of `Handle<Blob>`s.
///
/// ```
/// use quiltwork::{Blob, BlobReaders, Graph, Value};
///
/// #[quiltwork::task]
/// fn zeros(count: usize) -> Blob {
///     vec![0; count].into()
/// }
///
/// #[quiltwork::task]
/// fn total(blobs: BlobReaders) -> u64 {
///     blobs.iter().map(|blob| blob.len()).sum()
/// }
///
/// let mut graph = Graph::new();
/// let blobs: Vec<Value<Blob>> = (0..5).map(|count| graph.add(zeros(count))).collect();
/// let _: Value<u64> = graph.add(total(blobs));
/// ```
#[derive(Debug)]
pub struct BlobReaders(Vec<BlobReader>);

impl Deref for BlobReaders {
    type Target = [BlobReader];

    fn deref(&self) -> &[BlobReader] {
        &self.0
    }
}

impl IntoIterator for BlobReaders {
    type Item = BlobReader;
    type IntoIter = std::vec::IntoIter<BlobReader>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Blob> for BlobReaders {
    fn from_iter<I: IntoIterator<Item = Blob>>(blobs: I) -> Self {
        Self(blobs.into_iter().map(BlobReader::from).collect())
    }
}

#[diagnostic::do_not_recommend]
impl Portable for BlobReaders {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        let reason = "a blob travels by itself: give a list of results".to_owned();
        Err(CodecError::Encode { what: type_name::<Self>(), reason })
    }

    fn from_encoded(_: &Encoded) -> Result<Self, CodecError> {
        let reason = "one value was given for a list of blobs".to_owned();
        Err(CodecError::Decode { what: type_name::<Self>(), reason })
    }

    fn from_list(items: &[Encoded]) -> Result<Self, CodecError> {
        items.iter().map(Blob::from_encoded).collect()
    }

    fn from_readers(readers: Vec<ValueReader>) -> Result<Self, CodecError> {
        readers.into_iter().map(BlobReader::from_reader).collect::<Result<_, _>>().map(Self)
    }
}

#[diagnostic::do_not_recommend]
impl IntoArgument<BlobReader> for Blob {
    fn into_argument(self) -> Argument {
        IntoArgument::<Self>::into_argument(self)
    }
}

/// Lets results that are blobs stand for readers.
macro_rules! results_are_read {
    ($one:ident, $source:expr) => {
        #[diagnostic::do_not_recommend]
        impl IntoArgument<BlobReader> for $one<Blob> {
            fn into_argument(self) -> Argument {
                IntoArgument::<BlobReader>::into_argument(&self)
            }
        }

        #[diagnostic::do_not_recommend]
        impl IntoArgument<BlobReader> for &$one<Blob> {
            fn into_argument(self) -> Argument {
                Argument(Form::Reference($source(self)))
            }
        }

        #[diagnostic::do_not_recommend]
        impl IntoArgument<BlobReaders> for Vec<$one<Blob>> {
            fn into_argument(self) -> Argument {
                IntoArgument::<BlobReaders>::into_argument(&self[..])
            }
        }

        #[diagnostic::do_not_recommend]
        impl IntoArgument<BlobReaders> for &[$one<Blob>] {
            fn into_argument(self) -> Argument {
                Argument(Form::References(self.iter().map($source).collect()))
            }
        }
    };
}

results_are_read!(Value, Value::source);
results_are_read!(Handle, Handle::source);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_slice_of_what_is_here() {
        let blob = Blob::from(vec![1, 2, 3, 4]);
        let reader = BlobReader::from(blob.clone());
        let part = reader.read(1..3).unwrap();
        assert_eq!(part[..], [2, 3]);
        assert_eq!(part.as_ptr(), blob[1..].as_ptr(), "nothing was copied");
        assert_eq!(reader.read(4..4).unwrap().len(), 0);
        for wrong in [3..5, 5..5, 9..20] {
            assert!(reader.read(wrong).unwrap_err().hint().is_some());
        }
    }

    #[test]
    fn readers_and_values_are_not_taken_for_each_other() {
        let list = vec![1_u8].to_encoded().unwrap();
        assert!(BlobReader::from_encoded(&list).is_err());
        assert!(BlobReaders::from_list(&[list]).is_err());
        assert_eq!(BlobReaders::from_list(&[Blob::from(vec![7]).to_encoded().unwrap()]).unwrap()[0].len(), 1);
    }
}
