//! Reading a value piece by piece while an attempt runs: in place if a worker of this node holds it, otherwise only the
//! bytes that are asked for travel. Nothing of it is kept.
use crate::peers::Peers;
use crate::store::ValueStore;
use crate::wheel::Wheel;
use bytes::Bytes;
use quiltwork_protocol::{ByteRange, Holder};
use quiltwork_types::{Encoding, ValueId, WorkerId};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use tokio::runtime::Handle;

/// An input of which an attempt reads what it needs.
pub struct ValueReader {
    encoding: Encoding,
    size: u64,
    source: Source,
}

enum Source {
    /// It came with the attempt.
    Here(Bytes),
    /// It stays where it is.
    Held(Box<Held>),
}

struct Held {
    value: ValueId,
    holders: Vec<Holder>,
    way: Arc<Way>,
    absences: Arc<Absences>,
    /// All of it, if a worker of this node holds it; looked for at the first reading.
    mapped: OnceLock<Option<Bytes>>,
}

/// How readers get at values, from whatever thread they are used on.
pub(crate) struct Way {
    pub(crate) store: Arc<dyn ValueStore>,
    pub(crate) peers: Arc<Peers>,
    /// Where fetches run.
    pub(crate) runtime: Handle,
    pub(crate) wheel: Arc<Wheel>,
}

/// The values an attempt wanted to read and nobody had, with each worker that was tried: however its function takes
/// that, the attempt is given back.
#[derive(Debug, Default)]
pub(crate) struct Absences(Mutex<Vec<(ValueId, WorkerId)>>);

/// A value could not be read, because nobody had it any more. The attempt is given back when its function ends, and
/// starts again when the value is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is gone from where it was; the task will run again")]
pub struct ValueGone(pub ValueId);

impl ValueReader {
    pub(crate) const fn here(encoding: Encoding, bytes: Bytes) -> Self {
        Self { encoding, size: bytes.len() as u64, source: Source::Here(bytes) }
    }

    pub(crate) fn held(
        (value, encoding, size): (ValueId, Encoding, u64),
        holders: Vec<Holder>,
        way: &Arc<Way>,
        absences: &Arc<Absences>,
    ) -> Self {
        let (way, absences) = (Arc::clone(way), Arc::clone(absences));
        let held = Held { value, holders, way, absences, mapped: OnceLock::new() };
        Self { encoding, size, source: Source::Held(Box::new(held)) }
    }

    /// How the value is to be read.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How many bytes the value has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// These bytes of the value, as far as it has them. Waits for them if they must travel.
    ///
    /// # Errors
    /// If nobody has the value any more.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, ValueGone> {
        let range = ByteRange::from(range);
        match &self.source {
            Source::Here(bytes) => Ok(range.of(bytes)),
            Source::Held(held) => held.read(range),
        }
    }
}

impl Held {
    fn read(&self, range: ByteRange) -> Result<Bytes, ValueGone> {
        if let Some(bytes) = self.mapped.get_or_init(|| self.look()) {
            return Ok(range.of(bytes));
        }
        match self.fetch(range) {
            Some(Ok((_, bytes))) => Ok(bytes),
            Some(Err(tried)) => {
                self.absences.note(self.value, &tried);
                Err(ValueGone(self.value))
            }
            // The worker leaves its cluster: what becomes of the attempt is decided elsewhere.
            None => Err(ValueGone(self.value)),
        }
    }

    /// Maps what a worker of this node holds.
    fn look(&self) -> Option<Bytes> {
        let workers = self.holders.iter().filter_map(|holder| match holder {
            Holder::Worker { worker, .. } => Some(*worker),
            Holder::Master => None,
        });
        let found = workers.into_iter().find_map(|worker| self.way.store.look_at(self.value, worker));
        found.map(|output| output.bytes)
    }

    /// Has a stretch fetched and waits for it; none if nobody fetches any more.
    fn fetch(&self, range: ByteRange) -> Option<Result<(Encoding, Bytes), Vec<WorkerId>>> {
        let (done, fetched) = mpsc::sync_channel(1);
        let (peers, value, holders) = (Arc::clone(&self.way.peers), self.value, self.holders.clone());
        self.way.runtime.spawn(async move {
            // Whoever asked may have been unwound meanwhile.
            let _ = done.send(peers.fetch_range(value, &holders, range).await);
        });
        // This thread waits, and may be the one that would drive.
        self.way.wheel.call_steward();
        fetched.recv().ok()
    }
}

impl Absences {
    fn note(&self, value: ValueId, tried: &[WorkerId]) {
        let mut absences = self.0.lock().expect(LOCK_HOLDS);
        absences.extend(tried.iter().map(|worker| (value, *worker)));
    }

    /// Everything that was noted; none if nothing was missing.
    pub(crate) fn take(&self) -> Option<Vec<(ValueId, WorkerId)>> {
        let absences = std::mem::take(&mut *self.0.lock().expect(LOCK_HOLDS));
        (!absences.is_empty()).then_some(absences)
    }
}

const LOCK_HOLDS: &str = "nothing panics under this lock";

impl fmt::Debug for ValueReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueReader({} bytes)", self.size)
    }
}
