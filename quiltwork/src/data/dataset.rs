//! A partitioned data set outside of pipelines: its pieces, here or in a cluster. It describes no step.
use super::error::DataError;
use super::piece::PieceWriter;
use super::record::Record;
use crate::{Blob, Client, Handle};
use std::fmt;
use std::marker::PhantomData;

/// Records in partitions that exist: what pipelines are given, and what [persisting](super::Pipeline::persist) leaves.
/// Clones are the same data set.
///
/// What a cluster holds of it is freed with the last clone.
pub struct Dataset<T> {
    parts: Vec<Part>,
    holds: PhantomData<fn() -> T>,
}

/// One partition.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Here(Blob),
    InCluster(Handle<Blob>),
}

impl<T: Record> Dataset<T> {
    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.parts.len()
    }

    pub(super) const fn new(parts: Vec<Part>) -> Self {
        Self { parts, holds: PhantomData }
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.parts
    }
}

/// Cuts the items into this many partitions of equal size (0 counts as 1), in their order.
///
/// # Errors
/// If an item cannot be encoded.
///
/// ```
/// let numbers = quiltwork::data::from_iter(0..1000_u64, 8)?;
/// assert_eq!(numbers.partitions(), 8);
/// # Ok::<(), quiltwork::data::DataError>(())
/// ```
pub fn from_iter<T: Record>(items: impl IntoIterator<Item = T>, partitions: u32) -> Result<Dataset<T>, DataError> {
    let items: Vec<T> = items.into_iter().collect();
    let (count, all) = (partitions.max(1) as usize, items.len());
    let border = |index: usize| index * (all / count) + index.min(all % count);
    let cut = (0..count).map(|index| &items[border(index)..border(index + 1)]);
    Ok(Dataset::new(cut.map(|items| Ok(Part::Here(piece(items)?))).collect::<Result<_, DataError>>()?))
}

/// One partition for each of the items.
pub(super) fn one_each<T: Record>(items: Vec<T>) -> Result<Dataset<T>, DataError> {
    let parts = items.iter().map(|item| Ok(Part::Here(piece(std::slice::from_ref(item))?)));
    Ok(Dataset::new(parts.collect::<Result<_, DataError>>()?))
}

fn piece<T: Record>(items: &[T]) -> Result<Blob, DataError> {
    let mut piece = PieceWriter::default();
    items.iter().try_for_each(|item| piece.push(item))?;
    Ok(piece.finish())
}

impl Part {
    /// The partition in a cluster: brought there if need be.
    pub(super) fn bring(self, client: &Client) -> Result<Handle<Blob>, crate::Error> {
        match self {
            Self::Here(piece) => client.put(&piece),
            Self::InCluster(handle) => Ok(handle),
        }
    }

    /// The partition here: fetched if need be.
    pub(super) fn fetch(self) -> Result<Blob, DataError> {
        match self {
            Self::Here(piece) => Ok(piece),
            Self::InCluster(handle) => Ok(handle.wait()?),
        }
    }
}

impl<T> Clone for Dataset<T> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone(), holds: PhantomData }
    }
}

impl<T> fmt::Debug for Dataset<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("partitions", &self.parts.len()).finish_non_exhaustive()
    }
}
