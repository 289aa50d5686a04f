//! Serving the values this worker holds, or is getting, to those who may have them; it never asks for any.
mod audience;

use crate::copies::note_sent;
use crate::peers::{Peers, UnderWay};
use crate::store::{Stored, ValueStore};
use audience::{Audience, Place};
use bytes::Bytes;
use quiltwork_protocol::{Asker, BulkRequest, ByteRange};
use quiltwork_transport::{BulkError, Connection, Endpoint, IncomingBulk, Outgoing, Role};
use quiltwork_types::{ValueId, WorkerId};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Peers served at the same time; each may have as many requests open as the transport allows it streams.
const PEERS: usize = 1024;
/// From this size on a value is not sent to everybody from here, in bytes: below, being sent elsewhere costs more time than
/// the value itself.
const LARGE: u64 = 1 << 20;

/// What this worker has for others.
pub(crate) struct Serving {
    store: Arc<dyn ValueStore>,
    peers: Arc<Peers>,
    audience: Mutex<Audience>,
}

/// A peer that may have values.
#[derive(Clone, Copy)]
struct Peer {
    role: Role,
    address: SocketAddr,
}

impl Serving {
    pub(crate) fn new(store: Arc<dyn ValueStore>, peers: Arc<Peers>) -> Self {
        Self { store, peers, audience: Mutex::default() }
    }

    /// The value is not here any more.
    pub(crate) fn forget(&self, value: ValueId) {
        self.audience().forget(value);
    }

    /// Nobody is sent to this worker any more.
    pub(crate) fn lose(&self, worker: WorkerId) {
        self.audience().lose(worker);
    }

    /// Serves whoever connects until the endpoint is closed.
    pub(crate) async fn serve_endpoint(self: Arc<Self>, endpoint: Endpoint) {
        let places = Arc::new(Semaphore::new(PEERS));
        while let Some(connection) = endpoint.accept().await {
            if connection.peer_role() == Role::Viewer {
                connection.close("this role may not fetch values");
                continue;
            }
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                connection.close("this worker serves as many peers as it can");
                continue;
            };
            let this = Arc::clone(&self);
            tokio::spawn(async move {
                this.serve_connection(connection).await;
                drop(place);
            });
        }
    }

    /// Serves one peer until its connection is closed.
    pub(crate) async fn serve_connection(self: Arc<Self>, connection: Connection) {
        let peer = Peer { role: connection.peer_role(), address: connection.remote_address() };
        loop {
            match connection.accept_bulk().await {
                Ok(request) => {
                    tokio::spawn(Arc::clone(&self).answer(request, peer));
                }
                Err(reason) => {
                    tracing::debug!(peer = %peer.address, %reason, "peer gone");
                    return;
                }
            }
        }
    }

    async fn answer(self: Arc<Self>, incoming: IncomingBulk, peer: Peer) {
        let BulkRequest::Fetch { value, asker, .. } = incoming.request() else { return incoming.refuse().await };
        let served = match (self.store.get(value), self.peers.under_way(value)) {
            (Some(stored), _) => self.serve(value, stored, incoming, asker, peer).await,
            (None, Some(under_way)) => self.relay(value, under_way, incoming, asker, peer).await,
            (None, None) => return incoming.missing().await,
        };
        if let Err(error) = served {
            tracing::debug!(%value, peer = %peer.address, %error, "value not served");
            // The master frees only what it was told of: nobody else says that this is over.
            if self.store.get(value).is_none() && self.peers.under_way(value).is_none() {
                self.forget(value);
            }
        }
    }

    async fn serve(
        &self,
        value: ValueId,
        Stored { output, .. }: Stored,
        incoming: IncomingBulk,
        asker: Asker,
        peer: Peer,
    ) -> Result<(), BulkError> {
        let size = output.bytes.len() as u64;
        if let Some((worker, address)) = self.admit(value, size, asker, peer) {
            incoming.elsewhere(worker, address).await;
            return Ok(());
        }
        let mut outgoing = incoming.begin(output.encoding, size).await?;
        send_rest_of(&output.bytes, &mut outgoing).await?;
        outgoing.finish();
        Ok(())
    }

    /// Sends what is being fetched, as far as it has come.
    async fn relay(
        &self,
        value: ValueId,
        under_way: UnderWay,
        incoming: IncomingBulk,
        asker: Asker,
        peer: Peer,
    ) -> Result<(), BulkError> {
        let Some(mut begun) = under_way.begun().await else {
            incoming.missing().await;
            return Ok(());
        };
        if let Some((worker, address)) = self.admit(value, begun.size, asker, peer) {
            incoming.elsewhere(worker, address).await;
            return Ok(());
        }
        let mut outgoing = incoming.begin(begun.encoding, begun.size).await?;
        while let Some(bytes) = begun.next(outgoing.left()).await {
            send(bytes, &mut outgoing).await?;
        }
        if !outgoing.left().is_empty() {
            let stored = self.store.get(value).filter(|stored| stored.output.bytes.len() as u64 == begun.size);
            let Some(Stored { output, .. }) = stored else {
                return Err(BulkError::Broken("it did not arrive here either".to_owned()));
            };
            send_rest_of(&output.bytes, &mut outgoing).await?;
        }
        outgoing.finish();
        Ok(())
    }

    /// Where somebody has to ask for a value, if not here.
    fn admit(&self, value: ValueId, size: u64, asker: Asker, peer: Peer) -> Option<Place> {
        match asker {
            // Its certificate says whether others may ask it.
            Asker::Worker { worker, insists } if size >= LARGE && peer.role == Role::Worker => {
                self.audience().admit(value, (worker, peer.address), insists)
            }
            Asker::Worker { .. } | Asker::Reader => None,
        }
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send_rest_of(value: &Bytes, outgoing: &mut Outgoing) -> Result<(), BulkError> {
    send(ByteRange::from(outgoing.left()).of(value), outgoing).await
}

async fn send(bytes: Bytes, outgoing: &mut Outgoing) -> Result<(), BulkError> {
    let start = outgoing.left().start;
    let sent = outgoing.write(bytes).await;
    note_sent(outgoing.left().start - start);
    sent
}
