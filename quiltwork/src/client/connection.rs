//! The client's own I/O thread: it makes the link, hears the master, runs errands, and says good-bye; it makes no messages
//! of its own.
use super::errands::{List, Upload};
use super::fetch::Peers;
use super::session::{Session, Shared};
use super::ticket::Ticket;
use crate::error::{Error, Problem, Result};
use quiltwork_master::{Doorway, Ear, Left};
use quiltwork_protocol::{
    BUILD, ClientToMaster, Hello, MasterToClient, Parcel, Purpose, RefusalKind, VersionRange, You,
};
use quiltwork_transport::{
    ConnectError, Connection, Endpoint, JoinError, LinkReceiver, LinkSender, Role, WorkerPool, join,
};
use quiltwork_worker::Area;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tracing::{debug, warn};

/// How many uploads go on at a time; more would only share the same way.
const UPLOADS_AT_ONCE: usize = 4;
/// How long the last words may take to leave this process.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// Connects to the master of a cluster; through its doorway if it is in this process. Dropping the future gives up.
pub(super) async fn open(ticket: &Ticket, doorway: Option<Doorway>) -> Result<Session> {
    let ticket = ticket.clone();
    let (ready, is_ready) = oneshot::channel();
    let thread = thread::Builder::new()
        .name("quiltwork-client".to_owned())
        .spawn(move || run(&ticket, doorway.as_ref(), ready))
        .map_err(|error| Error::Connect(Problem::new(format!("cannot start the client's thread: {error}"))))?;
    match is_ready.await {
        Ok(Ok(shared)) => Ok(Session::new(shared, thread)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Connect(Problem::new("the client's thread ended before it was connected"))),
    }
}

/// The thread: everything that was not answered when it ends, however it ends, is failed.
fn run(ticket: &Ticket, doorway: Option<&Doorway>, ready: oneshot::Sender<Result<Arc<Shared>>>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = Problem::new(format!("cannot start the client's event loop: {error}"));
            return drop(ready.send(Err(Error::Connect(problem))));
        }
    };
    runtime.block_on(async {
        let mut ready = ready;
        let connected = tokio::select! {
            connected = connect(ticket, doorway) => connected,
            () = ready.closed() => return,
        };
        let (io, news) = match connected {
            Ok(connected) => connected,
            Err(error) => return drop(ready.send(Err(error))),
        };
        let _farewell = Farewell(Arc::clone(&io.shared));
        if ready.send(Ok(Arc::clone(&io.shared))).is_ok() {
            io.serve(news).await;
        }
        io.endpoint.close("the client has ended").await;
    });
}

/// Tells everybody who still waits, also if the thread panics.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.on_lost("the client's thread has ended");
    }
}

/// What the thread works with.
struct Io {
    shared: Arc<Shared>,
    endpoint: Endpoint,
    /// To the master.
    connection: Connection,
    peers: Arc<Peers>,
    uploads: Arc<Semaphore>,
}

/// How this client hears the master.
enum News {
    /// Over the link.
    Link(LinkReceiver<MasterToClient>),
    /// The master tells an [`Inside`] ear.
    Inside,
}

/// This side of a link through the memory of the master's process.
struct Inside {
    left: Left,
    sender: LinkSender<ClientToMaster>,
    listener: Arc<OnceLock<Arc<Shared>>>,
}

impl Inside {
    fn leave(doorway: &Doorway) -> Self {
        let listener = Arc::<OnceLock<_>>::default();
        let (left, sender) = doorway.leave(unguessable(), Box::new(InnerEar(Arc::clone(&listener))));
        Self { left, sender, listener }
    }
}

/// The standard library keys its hashes with numbers of the system's.
fn unguessable() -> u64 {
    RandomState::new().hash_one(())
}

/// Hears the master on its own thread: nobody has to be woken who would only pass the news on. What is said before there
/// is somebody to hear it is about nothing this client has asked for.
struct InnerEar(Arc<OnceLock<Arc<Shared>>>);

impl Ear for InnerEar {
    fn hear(&self, parcel: Parcel<MasterToClient>) {
        if let Some(shared) = self.0.get() {
            shared.on_message_inside(parcel);
        }
    }
}

impl Drop for InnerEar {
    fn drop(&mut self) {
        if let Some(shared) = self.0.get() {
            shared.on_lost("the master has ended");
        }
    }
}

