//! One value on its way into the store: what has arrived of it is written where it stays; who sends it is known elsewhere.
use super::pieces::Pieces;
use crate::arguments::Output;
use crate::failure::TaskError;
use crate::store::Incoming;
use bytes::{Bytes, BytesMut};
use quiltwork_transport::Arriving;
use quiltwork_types::Encoding;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::watch;

/// A value that is being fetched.
pub(super) struct Landing {
    encoding: Encoding,
    size: u64,
    /// Taken out when it is whole.
    incoming: RwLock<Option<Box<dyn Incoming>>>,
    pieces: Mutex<Pieces>,
    /// Rung whenever something has arrived.
    news: watch::Sender<()>,
}

impl Landing {
    /// For the value of which this is the first stretch.
    pub(super) fn new(first: &Arriving, incoming: Box<dyn Incoming>) -> Self {
        let (encoding, size) = (first.encoding(), first.size());
        let pieces = Mutex::new(Pieces::behind(first.left(), size));
        Self { encoding, size, incoming: RwLock::new(Some(incoming)), pieces, news: watch::Sender::default() }
    }

    /// Whether this is a stretch of the same value, namely the one that was asked for.
    pub(super) fn fits(&self, arriving: &Arriving, asked: &Range<u64>) -> bool {
        (arriving.encoding(), arriving.size(), &arriving.left()) == (self.encoding, self.size, asked)
    }

    /// The foremost bytes nobody was asked for, at most `longest`; from now on somebody is.
    pub(super) fn take(&self, longest: u64) -> Option<Range<u64>> {
        self.pieces().take(longest)
    }

    /// What was taken, or the rest of it, does not come.
    pub(super) fn give_back(&self, range: Range<u64>) {
        self.pieces().give_back(range);
    }

    /// Writes what has arrived, from this place of the value on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, offset: u64, chunks: &[Bytes]) -> Result<(), TaskError> {
        let mut slices: Vec<_> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
        let incoming = self.incoming.read().unwrap_or_else(PoisonError::into_inner);
        incoming.as_ref().expect("nothing arrives behind the last byte").write_at(offset, &mut slices)?;
        let length: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        self.pieces().arrive(offset..offset + length);
        self.news.send_replace(());
        Ok(())
    }

    /// How to read the value, its size in bytes, and a bell that rings whenever something has arrived.
    pub(super) fn head(&self) -> (Encoding, u64, watch::Receiver<()>) {
        (self.encoding, self.size, self.news.subscribe())
    }

    /// What has arrived of the beginning of this stretch; none if it cannot be read here any more.
    pub(super) fn read(&self, range: Range<u64>) -> Option<Bytes> {
        let end = self.pieces().reach(range.start).min(range.end);
        let length = usize::try_from(end - range.start).expect("a small part of what is here");
        let mut bytes = BytesMut::zeroed(length);
        let incoming = self.incoming.read().unwrap_or_else(PoisonError::into_inner);
        incoming.as_ref()?.read_at(range.start, &mut bytes).ok()?;
        Some(bytes.freeze())
    }

    /// Keeps the value; none if something is missing.
    ///
    /// # Errors
    /// If it cannot be kept.
    pub(super) fn finish(&self) -> Result<Option<Output>, TaskError> {
        if !self.pieces().is_whole() {
            return Ok(None);
        }
        let incoming = self.incoming.write().unwrap_or_else(PoisonError::into_inner).take();
        incoming.map(Incoming::finish).transpose()
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
