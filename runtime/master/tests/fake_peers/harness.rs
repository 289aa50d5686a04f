//! A master with fake workers and clients; it hides the handshake and the batching, not the messages.
use bytes::Bytes;
use quiltwork_master::{MasterConfig, MasterHandle, start};
use quiltwork_protocol::client_to_master::{Argument, Question, SubmittedTask, TaskOptions};
use quiltwork_protocol::master_to_client::{Answer, End, TaskEnd};
use quiltwork_protocol::master_to_worker::Assignment;
use quiltwork_protocol::worker_to_master::{AttemptEnd, AttemptOutcome, Made};
use quiltwork_protocol::{
    BUILD, ClientToMaster, Hello, MasterToClient, MasterToWorker, Message, Parcel, Purpose, Repertoire, VersionRange,
    Welcome, WorkerToMaster, You,
};
use quiltwork_transport::{
    Authority, Connection, Endpoint, JoinError, Link, LinkError, LinkReceiver, LinkSender, Role,
};
use quiltwork_types::{AttemptId, Encoding, Epoch, FunctionId, JobId, NodeId, Resources, TaskId, ValueId, WorkerId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

/// Longer than anything here takes; a test that reaches it hangs.
const HANG: Duration = Duration::from_secs(15);

pub(crate) const ENCODING: Encoding = Encoding::Raw;
pub(crate) const EPOCH: Epoch = Epoch(1);
/// The number every fake client gives its one function.
pub(crate) const FUNCTION: FunctionId = FunctionId(5);

pub(crate) struct Cluster {
    pub(crate) master: MasterHandle,
    authority: Authority,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::configured(|_| {})
    }

    pub(crate) fn configured(change: impl FnOnce(&mut MasterConfig)) -> Self {
        let authority = Authority::new().unwrap();
        let mut config = MasterConfig::default();
        change(&mut config);
        let master = start(config, &authority.issue(Role::Master).unwrap()).unwrap();
        Self { master, authority }
    }

    pub(crate) async fn connect(&self, role: Role) -> Connection {
        let endpoint = Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &self.authority.issue(role).unwrap());
        endpoint.unwrap().connect(self.master.address(), Role::Master).await.unwrap()
    }

    pub(crate) async fn worker(&self) -> FakeWorker {
        self.worker_with(1, std::process::id()).await.unwrap()
    }

    /// A worker of a node.
    pub(crate) async fn worker_on(&self, node: NodeId) -> FakeWorker {
        self.admit_worker((1, std::process::id()), Some(node), Repertoire::default()).await.unwrap()
    }

    pub(crate) async fn worker_with(&self, port: u16, pid: u32) -> Result<FakeWorker, JoinError> {
        self.admit_worker((port, pid), None, Repertoire::default()).await
    }

    /// A worker that can run this.
    pub(crate) async fn worker_that_runs(&self, functions: &[&str], any_python: bool) -> FakeWorker {
        let functions = functions.iter().map(ToString::to_string).collect();
        self.admit_worker((1, std::process::id()), None, Repertoire { functions, any_python }).await.unwrap()
    }

    /// A worker with one slot.
    async fn admit_worker(
        &self,
        (port, pid): (u16, u32),
        node: Option<NodeId>,
        repertoire: Repertoire,
    ) -> Result<FakeWorker, JoinError> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let purpose = Purpose::Worker { pid, capacity: Resources::slots(1), address, node, repertoire };
        let connection = self.connect(Role::Worker).await;
        let (welcome, link) = join(&connection, purpose).await?;
        let You::Worker(worker) = welcome.you else { panic!("{welcome:?}") };
        let peer = Peer::new(connection, link);
        Ok(FakeWorker { worker, address, peer, assignments: VecDeque::new() })
    }

    /// A client that has defined its function.
    pub(crate) async fn client(&self) -> FakeClient {
        self.client_on(None).await
    }

    /// A client of a node that has defined its function.
    pub(crate) async fn client_on(&self, node: Option<NodeId>) -> FakeClient {
        let client = self.admit_client(node).await.unwrap();
        let define = ClientToMaster::DefineFunction { function: FUNCTION, name: "count".to_owned() };
        client.say(define, Vec::new());
        client
    }

    pub(crate) async fn try_client(&self) -> Result<FakeClient, JoinError> {
        self.admit_client(None).await
    }

    async fn admit_client(&self, node: Option<NodeId>) -> Result<FakeClient, JoinError> {
        let connection = self.connect(Role::Client).await;
        let (welcome, link) = join(&connection, Purpose::Client { node, inside: None }).await?;
        let You::Client(job) = welcome.you else { panic!("{welcome:?}") };
        Ok(FakeClient { job, peer: Peer::new(connection, link), ends: VecDeque::new() })
    }
}