/// Makes the link.
async fn connect(ticket: &Ticket, doorway: Option<&Doorway>) -> Result<(Io, News)> {
    let address = any_port_towards(ticket.master.ip());
    let endpoint = Endpoint::bind(address, &ticket.identity).map_err(|error| Error::Connect(problem(&error)))?;
    let connection = endpoint.connect(ticket.master, Role::Master).await.map_err(|error| match error {
        ConnectError::Silent { .. } | ConnectError::Failed { .. } => Error::Connect(problem(&error)),
        ConnectError::WrongRole { .. } | ConnectError::Untrusted { .. } | ConnectError::Impossible { .. } => {
            Error::Refused(problem(&error))
        }
    })?;
    let registry = quiltwork_worker::registry_hash();
    let build = BUILD.to_owned();
    // Somebody else's folder, or none: then this client is not on the ticket's node.
    let area = ticket.area.as_deref().and_then(|folder| Area::open(folder).ok());
    let inside = doorway.map(Inside::leave);
    let purpose = Purpose::Client {
        node: area.as_ref().map(Area::node),
        inside: inside.as_ref().map(|inside| inside.left.number()),
    };
    let hello = Hello { versions: VersionRange::OURS, build, registry, purpose };
    let (welcome, link) = join(connection.clone(), hello).await.map_err(|error| match error {
        JoinError::Silent | JoinError::Lost(_) | JoinError::Refused(RefusalKind::Full, _) => {
            Error::Connect(problem(&error))
        }
        JoinError::Refused(..) | JoinError::Untrusted(_) | JoinError::Garbage(_) => Error::Refused(problem(&error)),
    })?;
    let You::Client(job) = welcome.you else {
        return Err(Error::Refused(Problem::new(format!("the master took this client for {:?}", welcome.you))));
    };
    if welcome.registry != 0 && registry != 0 && welcome.registry != registry {
        warn!("the cluster was built with other tasks than this program: tasks it does not know will fail");
    }
    let workers = WorkerPool::new(endpoint.clone());
    let shared = |sender| Arc::new(Shared::new(job, welcome.value_limit, sender, workers, area));
    let (shared, news) = match inside {
        Some(inside) => {
            let shared = shared(inside.sender);
            inside.listener.get_or_init(|| Arc::clone(&shared));
            (shared, News::Inside)
        }
        None => (shared(link.sender), News::Link(link.receiver)),
    };
    let peers = Arc::new(Peers::new(connection.clone(), Arc::clone(&shared)));
    let uploads = Arc::new(Semaphore::new(UPLOADS_AT_ONCE));
    Ok((Io { shared, endpoint, connection, peers, uploads }, news))
}

impl Io {
    /// Until nobody needs the link any more, or it is lost.
    async fn serve(&self, news: News) {
        let hearing = async {
            match news {
                News::Link(receiver) => hear(Arc::clone(&self.shared), receiver).await,
                News::Inside => self.connection.closed().await,
            }
        };
        tokio::select! {
            reason = hearing => {
                debug!(%reason, "the link to the master is lost");
                self.shared.on_lost(&reason);
            }
            () = self.run_errands() => {
                // A peer that does not listen any more does not hold us up.
                let _ = timeout(FAREWELL_TIME, self.shared.sender.flushed()).await;
            }
        }
    }

    /// Ends when there is no link or nobody needs it any more.
    async fn run_errands(&self) {
        loop {
            let List { cancels, releases, uploads, fetches, alarms, finish, .. } = self.shared.errands.take().await;
            // Cancels first, for the same reason as in `Errands::take_releases`.
            let cancels = (!cancels.is_empty()).then_some(ClientToMaster::Cancel { tasks: cancels });
            let releases = (!releases.is_empty()).then_some(ClientToMaster::Release { tasks: releases });
            for message in [cancels, releases].into_iter().flatten() {
                if self.shared.sender.send(&Parcel::bare(message)).await.is_err() {
                    // `hear` is about to say why.
                    return std::future::pending().await;
                }
            }
            self.shared.errands.on_cancels_said();
            for upload in uploads {
                self.begin_upload(upload);
            }
            for cell in fetches {
                tokio::spawn(Arc::clone(&self.peers).fetch(cell));
            }
            for clock in alarms {
                tokio::spawn(clock.run());
            }
            if finish {
                return;
            }
        }
    }

    fn begin_upload(&self, Upload { task, bytes }: Upload) {
        let (shared, connection, uploads) = (self.shared.clone(), self.connection.clone(), self.uploads.clone());
        tokio::spawn(async move {
            let _permit = uploads.acquire().await;
            // The announcement goes first: the master reads an upload it was told of, and one that is not read fills the
            // window of the connection, in which the announcement would wait for room.
            shared.sender.flushed().await;
            if let Err(error) = connection.upload(task, &bytes).await {
                debug!(%task, %error, "an upload failed");
                // Who needs the value would wait for it for ever. If the link is lost, nobody waits any more.
                let message = ClientToMaster::UploadFailed { task, why: error.to_string() };
                drop(shared.sender.send(&Parcel::bare(message)).await);
            }
            shared.errands.on_uploaded(bytes.len());
        });
    }
}

/// Hears the master until the link is lost; returns why.
async fn hear(shared: Arc<Shared>, mut receiver: LinkReceiver<MasterToClient>) -> String {
    let mut parcels = Vec::new();
    loop {
        let received = receiver.receive(&mut parcels).await;
        parcels.drain(..).for_each(|parcel| shared.on_message(parcel));
        if let Err(error) = received {
            return error.to_string();
        }
    }
}

/// A local address from which `peer` can be reached.
const fn any_port_towards(peer: IpAddr) -> SocketAddr {
    let ip = match peer {
        IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// What the transport said; its text may end with a hint.
fn problem(error: &impl std::error::Error) -> Problem {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => Problem::new(message).with_hint(hint.to_owned()),
        None => Problem::new(text),
    }
}
