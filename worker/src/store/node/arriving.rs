//! A value on its way into the store of a node: written piece by piece into its file, then kept.
use super::{Claim, Mapped, NodeStore};
use crate::area::{Draft, Place};
use crate::arguments::Output;
use crate::failure::TaskError;
use crate::store::room::Counted;
use crate::store::{Incoming, Origin};
use quiltwork_types::{Encoding, ValueId};
use std::io::IoSlice;
use std::sync::Arc;

/// A value that comes in pieces.
pub(super) struct Arriving {
    pub(super) store: Arc<NodeStore>,
    pub(super) value: ValueId,
    pub(super) origin: Origin,
    pub(super) encoding: Encoding,
    pub(super) draft: Draft,
    pub(super) counted: Counted,
}

impl Incoming for Arriving {
    fn write_at(&self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), TaskError> {
        let written = self.draft.write_at(offset, slices);
        written.map_err(|error| self.store.not_written(self.counted.size(), self.draft.place(), error))
    }

    fn finish(self: Box<Self>) -> Result<Output, TaskError> {
        let Self { store, value, origin, encoding, draft, counted } = *self;
        // Mapped before it has a name: then it may be gone at any time.
        let bytes = draft.map().map_err(TaskError::StoreBroken)?;
        let part = draft.seal().map_err(TaskError::StoreBroken)?;
        let output = Output { encoding, bytes };
        let mut held = store.held(origin, Claim::Own { place: part.place(), counted });
        held.mapped = (part.place() == Place::Memory).then(|| Mapped::own(output.clone()));
        store.enter(value, part, held)?;
        Ok(output)
    }
}
