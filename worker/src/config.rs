//! What a worker must be told before it can join a cluster.
use crate::error::WorkerError;
use quiltwork_transport::Identity;
use quiltwork_types::{NamedResource, Resources};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of a worker.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Where the master listens.
    pub master: SocketAddr,
    /// Who this worker is; of the role `Worker`.
    pub identity: Identity,
    /// How many tasks of one slot may run at the same time; at least 1.
    pub slots: u32,
    /// Bytes of values it may hold, and of memory its tasks may ask for together; 0 for half of the machine's.
    pub memory: u64,
    /// What else it has.
    pub named: Box<[NamedResource]>,
    /// Where it serves values to others; port 0 for any free one.
    pub listen: SocketAddr,
    /// Its share of the store of its node; without one it keeps values in its own memory.
    pub store: Option<Share>,
}

/// A worker's share of the store of its node.
#[derive(Clone, Debug)]
pub struct Share {
    /// The folder of the area that all workers of the node use.
    pub folder: PathBuf,
    /// Bytes of values this worker may hold there in memory.
    pub limit: u64,
    /// Bytes of values it may hold on disk, if the area has a folder there.
    pub spill_limit: u64,
}

impl WorkerConfig {
    /// What this worker has, as the master is told.
    ///
    /// # Errors
    /// If that is nothing, or the machine does not say how much memory it has.
    pub(crate) fn capacity(&self) -> Result<Resources, WorkerError> {
        if self.slots == 0 {
            return Err(WorkerError::NoSlots);
        }
        let memory = if self.memory == 0 { half_of_the_machines_memory()? } else { self.memory };
        let mut named = self.named.clone();
        named.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(Resources { slots: self.slots, memory, named })
    }
}

fn half_of_the_machines_memory() -> Result<u64, WorkerError> {
    let machine = nix::sys::sysinfo::sysinfo().map_err(|error| WorkerError::Machine(error.into()))?;
    Ok(machine.ram_total() / 2)
}
