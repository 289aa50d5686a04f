//! Fetching values from whoever holds them: one connection per peer, one fetch per value, a limit on fetches at a time.
use crate::arguments::Output;
use crate::copies::note_copy;
use crate::desk::Desk;
use crate::failure::TaskError;
use crate::store::{Origin, Stored, ValueStore};
use quiltwork_protocol::Holder;
use quiltwork_transport::{Connection, Endpoint, WorkerPool};
use quiltwork_types::{ValueId, WorkerId};
use std::collections::HashMap;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::{OnceCell, Semaphore};

/// Fetches that may move bytes at the same time: enough to fill a network, few enough that each gets on.
const FETCHES: usize = 16;
/// Copies up to this many bytes are written on the session's own thread: it takes less than a tenth of a millisecond.
const WRITTEN_AT_ONCE: usize = 128 * 1024;

/// The way to the values of others.
pub(crate) struct Peers {
    worker: WorkerId,
    master: Connection,
    pool: WorkerPool,
    store: Arc<dyn ValueStore>,
    desk: Arc<Desk>,
    /// The largest value accepted, in bytes.
    value_limit: u64,
    permits: Semaphore,
    /// Fetches somebody waits for.
    flights: Mutex<HashMap<ValueId, Weak<Flight>>>,
}

/// One value on its way. Those who want it meet in the cell: one fetches, and if it gives up or is aborted, the next one
/// tries with the holders it was told of.
type Flight = OnceCell<Output>;

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
            permits: Semaphore::new(FETCHES),
            flights: Mutex::default(),
        }
    }

    /// Gets a value from the first of `holders` that has it, and keeps a copy if there is room.
    ///
    /// # Errors
    /// The workers that did not have it or could not be reached: all of `holders`.
    pub(crate) async fn fetch(&self, value: ValueId, holders: &[Holder]) -> Result<Output, Vec<WorkerId>> {
        let flight = self.flight(value);
        flight.get_or_try_init(|| self.fetch_from(value, holders)).await.cloned()
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

    async fn fetch_from(&self, value: ValueId, holders: &[Holder]) -> Result<Output, Vec<WorkerId>> {
        if let Some(Stored { origin: Origin::Copied, output }) = self.store.get(value) {
            return Ok(output);
        }
        if let Some(output) = self.share(value, holders) {
            return Ok(output);
        }
        let mut tried = Vec::with_capacity(holders.len());
        for holder in holders {
            let fetched = match holder {
                Holder::Master => self.fetch_over(&self.master, value).await,
                Holder::Worker { worker, .. } if *worker == self.worker => None,
                Holder::Worker { worker, address } => self.fetch_at(*worker, *address, value).await,
            };
            if let Some(output) = fetched {
                return Ok(self.keep(value, output).await);
            }
            // The master has no number of its own: what it lacks is told as missing here.
            tried.push(if let Holder::Worker { worker, .. } = holder { *worker } else { self.worker });
        }
        Err(if tried.is_empty() { vec![self.worker] } else { tried })
    }

    /// Gives up whatever is under way from a worker that is lost.
    pub(crate) fn lose(&self, worker: WorkerId) {
        self.pool.lose(worker);
    }

    async fn fetch_at(&self, worker: WorkerId, address: SocketAddr, value: ValueId) -> Option<Output> {
        let connection = self.pool.connection(worker, address).await?;
        self.fetch_over(&connection, value).await
    }

    async fn fetch_over(&self, connection: &Connection, value: ValueId) -> Option<Output> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        match connection.fetch(value, self.value_limit).await {
            Ok(found) => {
                let (encoding, bytes) = found?;
                note_copy(bytes.len());
                Some(Output { encoding, bytes })
            }
            Err(error) => {
                tracing::debug!(%value, holder = %connection.remote_address(), %error, "value not fetched");
                None
            }
        }
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

    /// Keeps a copy and has it reported, without a pause between the two: a copy the master does not know of is never
    /// freed, one that it does not want (any more) it frees at once. What takes long is written on another thread, which
    /// goes on if nobody waits for the value any more, and is read where it is kept, so that the buffer is let go.
    async fn keep(&self, value: ValueId, output: Output) -> Output {
        let (store, desk) = (Arc::clone(&self.store), Arc::clone(&self.desk));
        if output.bytes.len() <= WRITTEN_AT_ONCE && self.store.has_room(output.bytes.len() as u64) {
            let stored = Stored { origin: Origin::Copied, output: output.clone() };
            note_kept(value, &desk, store.put(value, stored));
            return output;
        }
        let written = output.clone();
        let keep = move || note_kept(value, &desk, write_whole(store, value, &written));
        // It panics only if the runtime ends.
        tokio::task::spawn_blocking(keep).await.ok().flatten().unwrap_or(output)
    }
}

fn write_whole(store: Arc<dyn ValueStore>, value: ValueId, output: &Output) -> Result<Output, TaskError> {
    let incoming = store.begin(value, Origin::Copied, output.encoding, output.bytes.len() as u64)?;
    incoming.write_at(0, &mut [IoSlice::new(&output.bytes)])?;
    incoming.finish()
}

fn note_kept<T>(value: ValueId, desk: &Desk, kept: Result<T, TaskError>) -> Option<T> {
    match kept {
        Ok(_) => desk.on_copied(value),
        Err(ref error) => tracing::debug!(%value, %error, "copy not kept"),
    }
    kept.ok()
}

const LOCK_HOLDS: &str = "nothing panics under this lock";