pub(crate) async fn join<Out: Message, In: Message>(
    connection: &Connection,
    purpose: Purpose,
) -> Result<(Welcome, Link<Out, In>), JoinError> {
    let hello = Hello { versions: VersionRange::OURS, build: BUILD.to_owned(), registry: 0, purpose };
    within(quiltwork_transport::join(connection.clone(), hello)).await
}

pub(crate) async fn within<F: Future>(step: F) -> F::Output {
    timeout(HANG, step).await.expect("it hangs")
}

/// One end of a link with a place for what was received and not looked at.
pub(crate) struct Peer<Out, In> {
    pub(crate) connection: Connection,
    pub(crate) sender: LinkSender<Out>,
    receiver: LinkReceiver<In>,
    received: Vec<Parcel<In>>,
}

impl<Out: Message, In: Message> Peer<Out, In> {
    fn new(connection: Connection, link: Link<Out, In>) -> Self {
        Self { connection, sender: link.sender, receiver: link.receiver, received: Vec::new() }
    }

    /// The next message for which `wanted` gives something; those before it are dropped.
    async fn next<T>(&mut self, wanted: impl Fn(Parcel<In>) -> Option<T>) -> Result<T, LinkError> {
        loop {
            while !self.received.is_empty() {
                if let Some(found) = wanted(self.received.remove(0)) {
                    return Ok(found);
                }
            }
            within(self.receiver.receive(&mut self.received)).await?;
        }
    }

    /// The end of the link, whatever comes before it.
    pub(crate) async fn closed(&mut self) -> LinkError {
        self.next(|_| None::<()>).await.expect_err("nothing is wanted")
    }
}

pub(crate) struct FakeWorker {
    pub(crate) worker: WorkerId,
    pub(crate) address: SocketAddr,
    pub(crate) peer: Peer<WorkerToMaster, MasterToWorker>,
    assignments: VecDeque<(Assignment, Vec<Bytes>)>,
}

impl FakeWorker {
    /// The next attempt it is given, with its payloads.
    pub(crate) async fn assignment(&mut self) -> (Assignment, Vec<Bytes>) {
        while self.assignments.is_empty() {
            let heard = self.hear(|parcel| match parcel.message {
                MasterToWorker::Dispatch { assignments } => Some((assignments, parcel.payloads)),
                _ => None,
            });
            let (assignments, payloads) = heard.await;
            let mut payloads = payloads.into_iter();
            let apart = assignments.into_iter().map(|assignment| {
                let own = payloads.by_ref().take(assignment.payloads()).collect();
                (assignment, own)
            });
            self.assignments.extend(apart);
        }
        self.assignments.pop_front().unwrap()
    }

    pub(crate) async fn attempt(&mut self) -> AttemptId {
        self.assignment().await.0.attempt
    }

    /// The next message for which `wanted` gives something.
    pub(crate) async fn hear<T>(&mut self, wanted: impl Fn(Parcel<MasterToWorker>) -> Option<T>) -> T {
        self.peer.next(wanted).await.expect("the master still speaks to this worker")
    }

    pub(crate) fn say(&self, message: WorkerToMaster, payloads: Vec<Bytes>) {
        self.peer.sender.push(&Parcel::new(message, payloads)).unwrap();
    }

    pub(crate) fn finish_inline(&self, attempt: AttemptId, bytes: &'static [u8]) {
        self.finish(attempt, bytes.len() as u64, Made::Inline, vec![Bytes::from_static(bytes)]);
    }

