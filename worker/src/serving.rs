//! Serving the values this worker holds to those who may have them; it never asks for any.
use crate::store::{Stored, ValueStore};
use quiltwork_protocol::BulkRequest;
use quiltwork_transport::{Connection, Endpoint, IncomingBulk, Role};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Peers served at the same time; each may have as many requests open as the transport allows it streams.
const PEERS: usize = 1024;

/// Serves whoever connects until the endpoint is closed.
pub(crate) async fn serve_endpoint(endpoint: Endpoint, store: Arc<dyn ValueStore>) {
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
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            serve_connection(connection, store).await;
            drop(place);
        });
    }
}

/// Serves one peer until its connection is closed.
pub(crate) async fn serve_connection(connection: Connection, store: Arc<dyn ValueStore>) {
    loop {
        match connection.accept_bulk().await {
            Ok(request) => {
                tokio::spawn(answer(request, Arc::clone(&store)));
            }
            Err(reason) => {
                tracing::debug!(peer = %connection.remote_address(), %reason, "peer gone");
                return;
            }
        }
    }
}

async fn answer(incoming: IncomingBulk, store: Arc<dyn ValueStore>) {
    let BulkRequest::Fetch { value, .. } = incoming.request() else { return incoming.refuse().await };
    let Some(Stored { output, .. }) = store.get(value) else { return incoming.missing().await };
    if let Err(error) = incoming.found(output.encoding, &output.bytes).await {
        tracing::debug!(%value, %error, "value not served");
    }
}
