//! A master without a scheduler: it lets workers in, says what it is told to say, and hears what they answer.
use bytes::Bytes;
use quiltwork_protocol::codec::{encode_value, encoding_of};
use quiltwork_protocol::master_to_worker::{Assignment, Duty, Input, InputValue, Place};
use quiltwork_protocol::worker_to_master::{AttemptEnd, AttemptOutcome, Made};
use quiltwork_protocol::{Holder, MasterToWorker, Parcel, Purpose, VALUE_LIMIT, Welcome, WorkerToMaster, You};
use quiltwork_transport::{Authority, Connection, Endpoint, Identity, Link, Role, meet};
use quiltwork_types::{AttemptId, Encoding, Epoch, FunctionId, JobId, TaskFailure, TaskId, ValueId, WorkerId};
use quiltwork_worker::{WorkerConfig, WorkerError, registry_hash};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::timeout;

/// A test that waits longer hangs.
const HANG: Duration = Duration::from_secs(30);
const EPOCH: Epoch = Epoch(7);
const LOCALHOST: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Waits for something that must happen.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    timeout(HANG, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The first attempt of a task.
pub(crate) fn attempt(index: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JobId(1), index }, number: 1 }
}

/// What that task makes.
pub(crate) fn value(index: u32) -> ValueId {
    ValueId::of(attempt(index).task)
}

pub(crate) struct FakeMaster {
    authority: Authority,
    endpoint: Endpoint,
    workers: u32,
    pub(crate) value_limit: u64,
    /// What its workers are told that their process uses. All of them are in one, so it is not looked at.
    pub(crate) own_memory: fn() -> std::io::Result<u64>,
}

impl FakeMaster {
    pub(crate) fn new() -> Self {
        let authority = Authority::new().unwrap();
        let endpoint = Endpoint::bind(LOCALHOST, &authority.issue(Role::Master).unwrap()).unwrap();
        Self { authority, endpoint, workers: 0, value_limit: VALUE_LIMIT, own_memory: || Ok(0) }
    }

    pub(crate) fn identity(&self, role: Role) -> Identity {
        self.authority.issue(role).unwrap()
    }

    pub(crate) fn config(&self, slots: u32, memory: u64) -> WorkerConfig {
        let (master, identity) = (self.endpoint.local_address(), self.identity(Role::Worker));
        let (own_memory, named, listen) = (self.own_memory, Box::default(), LOCALHOST);
        WorkerConfig { master, identity, slots, memory, own_memory, named, listen, store: None }
    }

    /// The next who connects, before it is let in.
    pub(crate) async fn guest(&self) -> quiltwork_transport::Guest {
        let connection = soon("a connection", self.endpoint.accept()).await.unwrap();
        soon("a hello", meet(connection)).await.unwrap()
    }

    /// Starts a worker with that many slots and lets it in.
    pub(crate) async fn worker(&mut self, slots: u32) -> Worker {
        self.worker_with_memory(slots, 1 << 30).await
    }

    pub(crate) async fn worker_with_memory(&mut self, slots: u32, memory: u64) -> Worker {
        self.begin(self.config(slots, memory), quiltwork_worker::run).await
    }

    /// Starts a worker in a way of one's own.
    pub(crate) async fn worker_with(&mut self, slots: u32, run: Run) -> Worker {
        self.begin(self.config(slots, 1 << 30), run).await
    }

    async fn begin(&mut self, config: WorkerConfig, run: Run) -> Worker {
        let (slots, memory) = (config.slots, config.memory);
        let thread = std::thread::spawn(move || run(config));
        let guest = self.guest().await;
        let Purpose::Worker { pid, capacity, address, .. } = guest.hello.purpose.clone() else {
            panic!("not a worker: {:?}", guest.hello)
        };
        assert_eq!((pid, capacity.slots, capacity.memory), (std::process::id(), slots, memory));
        assert_eq!(guest.hello.registry, registry_hash());
        self.workers += 1;
        let id = WorkerId(self.workers);
        let welcome = Welcome {
            version: guest.version(),
            epoch: EPOCH,
            registry: guest.hello.registry,
            value_limit: self.value_limit,
            you: You::Worker(id),
        };
        let connection = guest.connection().clone();
        let link = soon("a link", guest.welcome(welcome)).await.unwrap();
        let (functions, heard) = (HashMap::new(), VecDeque::new());
        Worker { id, address, connection, link, thread, functions, heard }
    }
}

/// The life of a worker.
type Run = fn(WorkerConfig) -> Result<(), WorkerError>;

