//! Brings values that stayed in the cluster to this client: which of their holders to ask, over which connection.
use super::arrival::Arrival;
use super::cell::{Cell, Next, Place};
use super::session::Shared;
use bytes::Bytes;
use quiltwork_protocol::{ClientToMaster, Holder, Parcel};
use quiltwork_transport::{BulkError, Connection};
use quiltwork_types::{Encoding, FailureKind, TaskFailure, ValueId, WorkerId};
use quiltwork_worker::note_copy;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many values come here at a time: enough to keep the way busy, few enough that each moves.
const FETCHES_AT_ONCE: usize = 16;

/// How often a worker is asked for a value if it breaks off every time.
const TRIES: usize = 3;

/// Connections to whoever holds values.
pub(super) struct Peers {
    master: Connection,
    shared: Arc<Shared>,
    fetches: Semaphore,
}

/// What came of asking one holder.
enum Found {
    Here(Encoding, Bytes),
    /// Not there, or nobody is there: another holder may have it.
    Missing,
    /// It can never come here.
    Never(BulkError),
}

impl Peers {
    pub(super) fn new(master: Connection, shared: Arc<Shared>) -> Self {
        Self { master, shared, fetches: Semaphore::new(FETCHES_AT_ONCE) }
    }

    /// Fetches the cell's value from where the master says it is. If nobody has it, the master is told, and the cell
    /// waits for what the master says next.
    pub(super) async fn fetch(self: Arc<Self>, cell: Arc<Cell>) {
        let Ok(_permit) = self.fetches.acquire().await else { return };
        while let Some(Place { holders, size }) = cell.take_place() {
            let value = ValueId::of(cell.task());
            match self.ask_all(value, &holders, &cell).await {
                Found::Here(encoding, bytes) => return cell.on_fetched(encoding, bytes),
                Found::Missing => match cell.on_missing() {
                    Next::Fetch => {}
                    Next::Nothing => return,
                },
                Found::Never(error) => {
                    let message = format!("its value of {size} bytes cannot be fetched: {error}");
                    return self
                        .shared
                        .fail(cell.task(), TaskFailure::new(FailureKind::ValueLost, cell.task(), message));
                }
            }
        }
    }

    /// Asks one holder after the other. What one has sent is not asked of the next one again.
    async fn ask_all(&self, value: ValueId, holders: &[Holder], cell: &Cell) -> Found {
        if let Some((encoding, bytes)) = self.map(value, holders) {
            return Found::Here(encoding, bytes);
        }
        let mut arrival = Arrival::new(value, self.shared.value_limit);
        let mut refused = None;
        for holder in holders {
            let found = match holder {
                // The master keeps what it holds until it is released: nobody else could say more.
                Holder::Master => sort(arrival.fetch(&self.master, cell).await, true),
                Holder::Worker { worker, address } => self.ask_worker(&mut arrival, *worker, *address, cell).await,
            };
            match found {
                Found::Here(..) => return found,
                Found::Never(error) => refused = Some(error),
                Found::Missing => self.report_missing(value, holder).await,
            }
        }
        refused.map_or(Found::Missing, Found::Never)
    }

    /// What a worker of this node holds is here already.
    fn map(&self, value: ValueId, holders: &[Holder]) -> Option<(Encoding, Bytes)> {
        let area = self.shared.area.as_ref()?;
        holders.iter().find_map(|holder| match holder {
            Holder::Worker { worker, .. } => area.map(value, *worker).ok().flatten(),
            Holder::Master => None,
        })
    }

    /// Asks a worker, and again over a new connection if it is cut.
    async fn ask_worker(&self, arrival: &mut Arrival, worker: WorkerId, address: SocketAddr, cell: &Cell) -> Found {
        for _ in 0..TRIES {
            let Some(connection) = self.shared.workers.connection(worker, address).await else { break };
            match arrival.fetch(&connection, cell).await {
                Err(BulkError::Lost(_) | BulkError::Broken(_)) => {}
                fetched => return sort(fetched, false),
            }
        }
        Found::Missing
    }

    async fn report_missing(&self, value: ValueId, holder: &Holder) {
        if let Holder::Worker { worker, .. } = holder {
            let message = ClientToMaster::ReportMissing { value, holder: *worker };
            // If the link is lost, the cell is failed with it.
            drop(self.shared.sender.send(&Parcel::bare(message)).await);
        }
    }
}

fn sort(fetched: Result<Option<(Encoding, Bytes)>, BulkError>, is_master: bool) -> Found {
    match fetched {
        Ok(Some((encoding, bytes))) => {
            note_copy(bytes.len());
            Found::Here(encoding, bytes)
        }
        Ok(None) if is_master => Found::Never(BulkError::Broken("the master does not have it".to_owned())),
        Err(error @ (BulkError::TooLarge { .. } | BulkError::Refused)) => Found::Never(error),
        Err(error) if is_master => Found::Never(error),
        Ok(None) | Err(_) => Found::Missing,
    }
}
