//! Lets peers in: hears their hello, checks role and room, gives them their number and starts the actor of their link.
use crate::client_link::{ClientLink, Voice};
use crate::config::MasterConfig;
use crate::doorway::Doorway;
use crate::master::Master;
use crate::worker_link::{WorkerLink, WorkerProfile};
use actix::prelude::*;
use quiltwork_protocol::{Purpose, RefusalKind, Welcome, You};
use quiltwork_transport::{Connection, Endpoint, Guest, MeetError, Role, meet};
use quiltwork_types::{Epoch, JobId, NodeId, WorkerId};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Peers whose hello is awaited at a time; further ones are turned away until one of these has spoken or timed out.
const PENDING_HELLOS: usize = 256;

/// What the actors of links share.
pub(crate) struct Host {
    pub(crate) master: Addr<Master>,
    /// The largest value accepted, in bytes.
    pub(crate) value_limit: u64,
    /// Links there may be at a time. Each hands the master one batch at a time, so before an actor gets its turn the
    /// master can have put no more messages into its mailbox than this and a timer's.
    pub(crate) links: usize,
}

/// The listener.
pub(crate) struct Listener {
    endpoint: Endpoint,
    doorway: Doorway,
    host: Host,
    epoch: Epoch,
    greeting: Arc<Semaphore>,
    workers: Places,
    clients: Places,
    /// What the first client sent that has tasks of its own; 0 until then.
    registry: Cell<u64>,
    /// In a mixed cluster programs differ.
    mixed: bool,
}

/// The places for one kind of peer, and the numbers they go by. No number is given twice.
struct Places {
    limit: usize,
    free: Arc<Semaphore>,
    next: Cell<u32>,
}

impl Places {
    fn new(limit: usize) -> Self {
        Self { limit, free: Arc::new(Semaphore::new(limit)), next: Cell::new(1) }
    }

    /// A place and a number, if there are any left.
    fn take(&self) -> Option<(OwnedSemaphorePermit, u32)> {
        let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let number = self.next.get();
        self.next.set(number.checked_add(1)?);
        Some((place, number))
    }
}

impl Listener {
    /// A listener on this endpoint.
    pub(crate) fn new(endpoint: Endpoint, doorway: Doorway, master: Addr<Master>, config: &MasterConfig) -> Self {
        let links = config.max_workers + config.max_clients + 1;
        Self {
            endpoint,
            doorway,
            host: Host { master, value_limit: config.value_limit, links },
            epoch: config.scheduler.epoch,
            greeting: Arc::new(Semaphore::new(PENDING_HELLOS)),
            workers: Places::new(config.max_workers),
            clients: Places::new(config.max_clients),
            registry: Cell::new(0),
            mixed: config.mixed,
        }
    }

    /// Lets peers in until the endpoint is closed.
    pub(crate) async fn run(self: Rc<Self>) {
        while let Some(connection) = self.endpoint.accept().await {
            match Arc::clone(&self.greeting).try_acquire_owned() {
                Ok(turn) => drop(actix::spawn(Rc::clone(&self).greet(connection, turn))),
                Err(_) => connection.close("too many peers are saying hello; try again"),
            }
        }
    }

    async fn greet(self: Rc<Self>, connection: Connection, _turn: OwnedSemaphorePermit) {
        let peer = connection.remote_address();
        let outcome = match meet(connection).await {
            Ok(guest) => self.admit(guest).await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(%peer, %error, "a peer was not let in");
        }
    }

    async fn admit(&self, guest: Guest) -> Result<(), MeetError> {
        if let Err(text) = check_role(guest.connection().peer_role(), &guest.hello.purpose) {
            guest.refuse(RefusalKind::Role, text).await;
            return Ok(());
        }
        match guest.hello.purpose {
            Purpose::Client { node, inside } => self.admit_client(guest, node, inside).await,
            Purpose::Worker { .. } => self.admit_worker(guest).await,
        }
    }

