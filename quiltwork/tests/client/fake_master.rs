//! A master that decides nothing: it hears what a client says, and says what a test tells it to.
use bytes::Bytes;
use quiltwork::{JobId, TaskId};
use quiltwork_protocol::client_to_master::SubmittedTask;
use quiltwork_protocol::master_to_client::{End, TaskEnd};
use quiltwork_protocol::{BulkRequest, ClientToMaster, MasterToClient, Parcel, VALUE_LIMIT, Welcome, You, codec};
use quiltwork_transport::{Authority, Connection, Endpoint, Identity, Link, LinkSender, Role, meet};
use quiltwork_types::{Encoding, Epoch, ValueId};
use serde::Serialize;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;

/// Far more than anything here takes; only a hang is as long.
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const JOB: JobId = JobId(7);

type Values = Arc<Mutex<HashMap<ValueId, (Encoding, Bytes)>>>;

pub(crate) struct FakeMaster {
    pub(crate) ticket: String,
    authority: Authority,
    /// Ends with `None` for each link that ended.
    heard: Receiver<Option<Parcel<ClientToMaster>>>,
    uploads: Receiver<(TaskId, Bytes)>,
    link: Receiver<(LinkSender<MasterToClient>, Connection)>,
    speaker: Option<(LinkSender<MasterToClient>, Connection)>,
    values: Values,
}

/// The number of the job's `index`-th task.
pub(crate) fn task(index: u32) -> TaskId {
    TaskId { job: JOB, index }
}

/// A value as a worker would encode it.
pub(crate) fn encoded<T: Serialize>(value: &T) -> (Encoding, Bytes) {
    (codec::encoding_of::<T>(), codec::encode_value(value).unwrap().into())
}

impl FakeMaster {
    /// Serves one client.
    pub(crate) fn start() -> Self {
        Self::on_node_of(None)
    }

    /// Serves one client whose node has this area.
    pub(crate) fn on_node_of(area: Option<&Path>) -> Self {
        let authority = Authority::new().unwrap();
        let (values, (hears, heard)) = (Values::default(), mpsc::channel());
        let ((uploaded, uploads), (links, link)) = (mpsc::channel(), mpsc::channel());
        let bulk = Bulk { values: values.clone(), uploaded };
        let identity = authority.issue(Role::Master).unwrap();
        let address =
            serve(identity, move |connection| serve_link(connection, bulk.clone(), hears.clone(), links.clone()));
        let client = authority.issue(Role::Client).unwrap();
        let ticket =
            quiltwork::Ticket { master: address, identity: client, area: area.map(Path::to_owned) }.to_string();
        Self { ticket, authority, heard, uploads, link, speaker: None, values }
    }

    /// A client of this master.
    pub(crate) fn client(&mut self) -> quiltwork::Client {
        let client = quiltwork::Client::connect_blocking(&self.ticket).unwrap();
        self.speaker = Some(self.link.recv_timeout(PATIENCE).unwrap());
        client
    }

    /// The next thing the client says, with its payloads.
    pub(crate) fn hear(&self) -> (ClientToMaster, Vec<Bytes>) {
        let heard = self.heard.recv_timeout(PATIENCE).expect("the client says something");
        let Parcel { message, payloads } = heard.expect("the link has not ended");
        (message, payloads)
    }

    /// The next tasks the client submits; functions it defines before are skipped.
    pub(crate) fn hear_tasks(&self) -> (Vec<SubmittedTask>, Vec<Bytes>) {
        loop {
            match self.hear() {
                (ClientToMaster::Submit { tasks }, payloads) => return (tasks, payloads),
                (ClientToMaster::DefineFunction { .. }, _) => {}
                other => panic!("a submission was expected, not {other:?}"),
            }
        }
    }

    /// Everything the client says until its link ends, which must be soon.
    pub(crate) fn hear_rest(&self) -> Vec<ClientToMaster> {
        let next = || self.heard.recv_timeout(PATIENCE).expect("the link ends");
        std::iter::from_fn(|| next().map(|parcel| parcel.message)).collect()
    }

    /// The next upload.
    pub(crate) fn take_upload(&self) -> (TaskId, Bytes) {
        self.uploads.recv_timeout(PATIENCE).expect("the client uploads something")
    }

