//! The ways to the workers that hold values: one connection each, made when it is first needed, ended when it is known
//! that nobody is there any more; what moves over them is not its business.
use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::identity::Role;
use quiltwork_types::WorkerId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, watch};
use tracing::debug;

/// Connections to workers, shared by all who fetch from them.
pub struct WorkerPool {
    endpoint: Endpoint,
    calls: Mutex<HashMap<WorkerId, Arc<Call>>>,
}

/// One try to reach a worker. All who want it meanwhile share the outcome, also a bad one: a worker that is gone costs
/// its time-out once and not once per value.
#[derive(Default)]
struct Call {
    outcome: OnceCell<Option<Connection>>,
    lost: watch::Sender<bool>,
}

impl WorkerPool {
    /// A pool that connects from `endpoint`.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, calls: Mutex::default() }
    }

    /// The connection to a worker; `None` if it cannot be reached or is known to be lost.
    pub async fn connection(&self, worker: WorkerId, address: SocketAddr) -> Option<Connection> {
        let call = self.call(worker);
        let mut lost = call.lost.subscribe();
        let outcome = tokio::select! {
            biased;
            // The sender lives in `call`: this ends only when the worker is lost.
            _ = lost.wait_for(|lost| *lost) => None,
            outcome = call.outcome.get_or_init(|| self.try_to_reach(address)) => outcome.clone(),
        };
        // It may have been lost on another thread after the first look, and before there was a connection to close.
        outcome.filter(|_| !*call.lost.borrow())
    }

    /// The worker is lost, as the master knows sooner than a silent connection would tell: whatever is under way from it
    /// fails now, and it is not tried again. Its number stays here, 4 bytes and a little, because it is never reused.
    pub fn lose(&self, worker: WorkerId) {
        let call = self.calls().insert(worker, Arc::new(Call::lost()));
        if let Some(call) = call {
            call.lost.send_replace(true);
            if let Some(Some(connection)) = call.outcome.get() {
                connection.close("the master says that this worker is lost");
            }
        }
    }

    async fn try_to_reach(&self, address: SocketAddr) -> Option<Connection> {
        let tried = self.endpoint.connect(address, Role::Worker).await;
        tried.inspect_err(|error| debug!(%address, %error, "a worker cannot be reached")).ok()
    }

    /// The try that is under way or led to a connection that still stands; otherwise a new one.
    fn call(&self, worker: WorkerId) -> Arc<Call> {
        let mut calls = self.calls();
        let call = calls.entry(worker).or_default();
        if !call.is_usable() {
            *call = Arc::default();
        }
        Arc::clone(call)
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<WorkerId, Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call {
    fn lost() -> Self {
        Self { outcome: OnceCell::new(), lost: watch::Sender::new(true) }
    }

    fn is_usable(&self) -> bool {
        let broken = |outcome: &Option<Connection>| outcome.as_ref().is_none_or(Connection::is_closed);
        !self.outcome.get().is_some_and(broken)
    }
}
