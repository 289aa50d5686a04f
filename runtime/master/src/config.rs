//! What a master is told before it starts, each number with the reason for its default; it starts nothing.
use quiltwork_protocol::VALUE_LIMIT;
use std::net::{Ipv4Addr, SocketAddr};

/// Settings of a master; `MasterConfig::default()` serves this machine only.
#[derive(Clone, Debug)]
pub struct MasterConfig {
    /// Where to listen. Default: a free port of the loopback interface.
    pub listen: SocketAddr,
    /// Settings of the scheduler.
    pub scheduler: quiltwork_scheduler::Config,
    /// The largest value a task or an upload may make, in bytes.
    pub value_limit: u64,
    /// Bytes of uploads and of argument literals the master holds at a time, over all jobs. Default 2 GiB: room for
    /// a working set of uploads, and a task that does not fit is refused instead of the master being killed.
    pub put_limit: u64,
    /// Workers at a time. Default 1024: each costs about a megabyte of connection state under load.
    pub max_workers: usize,
    /// Clients at a time. Default 2048: a client per worker (tasks that submit tasks) and as many programs.
    pub max_clients: usize,
    /// Tasks a job may have at a time (submitted and not yet released). Default 2 million: under a gigabyte of records.
    pub max_tasks_per_job: u32,
    /// Whether workers of different programs join. Then each task asks for one that has its function, and one that none has
    /// is refused. Default: no; all workers are taken for alike.
    pub mixed: bool,
}

impl Default for MasterConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            scheduler: quiltwork_scheduler::Config::default(),
            value_limit: VALUE_LIMIT,
            put_limit: 2 << 30,
            max_workers: 1024,
            max_clients: 2048,
            max_tasks_per_job: 2_000_000,
            mixed: false,
        }
    }
}
