//! Starts and ends a master on a thread of its own, and speaks to it from other threads.
use crate::config::MasterConfig;
use crate::doorway::Doorway;
use crate::listener::Listener;
use crate::master::Master;
use crate::notices::{ProcessEnded, ShutDown, TellWorkers};
use actix::dev::SendError;
use actix::prelude::*;
use quiltwork_transport::{Endpoint, EndpointError, Identity, Role};
use quiltwork_types::WorkerInfo;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long workers may take to go when the master ends.
const PARTING_TIME: Duration = Duration::from_secs(2);
/// How long a shutdown may take in all.
const SHUTDOWN_TIME: Duration = Duration::from_secs(3);
/// How long a question from another thread may take.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Why no master came to be.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The identity is another one's.
    #[error("an identity of the role `{0}` cannot run a master\nhint: issue one of the role `master`")]
    WrongRole(Role),
    /// It cannot listen.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is no thread for it.
    #[error("cannot start the master's thread: {0}")]
    Thread(#[from] io::Error),
    /// The thread ended before it listened.
    #[error("the master's thread ended before it listened\nhint: does the process have file descriptors left?")]
    Died,
}

/// A running master. Dropping it ends the master.
pub struct MasterHandle {
    address: SocketAddr,
    doorway: Doorway,
    master: Addr<Master>,
    stop: Option<oneshot::Sender<()>>,
    /// In a lock only so that the handle can be shared between threads.
    ended: Mutex<Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a master on a thread of its own and returns when it listens.
///
/// # Errors
/// If the identity is not a master's, the address cannot be bound, or there is no thread for it.
pub fn start(config: MasterConfig, identity: &Identity) -> Result<MasterHandle, StartError> {
    if identity.role() != Role::Master {
        return Err(StartError::WrongRole(identity.role()));
    }
    let (identity, doorway) = (identity.clone(), Doorway::default());
    let door = doorway.clone();
    let (report, listening) = sync_channel(1);
    let (stop, stopped) = oneshot::channel();
    let (end, ended) = sync_channel::<()>(1);
    let thread = thread::Builder::new().name("quiltwork-master".to_owned()).spawn(move || {
        System::new().block_on(run(config, identity, door, report, stopped));
        // Dropped last: whoever waits for it knows that everything else is gone.
        drop(end);
    })?;
    let (address, master) = listening.recv().map_err(|_| StartError::Died)??;
    Ok(MasterHandle { address, doorway, master, stop: Some(stop), ended: Mutex::new(ended), thread: Some(thread) })
}

type Listening = Result<(SocketAddr, Addr<Master>), EndpointError>;

/// The life of a master, on its own thread: all actors and links live on this one arbiter, where passing a message costs
/// a fraction of a microsecond.
async fn run(
    config: MasterConfig,
    identity: Identity,
    doorway: Doorway,
    report: SyncSender<Listening>,
    stopped: oneshot::Receiver<()>,
) {
    let endpoint = match Endpoint::bind(config.listen, &identity) {
        Ok(endpoint) => endpoint,
        Err(error) => return drop(report.send(Err(error))),
    };
    let master = Master::new(config.clone()).start();
    let listener = Rc::new(Listener::new(endpoint.clone(), doorway, master.clone(), &config));
    actix::spawn(listener.run());
    // Whoever started this waits for the report; if it is gone, `stopped` says so at once.
    let _ = report.send(Ok((endpoint.local_address(), master.clone())));
    let _ = stopped.await;
    if timeout(PARTING_TIME, master.send(ShutDown)).await.is_err() {
        tracing::debug!("some workers did not go in time");
    }
    endpoint.close("the master has ended").await;
}

impl MasterHandle {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way in for clients of this process.
    #[must_use]
    pub const fn doorway(&self) -> &Doorway {
        &self.doorway
    }

    /// Notes that a process of this machine has ended, and how. If it was a worker, its tasks are queued again at once
    /// instead of after a silence. Unknown processes are ignored. Does not block.
    pub fn process_ended(&self, pid: u32, how: String) {
        match self.master.try_send(ProcessEnded { pid, how }) {
            Ok(()) | Err(SendError::Closed(_)) => {}
            // Only speed is lost: the end of its connection tells the same.
            Err(SendError::Full(_)) => tracing::warn!(pid, "the master is too busy for the end of a process"),
        }
    }

    /// The workers that have joined and are not lost. Waits for the master's answer, at most 2 seconds; empty if there
    /// is none.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerInfo> {
        let (answer, answered) = sync_channel(1);
        match self.master.try_send(TellWorkers(answer)) {
            Ok(()) => answered.recv_timeout(ANSWER_TIME).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Sends the workers home, closes all links and ends the thread. Blocks for at most 3 seconds, mostly for
    /// milliseconds.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) else { return };
        // A thread that has ended already needs no word.
        let _ = stop.send(());
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(SHUTDOWN_TIME) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the master did not end in time; its thread is left behind");
        } else if thread.join().is_err() {
            tracing::error!("the master's thread has panicked");
        }
    }
}

impl Drop for MasterHandle {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for MasterHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterHandle").field("address", &self.address).finish_non_exhaustive()
    }
}