    async fn admit_client(&self, guest: Guest, node: Option<NodeId>, inside: Option<u64>) -> Result<(), MeetError> {
        let Some((place, number)) = self.clients.take() else {
            return self.turn_away(guest, "clients", "max_clients", self.clients.limit).await;
        };
        if self.registry.get() == 0 {
            self.registry.set(guest.hello.registry);
        }
        let (job, connection) = (JobId(number), guest.connection().clone());
        let visitor = inside.map(|number| self.doorway.pick_up(number));
        if let Some(None) = visitor {
            let text = "no link was left inside under that number\nhint: connect without one";
            guest.refuse(RefusalKind::Role, text.to_owned()).await;
            return Ok(());
        }
        let link = guest.welcome(self.welcome(You::Client(job))).await?;
        let (receiver, voice) = match visitor.flatten() {
            Some(visitor) => (visitor.receiver, Voice::Ear(visitor.ear)),
            None => (link.receiver, Voice::Link(link.sender)),
        };
        ClientLink::start_on((receiver, voice), connection, (job, node), &self.host, place);
        Ok(())
    }

    async fn admit_worker(&self, guest: Guest) -> Result<(), MeetError> {
        let Some((place, number)) = self.workers.take() else {
            return self.turn_away(guest, "workers", "max_workers", self.workers.limit).await;
        };
        let (worker, connection) = (WorkerId(number), guest.connection().clone());
        let Purpose::Worker { pid, capacity, address, node, repertoire } = guest.hello.purpose.clone() else {
            unreachable!("only a hello of a worker comes here");
        };
        let address = reachable(address, connection.remote_address());
        let link = guest.welcome(self.welcome(You::Worker(worker))).await?;
        let profile = WorkerProfile { worker, pid, capacity, address, node, repertoire };
        WorkerLink::start_on(link, connection, profile, &self.host, place);
        Ok(())
    }

    async fn turn_away(&self, guest: Guest, kind: &str, setting: &str, limit: usize) -> Result<(), MeetError> {
        let text = format!(
            "the master has no room for more {kind}: {limit} are there, which is its limit\n\
             hint: wait for one to go, or raise `{setting}`"
        );
        guest.refuse(RefusalKind::Full, text).await;
        Ok(())
    }

    fn welcome(&self, you: You) -> Welcome {
        Welcome {
            // Replaced by the version both sides speak when it is sent.
            version: quiltwork_protocol::VERSION_MAX,
            epoch: self.epoch,
            registry: if self.mixed { 0 } else { self.registry.get() },
            value_limit: self.host.value_limit,
            you,
        }
    }
}

/// Whether a certificate of this role allows the purpose. A worker process that submits tasks does so with a client's
/// identity.
fn check_role(role: Role, purpose: &Purpose) -> Result<(), String> {
    let (wanted, allowed) = match purpose {
        Purpose::Client { .. } => ("submit tasks", matches!(role, Role::Client | Role::Admin)),
        Purpose::Worker { .. } => ("run tasks", role == Role::Worker),
    };
    if allowed {
        return Ok(());
    }
    Err(format!("a certificate of the role `{role}` does not allow to {wanted}\nhint: use an identity made for that"))
}

/// Where others reach a worker that serves on every interface: at the address its connection comes from.
fn reachable(mut serves: SocketAddr, peer: SocketAddr) -> SocketAddr {
    if serves.ip().is_unspecified() {
        serves.set_ip(peer.ip());
    }
    serves
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::Resources;

    #[test]
    fn a_role_allows_its_own_purpose_only() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let repertoire = quiltwork_protocol::Repertoire::default();
        let worker = Purpose::Worker { pid: 1, capacity: Resources::slots(1), address, node: None, repertoire };
        let roles = [Role::Master, Role::Admin, Role::Client, Role::Worker, Role::Viewer];
        let client = Purpose::Client { node: None, inside: None };
        let clients: Vec<_> = roles.into_iter().filter(|role| check_role(*role, &client).is_ok()).collect();
        let workers: Vec<_> = roles.into_iter().filter(|role| check_role(*role, &worker).is_ok()).collect();
        assert_eq!((clients, workers), (vec![Role::Admin, Role::Client], vec![Role::Worker]));
    }

    #[test]
    fn places_come_back_and_numbers_do_not() {
        let places = Places::new(1);
        let (place, first) = places.take().unwrap();
        assert!(places.take().is_none());
        drop(place);
        let (_place, second) = places.take().unwrap();
        assert!(second > first);
    }

    #[test]
    fn a_worker_that_serves_everywhere_is_reached_where_it_comes_from() {
        let peer = SocketAddr::from(([192, 0, 2, 7], 999));
        assert_eq!(reachable("0.0.0.0:40".parse().unwrap(), peer), "192.0.2.7:40".parse().unwrap());
        assert_eq!(reachable("192.0.2.9:40".parse().unwrap(), peer), "192.0.2.9:40".parse().unwrap());
    }
}
