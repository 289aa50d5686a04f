//! The master's handle, shared by the cluster and its supervisors until one of them ends the master.
use quiltwork_master::{Doorway, MasterConfig, MasterHandle, StartError};
use quiltwork_transport::Identity;
use quiltwork_types::WorkerInfo;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A master that can be ended once and asked at any time; after its end it knows nobody.
pub(super) struct SharedMaster {
    handle: Mutex<Option<MasterHandle>>,
    address: SocketAddr,
    doorway: Doorway,
}

impl SharedMaster {
    /// Starts a master on its own thread.
    pub(super) fn start(config: MasterConfig, identity: &Identity) -> Result<Self, StartError> {
        let handle = quiltwork_master::start(config, identity)?;
        let (address, doorway) = (handle.address(), handle.doorway().clone());
        Ok(Self { handle: Mutex::new(Some(handle)), address, doorway })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way to it for clients of this process.
    pub(super) const fn doorway(&self) -> &Doorway {
        &self.doorway
    }

    /// Tells it that a worker process has ended, and how.
    pub(super) fn process_ended(&self, pid: u32, how: String) {
        if let Some(master) = &*self.lock() {
            master.process_ended(pid, how);
        }
    }

    /// The workers it has now.
    pub(super) fn workers(&self) -> Vec<WorkerInfo> {
        self.lock().as_ref().map(MasterHandle::workers).unwrap_or_default()
    }

    /// Whether the process is one of its workers now.
    pub(super) fn knows(&self, pid: u32) -> bool {
        self.workers().iter().any(|worker| worker.pid == pid)
    }

    /// Ends it: workers and clients are told. The second call does nothing.
    pub(super) fn stop(&self) {
        let handle = self.lock().take();
        if let Some(master) = handle {
            master.shutdown();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<MasterHandle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