    pub(crate) fn finish_stored(&self, attempt: AttemptId, size: u64) {
        self.finish(attempt, size, Made::Stored, Vec::new());
    }

    fn finish(&self, attempt: AttemptId, size: u64, made: Made, payloads: Vec<Bytes>) {
        let end = AttemptOutcome::Finished { encoding: ENCODING, size, made, ran_nanos: 1000 };
        self.say(WorkerToMaster::Ended { epoch: EPOCH, ends: vec![AttemptEnd { attempt, end }] }, payloads);
    }
}

pub(crate) struct FakeClient {
    pub(crate) job: JobId,
    pub(crate) peer: Peer<ClientToMaster, MasterToClient>,
    ends: VecDeque<(TaskEnd, Option<Bytes>)>,
}

impl FakeClient {
    pub(crate) const fn task(&self, index: u32) -> TaskId {
        TaskId { job: self.job, index }
    }

    pub(crate) const fn value(&self, index: u32) -> ValueId {
        ValueId::of(self.task(index))
    }

    pub(crate) fn say(&self, message: ClientToMaster, payloads: Vec<Bytes>) {
        self.peer.sender.push(&Parcel::new(message, payloads)).unwrap();
    }

    /// A task of the defined function that the client keeps.
    pub(crate) fn described(&self, index: u32, arguments: Vec<Argument>) -> SubmittedTask {
        let options = TaskOptions { kept: true, ..TaskOptions::default() };
        SubmittedTask { task: self.task(index), function: FUNCTION, arguments, options }
    }

    pub(crate) fn submit(&self, index: u32, arguments: Vec<Argument>, payloads: Vec<Bytes>) {
        self.say(ClientToMaster::Submit { tasks: vec![self.described(index, arguments)] }, payloads);
    }

    /// Announces an upload.
    pub(crate) fn put(&self, index: u32, size: u64) {
        self.say(ClientToMaster::Put { task: self.task(index), size, encoding: ENCODING, written: false }, Vec::new());
    }

    /// Gives a small value with its announcement.
    pub(crate) fn give(&self, index: u32, bytes: &[u8]) {
        let payloads = vec![Bytes::copy_from_slice(bytes)];
        self.say(ClientToMaster::Give { task: self.task(index), encoding: ENCODING }, payloads);
    }

    /// Announces what is in the area of its node.
    pub(crate) fn put_written(&self, index: u32, size: u64) {
        self.say(ClientToMaster::Put { task: self.task(index), size, encoding: ENCODING, written: true }, Vec::new());
    }

    /// The next end of a task, with its payload.
    pub(crate) async fn end(&mut self) -> (TaskId, End, Option<Bytes>) {
        while self.ends.is_empty() {
            let heard = self.hear(|parcel| match parcel.message {
                MasterToClient::Ended { ends } => Some((ends, parcel.payloads)),
                _ => None,
            });
            let (ends, payloads) = heard.await;
            let mut payloads = payloads.into_iter();
            self.ends.extend(ends.into_iter().map(|end| {
                let payload = matches!(end.end, End::Inline(_)).then(|| payloads.next().unwrap());
                (end, payload)
            }));
        }
        let (TaskEnd { task, end }, payload) = self.ends.pop_front().unwrap();
        (task, end, payload)
    }

    /// The next message for which `wanted` gives something.
    pub(crate) async fn hear<T>(&mut self, wanted: impl Fn(Parcel<MasterToClient>) -> Option<T>) -> T {
        self.peer.next(wanted).await.expect("the master still speaks to this client")
    }

    pub(crate) async fn ask(&mut self, about: Question) -> Answer {
        self.say(ClientToMaster::Ask { question: 77, about }, Vec::new());
        self.hear(|parcel| match parcel.message {
            MasterToClient::Answer { question: 77, answer } => Some(answer),
            _ => None,
        })
        .await
    }
}

pub(crate) const fn literal() -> Argument {
    Argument::Literal(ENCODING)
}

pub(crate) fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}
