//! Fetching values from whoever holds them: one connection per peer, one fetch per value, a limit on the bytes under way.
mod landing;
mod pieces;
mod sources;
mod transfer;
mod under_way;

pub(crate) use under_way::UnderWay;

use crate::arguments::Output;
use crate::copies::note_copy;
use crate::desk::Desk;
use crate::store::{Origin, Stored, ValueStore};
use bytes::Bytes;
use landing::Landing;
use quiltwork_protocol::{Asker, ByteRange, Holder};
use quiltwork_transport::limits::STREAM_WINDOW;
use quiltwork_transport::{Arriving, Connection, Endpoint, Fetched, WorkerPool};
use quiltwork_types::{Encoding, ValueId, WorkerId};
use sources::{Refusal, Sources};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit, watch};

/// Bytes that may be on their way here at the same time, over all connections: enough to fill any network, little enough
/// to have beside the tasks.
const BUDGET: u64 = 128 << 20;
/// The budget is counted in so many bytes: what the smallest stream takes.
const UNIT: u64 = 64 << 10;

/// The way to the values of others.
pub(crate) struct Peers {
    worker: WorkerId,
    master: Connection,
    pool: WorkerPool,
    store: Arc<dyn ValueStore>,
    desk: Arc<Desk>,
    /// The largest value accepted, in bytes.
    value_limit: u64,
    budget: Semaphore,
    /// Fetches somebody waits for.
    flights: Mutex<HashMap<ValueId, Weak<Flight>>>,
}

/// One value on its way. Those who want it meet here: one fetches, and if it gives up or is aborted, the next one tries
/// with the holders it was told of.
#[derive(Default)]
struct Flight {
    outcome: OnceCell<Output>,
    /// What has arrived of it; dead before and after.
    landing: watch::Sender<Weak<Landing>>,
}

impl Flight {
    /// Lets others read what arrives.
    fn show(&self, landing: &Arc<Landing>) {
        self.landing.send_replace(Arc::downgrade(landing));
    }
}

impl Peers {
    pub(crate) fn new(
        worker: WorkerId,
        master: Connection,
        endpoint: Endpoint,
        store: &Arc<dyn ValueStore>,
        desk: &Arc<Desk>,
        value_limit: u64,
    ) -> Self {
        Self {
            worker,
            master,
            pool: WorkerPool::new(endpoint),
            store: Arc::clone(store),
            desk: Arc::clone(desk),
            value_limit,
            budget: Semaphore::new((BUDGET / UNIT) as usize),
            flights: Mutex::default(),
        }
    }

    /// Gets a value from the first of `holders` that has it, and keeps a copy if there is room.
    ///
    /// # Errors
    /// The workers that did not have it or could not be reached: all of `holders`.
    pub(crate) async fn fetch(&self, value: ValueId, holders: &[Holder]) -> Result<Output, Vec<WorkerId>> {
        let flight = self.flight(value);
        flight.outcome.get_or_try_init(|| self.fetch_from(&flight, value, holders)).await.cloned()
    }

    /// The value as far as it has come, if somebody here waits for it.
    pub(crate) fn under_way(&self, value: ValueId) -> Option<UnderWay> {
        let flight = self.flights.lock().expect(LOCK_HOLDS).get(&value).and_then(Weak::upgrade)?;
        Some(UnderWay::new(flight.landing.subscribe()))
    }

    fn flight(&self, value: ValueId) -> Arc<Flight> {
        let mut flights = self.flights.lock().expect(LOCK_HOLDS);
        if let Some(flight) = flights.get(&value).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::default();
        flights.insert(value, Arc::downgrade(&flight));
        flight
    }

    async fn fetch_from(&self, flight: &Flight, value: ValueId, holders: &[Holder]) -> Result<Output, Vec<WorkerId>> {
        if let Some(output) = self.here(value, holders) {
            return Ok(output);
        }
        match transfer::bring(self, flight, value, holders).await {
            // Without a pause after it is kept: a copy the master does not know of is never freed, one that it does not
            // want (any more) it frees at once.
            Ok(Some(output)) => {
                self.desk.on_copied(value);
                Ok(output)
            }
            Ok(None) => Err(self.all_of(holders)),
            Err(error) => {
                tracing::debug!(%value, %error, "copy not kept");
                let (encoding, bytes) = self.fetch_range(value, holders, ByteRange::WHOLE).await?;
                Ok(Output { encoding, bytes })
            }
        }
    }