    pub(crate) fn say(&self, message: MasterToClient, payloads: Vec<Bytes>) {
        let (speaker, _) = self.speaker.as_ref().expect("there is a client");
        speaker.push(&Parcel::new(message, payloads)).unwrap();
    }

    pub(crate) fn end(&self, index: u32, end: End, payloads: Vec<Bytes>) {
        self.say(MasterToClient::Ended { ends: vec![TaskEnd { task: task(index), end }] }, payloads);
    }

    /// The task made this value, which is small enough to come along.
    pub(crate) fn finish<T: Serialize>(&self, index: u32, value: &T) {
        let (encoding, bytes) = encoded(value);
        self.end(index, End::Inline(encoding), vec![bytes]);
    }

    /// Keeps a value to be fetched.
    pub(crate) fn keep<T: Serialize>(&self, index: u32, value: &T) {
        self.values.lock().unwrap().insert(ValueId::of(task(index)), encoded(value));
    }

    /// Something of this cluster that serves values like a worker, and where.
    pub(crate) fn worker(&self) -> (SocketAddr, impl Fn(u32, (Encoding, Bytes))) {
        let (values, (uploaded, _)) = (Values::default(), mpsc::channel());
        let bulk = Bulk { values: values.clone(), uploaded };
        let address = self.peer(move |connection| bulk.clone().serve(connection));
        (address, move |index, value| drop(values.lock().unwrap().insert(ValueId::of(task(index)), value)))
    }

    /// Something of this cluster that does this with whoever connects to it as to a worker, and where.
    pub(crate) fn peer<F: Future<Output = ()> + Send + 'static>(
        &self,
        handle: impl Fn(Connection) -> F + Send + 'static,
    ) -> SocketAddr {
        serve(self.authority.issue(Role::Worker).unwrap(), handle)
    }

    /// Cuts the client off.
    pub(crate) fn cut(&mut self) {
        let (_speaker, connection) = self.speaker.take().expect("there is a client");
        connection.close("the fake master has had enough");
    }
}

/// Serves everybody who connects on a thread of its own, which ends with the process.
fn serve<F: Future<Output = ()> + Send + 'static>(
    identity: Identity,
    handle: impl Fn(Connection) -> F + Send + 'static,
) -> SocketAddr {
    let (bound, address) = mpsc::channel();
    thread::spawn(move || {
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let endpoint = Endpoint::bind("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
            bound.send(endpoint.local_address()).unwrap();
            while let Some(connection) = endpoint.accept().await {
                tokio::spawn(handle(connection));
            }
        });
    });
    address.recv_timeout(PATIENCE).unwrap()
}

async fn serve_link(
    connection: Connection,
    bulk: Bulk,
    hears: Sender<Option<Parcel<ClientToMaster>>>,
    links: Sender<(LinkSender<MasterToClient>, Connection)>,
) {
    let guest = meet(connection.clone()).await.unwrap();
    let version = guest.version();
    let welcome = Welcome {
        version,
        epoch: Epoch(1),
        registry: guest.hello.registry,
        value_limit: VALUE_LIMIT,
        you: You::Client(JOB),
    };
    let link: Link<MasterToClient, ClientToMaster> = guest.welcome(welcome).await.unwrap();
    tokio::spawn(bulk.serve(connection.clone()));
    links.send((link.sender, connection)).unwrap();
    let mut receiver = link.receiver;
    let mut parcels = Vec::new();
    while receiver.receive(&mut parcels).await.is_ok() {
        for parcel in parcels.drain(..) {
            // The test may have ended.
            let _ = hears.send(Some(parcel));
        }
    }
    let _ = hears.send(None);
}

#[derive(Clone)]
struct Bulk {
    values: Values,
    uploaded: Sender<(TaskId, Bytes)>,
}

impl Bulk {
    async fn serve(self, connection: Connection) {
        while let Ok(incoming) = connection.accept_bulk().await {
            match incoming.request() {
                BulkRequest::Fetch { value, .. } => {
                    let found = self.values.lock().unwrap().get(&value).cloned();
                    match found {
                        Some((encoding, bytes)) => drop(incoming.found(encoding, &bytes).await),
                        None => incoming.missing().await,
                    }
                }
                BulkRequest::Upload { task, .. } => {
                    let Ok((bytes, done)) = incoming.receive(VALUE_LIMIT).await else { continue };
                    let _ = self.uploaded.send((task, bytes));
                    done.stored().await;
                }
            }
        }
    }
}
