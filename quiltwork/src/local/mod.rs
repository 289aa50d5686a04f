//! A cluster on this machine: a master on a thread of this process and workers that are processes of their own.
//!
//! It is the real thing, not a simulation of it: the workers are this program started again, linked by the same QUIC
//! and served by the same code as on many machines. They never outlive this process: the system kills them when their
//! supervisor's thread ends, and they kill themselves when the pipe their start kit came through is closed.
mod builder;
mod crew;
mod folder;
pub(crate) mod kit;
mod machine;
mod master;
mod meter;
mod output;
mod process;
mod python;
mod restart;
mod roster;
mod shared_memory;
mod supervisor;

pub use builder::LocalClusterBuilder;
pub use output::{LineSink, WorkerLog};

use crate::client::{Client, block_on};
use crate::error::{Error, Problem, Result};
use builder::Plan;
use crew::Crew;
use quiltwork_types::WorkerInfo;
use std::fmt;
use std::thread;
use tokio::sync::oneshot;

/// A running cluster on this machine, with a client of it.
///
/// It ends when it is dropped, as does everything it has started; [`shutdown`](Self::shutdown) does the same without
/// blocking an async program. The workers also end if this process does, however that happens.
///
/// The workers are this program started again, so `main` must begin with [`quiltwork::init()`](crate::init) or be
/// marked [`#[quiltwork::main]`](crate::main).
///
/// ```no_run
/// use quiltwork::prelude::*;
///
/// #[quiltwork::task]
/// fn double(x: u64) -> u64 {
///     2 * x
/// }
///
/// #[quiltwork::main]
/// async fn main() -> quiltwork::Result<()> {
///     let cluster = LocalCluster::builder().workers(2).start().await?;
///     let answer = cluster.client().submit(double(21)).await?;
///     assert_eq!(answer, 42);
///     cluster.shutdown().await;
///     Ok(())
/// }
/// ```
pub struct LocalCluster {
    client: Client,
    crew: Crew,
}

impl LocalCluster {
    /// A cluster with every option at its default: one worker per processor.
    pub fn builder() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    async fn start(plan: Plan) -> Result<Self> {
        let crew = off_thread("quiltwork-start", move || Crew::launch(&plan)).await??;
        let client = Client::connect_inside(crew.ticket(), crew.doorway()).await?;
        Ok(Self { client, crew })
    }

    fn start_blocking(plan: Plan) -> Result<Self> {
        let crew = Crew::launch(&plan)?;
        let client = block_on(Client::connect_inside(crew.ticket(), crew.doorway()))?;
        Ok(Self { client, crew })
    }

    /// The client through which this program gives the cluster work.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// With what other processes of this machine can [`connect`](Client::connect). Who has it may submit tasks: keep
    /// it as secret as a password.
    #[must_use]
    pub fn ticket(&self) -> String {
        self.crew.ticket().to_string()
    }

    /// The process ids of the workers that run now.
    #[must_use]
    pub fn worker_pids(&self) -> Vec<u32> {
        self.crew.roster().pids()
    }

    /// The workers as the master sees them, with what they have and do.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerInfo> {
        self.crew.workers()
    }

    /// How many worker processes have ended so far without being asked to by the cluster.
    #[must_use]
    pub fn workers_lost(&self) -> u64 {
        self.crew.roster().lost()
    }

    /// Kills a worker at once, with SIGKILL, as bad luck would. What it was doing is done again elsewhere.
    ///
    /// # Errors
    /// If no worker of this cluster that runs now has this process id.
    pub fn kill_worker(&self, pid: u32) -> Result<()> {
        if self.crew.roster().kill(pid) {
            return Ok(());
        }
        let message = format!("process {pid} is no running worker of this cluster");
        Err(Error::Invalid(Problem::new(message).with_hint("take a process id from `worker_pids()`")))
    }

    /// Ends the cluster: workers are told to leave and killed if they do not, within a few seconds. Work that has not
    /// ended fails with a lost connection.
    pub async fn shutdown(self) {
        // If the thread cannot be started, the crew is dropped, and ended, right here.
        let _ = off_thread("quiltwork-shutdown", move || drop(self)).await;
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCluster").field("worker_pids", &self.worker_pids()).finish_non_exhaustive()
    }
}

/// Runs what blocks on a thread of its own and waits for it in whatever runtime the caller has. If the caller stops
/// waiting, the result is dropped on that thread.
async fn off_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = oneshot::channel();
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ = done.send(work());
    });
    thread.map_err(|error| Error::Local(Problem::new(format!("cannot start a thread: {error}"))))?;
    result.await.map_err(|_| Error::Local(Problem::new(format!("the thread `{name}` panicked"))))
}