/// One thing a worker says, taken out of its batch.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    Started(AttemptId),
    Finished(AttemptId, Encoding, Made, Option<Bytes>),
    Failed(AttemptId, TaskFailure),
    Returned(AttemptId),
    Missing(AttemptId, Vec<(ValueId, WorkerId)>),
    Copied(ValueId),
    NotAdopted(ValueId, TaskFailure),
    Lent(AttemptId),
    Reclaimed(AttemptId),
    Progress(AttemptId, u64, u64),
    Pressed,
    Relieved,
    OutOfMemory(AttemptId, u64, u64),
}

/// A worker that was let in.
pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) address: SocketAddr,
    pub(crate) connection: Connection,
    link: Link<MasterToWorker, WorkerToMaster>,
    thread: JoinHandle<Result<(), WorkerError>>,
    functions: HashMap<&'static str, FunctionId>,
    heard: VecDeque<Said>,
}

impl Worker {
    pub(crate) fn say(&self, message: MasterToWorker) {
        self.link.sender.push(&message.into()).unwrap();
    }

    /// Dispatches one attempt of a task by that name.
    pub(crate) fn dispatch(&mut self, index: u32, function: &'static str, call: Call) {
        self.dispatch_all(vec![(index, function, call)]);
    }

    /// Dispatches attempts in one message.
    pub(crate) fn dispatch_all(&mut self, calls: Vec<(u32, &'static str, Call)>) {
        let mut payloads = Vec::new();
        let mut assignments = Vec::new();
        for (index, name, call) in calls {
            let next = FunctionId(u32::try_from(self.functions.len()).unwrap());
            let function = *self.functions.entry(name).or_insert(next);
            if function == next {
                self.say(MasterToWorker::DefineFunction { function, name: name.into() });
            }
            payloads.extend(call.payloads);
            let Call { inputs, slots, name, partition, duty, time_limit, .. } = call;
            let attempt = attempt(index);
            let plain = false;
            assignments.push(Assignment { attempt, function, inputs, slots, name, partition, plain, time_limit, duty });
        }
        let dispatch = Parcel::new(MasterToWorker::Dispatch { assignments }, payloads);
        self.link.sender.push(&dispatch).unwrap();
    }

    /// The next thing it says.
    pub(crate) async fn hear(&mut self) -> Said {
        loop {
            if let Some(said) = self.heard.pop_front() {
                return said;
            }
            let mut parcels = Vec::new();
            soon("the worker", self.link.receiver.receive(&mut parcels)).await.unwrap();
            parcels.into_iter().for_each(|parcel| self.take_apart(parcel));
        }
    }

    /// The next thing it says but that something has started, which it may or may not find the time to say.
    pub(crate) async fn hear_more(&mut self) -> Said {
        loop {
            match self.hear().await {
                Said::Started(_) => {}
                said => return said,
            }
        }
    }

    /// Hears that this attempt runs.
    pub(crate) async fn hear_start(&mut self, index: u32) {
        assert_eq!(self.hear().await, Said::Started(attempt(index)));
    }

    /// Hears that the attempt made this, and that it came with the message.
    pub(crate) async fn hear_result<T: DeserializeOwned>(&mut self, index: u32) -> T {
        match self.hear_more().await {
            Said::Finished(ended, encoding, Made::Inline, Some(bytes)) if ended == attempt(index) => {
                quiltwork_protocol::codec::decode_value(encoding, &bytes).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Hears that the attempt made something which stays with the worker.
    pub(crate) async fn hear_stored(&mut self, index: u32) {
        match self.hear_more().await {
            Said::Finished(ended, _, Made::Stored, None) if ended == attempt(index) => {}
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn hear_failure(&mut self, index: u32) -> TaskFailure {
        match self.hear_more().await {
            Said::Failed(ended, failure) if ended == attempt(index) => failure,
            other => panic!("{other:?}"),
        }
    }

    /// This worker as a holder of values.
    pub(crate) fn holder(&self) -> Holder {
        Holder::Worker { worker: self.id, address: self.address }
    }

    /// Tells it to end and checks that it does.
    pub(crate) async fn shut_down(self) {
        self.say(MasterToWorker::Shutdown);
        self.ended().await.unwrap();
    }

    /// Cuts the link; what `run` returned.
    pub(crate) async fn cut(self) -> Result<(), WorkerError> {
        self.connection.close("the test cuts the link");
        self.ended().await
    }

    /// What `run` returned.
    pub(crate) async fn ended(self) -> Result<(), WorkerError> {
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        soon("the worker's end", joined).await.unwrap().unwrap()
    }

    fn take_apart(&mut self, Parcel { message, payloads }: Parcel<WorkerToMaster>) {
        let mut payloads = payloads.into_iter();
        let heard = &mut self.heard;
        match message {
            WorkerToMaster::Started { attempts } => heard.extend(attempts.into_iter().map(Said::Started)),
            WorkerToMaster::Ended { epoch, ends } => {
                assert_eq!(epoch, EPOCH);
                heard.extend(ends.into_iter().map(|AttemptEnd { attempt, end }| match end {
                    AttemptOutcome::Finished { encoding, made, .. } => {
                        let inline = (made == Made::Inline).then(|| payloads.next().unwrap());
                        Said::Finished(attempt, encoding, made, inline)
                    }
                    AttemptOutcome::Failed(failure) => Said::Failed(attempt, failure),
                }));
            }
            WorkerToMaster::Returned { attempts } => heard.extend(attempts.into_iter().map(Said::Returned)),
            WorkerToMaster::InputsMissing { attempt, missing } => heard.push_back(Said::Missing(attempt, missing)),
            WorkerToMaster::Copied { values } => heard.extend(values.into_iter().map(Said::Copied)),
            WorkerToMaster::NotInherited { values } => panic!("no test lets it inherit {values:?}"),
            WorkerToMaster::NotAdopted { value, failure } => heard.push_back(Said::NotAdopted(value, failure)),
            WorkerToMaster::Lent { attempt } => heard.push_back(Said::Lent(attempt)),
            WorkerToMaster::Reclaimed { attempt } => heard.push_back(Said::Reclaimed(attempt)),
            WorkerToMaster::Pressed => heard.push_back(Said::Pressed),
            WorkerToMaster::Relieved => heard.push_back(Said::Relieved),
            WorkerToMaster::OutOfMemory { attempt, used, limit } => {
                heard.push_back(Said::OutOfMemory(attempt, used, limit));
            }
            WorkerToMaster::Progress { reports } => {
                heard.extend(reports.into_iter().map(|(attempt, done, total)| Said::Progress(attempt, done, total)));
            }
        }
    }
}

/// The inputs and options of one attempt, with the payloads they refer to.
pub(crate) struct Call {
    inputs: Vec<Input>,
    payloads: Vec<Bytes>,
    slots: u32,
    name: Option<Box<str>>,
    partition: Option<u32>,
    duty: Duty,
    time_limit: Option<Duration>,
}

impl Call {
    pub(crate) fn new() -> Self {
        let (name, partition, time_limit) = (None, None, None);
        Self { inputs: Vec::new(), payloads: Vec::new(), slots: 1, name, partition, duty: Duty::Task, time_limit }
    }

    /// It makes an actor that runs so many calls at a time.
    pub(crate) fn making_actor(mut self, max_concurrency: u32) -> Self {
        self.duty = Duty::Actor { max_concurrency };
        self
    }

    /// It is a call of the actor that a task has made.
    pub(crate) fn of_actor(mut self, index: u32) -> Self {
        self.duty = Duty::Call { actor: attempt(index).task };
        self
    }

    pub(crate) fn named(mut self, name: &str, partition: u32) -> Self {
        (self.name, self.partition) = (Some(name.into()), Some(partition));
        self
    }

    pub(crate) fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    pub(crate) fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    pub(crate) fn literal<T: Serialize>(mut self, literal: &T) -> Self {
        self.inputs.push(Input::Literal(encoding_of::<T>()));
        self.payloads.push(encode_value(literal).unwrap().into());
        self
    }

    /// A list whose elements come with the message.
    pub(crate) fn list<T: Serialize>(mut self, elements: &[T]) -> Self {
        let place = Place::Inline { encoding: encoding_of::<T>() };
        let input_value = |index| InputValue { value: value(index), place: place.clone() };
        self.inputs.push(Input::Values((900..).take(elements.len()).map(input_value).collect()));
        self.payloads.extend(elements.iter().map(|element| Bytes::from(encode_value(element).unwrap())));
        self
    }

    /// The result of another task, of so many bytes, which these have, to be read piece by piece.
    pub(crate) fn reference(mut self, index: u32, size: u64, holders: Vec<Holder>) -> Self {
        let place = Place::Stored { encoding: Encoding::Raw, size, holders };
        self.inputs.push(Input::Reference(InputValue { value: value(index), place }));
        self
    }

    /// The result of another task, of type `T`, which these have.
    pub(crate) fn stored<T>(mut self, index: u32, holders: Vec<Holder>) -> Self {
        let place = Place::Stored { encoding: encoding_of::<T>(), size: 0, holders };
        self.inputs.push(Input::Value(InputValue { value: value(index), place }));
        self
    }

    /// What another attempt of the same worker is going to make.
    pub(crate) fn coming(mut self, attempt: AttemptId) -> Self {
        self.inputs.push(Input::Value(input_coming(attempt)));
        self
    }

    /// The same, to be read piece by piece.
    pub(crate) fn coming_piecewise(mut self, attempt: AttemptId) -> Self {
        self.inputs.push(Input::Reference(input_coming(attempt)));
        self
    }
}

fn input_coming(attempt: AttemptId) -> InputValue {
    InputValue { value: ValueId::of(attempt.task), place: Place::Coming { attempt } }
}