    /// Gets a stretch of a value from the first of `holders` that has it: a slice of the value if that is on this node,
    /// otherwise just these bytes, of which no copy is kept.
    ///
    /// # Errors
    /// The workers that did not have it or could not be reached: all of `holders`.
    pub(crate) async fn fetch_range(
        &self,
        value: ValueId,
        holders: &[Holder],
        range: ByteRange,
    ) -> Result<(Encoding, Bytes), Vec<WorkerId>> {
        if let Some(Output { encoding, bytes }) = self.here(value, holders) {
            return Ok((encoding, range.of(&bytes)));
        }
        self.ask_all(value, holders, range).await.ok_or_else(|| self.all_of(holders))
    }

    /// The value, if this worker or another one of its node has it. What an attempt here made is the published value
    /// only if the master says that this worker holds it.
    fn here(&self, value: ValueId, holders: &[Holder]) -> Option<Output> {
        let held = holders.iter().any(|h| matches!(h, Holder::Worker { worker, .. } if *worker == self.worker));
        match self.store.get(value) {
            Some(Stored { origin, output }) if held || origin == Origin::Copied => Some(output),
            _ => self.share(value, holders),
        }
    }

    async fn ask_all(&self, value: ValueId, holders: &[Holder], range: ByteRange) -> Option<(Encoding, Bytes)> {
        let mut sources = Sources::new(holders, self.worker);
        while let Some(source) = sources.take() {
            let fetched = async {
                let Stream { arriving, _counted } = self.ask(&source.holder, value, range, Asker::Reader).await?;
                let encoding = arriving.encoding();
                Ok((encoding, arriving.collect(self.value_limit).await?))
            };
            match fetched.await {
                Ok((encoding, bytes)) => {
                    note_copy(bytes.len());
                    return Some((encoding, bytes));
                }
                Err(refusal) => sources.on_refusal(source, refusal),
            }
        }
        None
    }

    /// Asks for a stretch of a value. The bytes it may have on its way are counted until the stream is dropped.
    async fn ask(
        &self,
        holder: &Holder,
        value: ValueId,
        range: ByteRange,
        asker: Asker,
    ) -> Result<Stream<'_>, Refusal> {
        let connection = match holder {
            Holder::Master => Some(self.master.clone()),
            Holder::Worker { worker, address } => self.pool.connection(*worker, *address).await,
        };
        let connection = connection.ok_or(Refusal::Missing)?;
        let mut counted = self.budget.acquire_many(units(range.length)).await.expect("the semaphore is never closed");
        match connection.fetch_range(value, range, asker).await? {
            Fetched::Found(arriving) => {
                let left = arriving.left();
                // What was asked for may be more than there is.
                drop(counted.split(counted.num_permits() - units(left.end - left.start) as usize));
                Ok(Stream { arriving, _counted: counted })
            }
            Fetched::Missing => Err(Refusal::Missing),
            Fetched::Elsewhere { worker, address } => Err(Refusal::Elsewhere(Holder::Worker { worker, address })),
        }
    }

    /// How this worker asks for what it will hold a copy of.
    const fn keeper(&self, insists: bool) -> Asker {
        Asker::Worker { worker: self.worker, insists }
    }

    /// The numbers of holders that turned out to be of no use. The master has none: what it lacks is told as missing
    /// here, and so is what nobody was said to have.
    fn all_of(&self, holders: &[Holder]) -> Vec<WorkerId> {
        let number = |holder: &Holder| match holder {
            Holder::Worker { worker, .. } => *worker,
            Holder::Master => self.worker,
        };
        if holders.is_empty() { vec![self.worker] } else { holders.iter().map(number).collect() }
    }

    /// Gives up whatever is under way from a worker that is lost.
    pub(crate) fn lose(&self, worker: WorkerId) {
        self.pool.lose(worker);
    }

    /// What a worker of this node holds is here already: it only has to be held by this one as well.
    fn share(&self, value: ValueId, holders: &[Holder]) -> Option<Output> {
        let others = holders.iter().filter_map(|holder| match holder {
            Holder::Worker { worker, .. } if *worker != self.worker => Some(*worker),
            Holder::Worker { .. } | Holder::Master => None,
        });
        let output = others.into_iter().find_map(|worker| self.store.share(value, worker))?;
        self.desk.on_copied(value);
        Some(output)
    }
}

/// A stretch of a value on its way here, and the room it takes among all that are.
struct Stream<'a> {
    arriving: Arriving,
    _counted: SemaphorePermit<'a>,
}

/// What a stretch of so many bytes takes of the budget: QUIC lets no more than that be on its way.
fn units(length: u64) -> u32 {
    let units = length.min(STREAM_WINDOW.into()).div_ceil(UNIT).max(1);
    u32::try_from(units).expect("a window is small")
}

const LOCK_HOLDS: &str = "nothing panics under this lock";
