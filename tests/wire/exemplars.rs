//! One example of everything that travels. Numbers differ from field to field, so that swapped fields change the bytes.
use bytes::Bytes;
use quiltwork_protocol::client_to_master::{Argument, Question, SubmittedTask, TaskOptions};
use quiltwork_protocol::master_to_client::{Answer, End, TaskEnd};
use quiltwork_protocol::master_to_worker::{Assignment, Duty, Input, InputValue, Orphan, Place};
use quiltwork_protocol::worker_to_master::{AttemptEnd, AttemptOutcome, Made};
use quiltwork_protocol::{
    Asker, BulkReply, BulkRequest, ByteRange, ClientToMaster, Hello, HelloReply, Holder, MasterToClient,
    MasterToWorker, Parcel, Purpose, RefusalKind, Repertoire, VersionRange, Welcome, WorkerToMaster, You,
};
use quiltwork_types::{
    ActorName, ActorOptions, AttemptId, Chapter, Encoding, Epoch, FailureKind, FunctionId, JobId, NamedResource,
    NodeId, Resources, StoryEntry, TaskFailure, TaskId, TaskRole, TaskState, Time, TypeHash, ValueId, WorkerId,
    WorkerInfo,
};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

const fn task(index: u32) -> TaskId {
    TaskId { job: JobId(3), index }
}

const fn attempt(index: u32, number: u32) -> AttemptId {
    AttemptId { task: task(index), number }
}

const fn value(index: u32) -> ValueId {
    ValueId { task: task(index), output: 1 }
}

const fn typed() -> Encoding {
    Encoding::Bincode(TypeHash(0x0123_4567_89ab_cdef))
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4433))
}

fn resources() -> Resources {
    let gpu = NamedResource { name: "gpu".into(), amount: 4 };
    Resources { slots: 2, memory: 3 << 30, named: Box::new([gpu]) }
}

fn failure() -> TaskFailure {
    TaskFailure {
        kind: FailureKind::Panicked,
        origin: task(9),
        name: "merge".to_owned(),
        message: "index out of bounds".to_owned(),
        details: vec!["at src/main.rs:7:5".to_owned()],
        hint: Some("look there".to_owned()),
        original: Some(Box::new([0x80, 5])),
    }
}

fn payloads<const N: usize>(texts: [&'static str; N]) -> Vec<Bytes> {
    texts.map(|text| Bytes::from_static(text.as_bytes())).to_vec()
}

pub(crate) fn hello() -> Hello {
    Hello {
        versions: VersionRange { min: 1, max: 2 },
        build: "quiltwork 0.1.0".to_owned(),
        registry: 0xfeed_beef,
        purpose: Purpose::Client { node: None, inside: None },
    }
}

pub(crate) fn purposes() -> Vec<Purpose> {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 4434));
    let client = Purpose::Client { node: Some(NodeId(78)), inside: Some(79) };
    let repertoire = Repertoire { functions: vec!["count_words".to_owned()], any_python: true };
    vec![client, Purpose::Worker { pid: 4321, capacity: resources(), address, node: Some(NodeId(77)), repertoire }]
}

pub(crate) fn hello_replies() -> Vec<HelloReply> {
    let welcome = Welcome {
        version: 1,
        epoch: Epoch(7),
        registry: 0xfeed_beef,
        value_limit: 4 << 30,
        you: You::Client(JobId(3)),
    };
    vec![HelloReply::Welcome(welcome), HelloReply::Refused(RefusalKind::Role, "stay out".to_owned())]
}

pub(crate) fn refusal_kinds() -> Vec<RefusalKind> {
    vec![RefusalKind::Version, RefusalKind::Role, RefusalKind::Full]
}

pub(crate) fn yous() -> Vec<You> {
    vec![You::Client(JobId(3)), You::Worker(WorkerId(5))]
}

pub(crate) fn bulk_requests() -> Vec<BulkRequest> {
    let range = ByteRange { start: 20, length: 1 << 24 };
    vec![
        BulkRequest::Fetch { value: value(9), range, asker: Asker::Reader },
        BulkRequest::Upload { task: task(10), size: 1 << 20 },
    ]
}

pub(crate) fn askers() -> Vec<Asker> {
    vec![Asker::Reader, Asker::Worker { worker: WorkerId(5), insists: true }]
}

pub(crate) fn bulk_replies() -> Vec<BulkReply> {
    let elsewhere = BulkReply::Elsewhere { worker: WorkerId(5), address: address() };
    vec![
        BulkReply::Found { encoding: typed(), size: 300 },
        BulkReply::Missing,
        elsewhere,
        BulkReply::Stored,
        BulkReply::Refused,
    ]
}

pub(crate) fn client_to_master() -> Vec<Parcel<ClientToMaster>> {
    vec![
        ClientToMaster::DefineFunction { function: FunctionId(6), name: "count_words".to_owned() }.into(),
        submit(),
        ClientToMaster::Put { task: task(11), size: 70_000, encoding: Encoding::Raw, written: true }.into(),
        ClientToMaster::Refer { task: task(12), actor: ActorName::Task(task(1)) }.into(),
        ClientToMaster::UploadFailed { task: task(12), why: "it broke off".to_owned() }.into(),
        ClientToMaster::Cancel { tasks: vec![task(1), task(2)] }.into(),
        ClientToMaster::Release { tasks: vec![task(300)] }.into(),
        ClientToMaster::ReportMissing { value: value(9), holder: WorkerId(5) }.into(),
        ClientToMaster::Ask { question: 8, about: Question::Workers }.into(),
        Parcel::new(
            ClientToMaster::Give { task: task(13), encoding: Encoding::Raw },
            vec![Bytes::from_static(b"small")],
        ),
    ]
}

fn submit() -> Parcel<ClientToMaster> {
    let options = TaskOptions {
        resources: resources(),
        priority: -2,
        retries: 3,
        kept: true,
        name: Some("first".into()),
        partition: Some(12),
        plain: true,
        role: TaskRole::Call { actor: task(5), lane: 4 },
        time_limit: Some(Duration::new(90, 5)),
    };
    let full = SubmittedTask { task: task(1), function: FunctionId(6), arguments: arguments(), options };
    let plain = SubmittedTask {
        task: task(2),
        function: FunctionId(7),
        arguments: vec![Argument::Literal(Encoding::Raw)],
        options: TaskOptions::default(),
    };
    Parcel::new(ClientToMaster::Submit { tasks: vec![full, plain] }, payloads(["one", ""]))
}

pub(crate) fn arguments() -> Vec<Argument> {
    vec![
        Argument::Literal(typed()),
        Argument::Value(value(9)),
        Argument::Values(vec![value(1), value(2)]),
        Argument::Reference(value(7)),
        Argument::References(vec![value(5), value(6)]),
    ]
}

pub(crate) fn questions() -> Vec<Question> {
    vec![Question::Workers, Question::Story(task(9)), Question::Holders(task(10))]
}

pub(crate) fn master_to_client() -> Vec<Parcel<MasterToClient>> {
    let ends = ends().into_iter().zip(1..).map(|(end, index)| TaskEnd { task: task(index), end }).collect();
    vec![
        Parcel::new(MasterToClient::Ended { ends }, payloads(["result"])),
        MasterToClient::WorkersLost { workers: vec![WorkerId(5), WorkerId(300)] }.into(),
        MasterToClient::Progress { reports: vec![(task(1), 50, 1000)] }.into(),
        MasterToClient::Answer { question: 8, answer: Answer::Story(None) }.into(),
    ]
}

pub(crate) fn ends() -> Vec<End> {
    vec![
        End::Inline(typed()),
        End::Stored { encoding: Encoding::Raw, size: 70_000, holders: holders() },
        End::Failed(failure()),
    ]
}

pub(crate) fn answers() -> Vec<Answer> {
    let info = WorkerInfo {
        worker: WorkerId(5),
        pid: 4321,
        node: Some(NodeId(77)),
        capacity: resources(),
        any_python: true,
        assigned: 6,
        running: 2,
        actors: 7,
        held_bytes: 123_456,
        pressed: true,
    };
    let entry = StoryEntry { at: Time(1_000_000), chapter: Chapter::Queued };
    vec![
        Answer::Workers(vec![info]),
        Answer::Story(Some((TaskState::Running, vec![entry]))),
        Answer::Holders { master: true, workers: vec![WorkerId(5), WorkerId(6)] },
    ]
}

pub(crate) fn master_to_worker() -> Vec<Parcel<MasterToWorker>> {
    vec![
        MasterToWorker::DefineFunction { function: FunctionId(6), name: "count_words".to_owned() }.into(),
        dispatch(),
        MasterToWorker::Recall { attempts: vec![attempt(1, 2)] }.into(),
        MasterToWorker::Cancel { attempts: vec![attempt(1, 2), attempt(2, 1)] }.into(),
        MasterToWorker::Superseded { attempts: vec![attempt(3, 4)] }.into(),
        MasterToWorker::Free { values: vec![value(9)] }.into(),
        MasterToWorker::Inherit { from: WorkerId(5), heir: WorkerId(6), values: vec![value(9)] }.into(),
        MasterToWorker::Adopt { values: vec![Orphan { value: value(9), size: 70_000, formerly: vec![WorkerId(5)] }] }
            .into(),
        MasterToWorker::ClearAway { jobs: vec![JobId(3), JobId(4)] }.into(),
        MasterToWorker::WorkersLost { workers: vec![WorkerId(5)] }.into(),
        MasterToWorker::Shutdown.into(),
    ]
}

fn dispatch() -> Parcel<MasterToWorker> {
    let full = Assignment {
        attempt: attempt(1, 2),
        function: FunctionId(6),
        inputs: inputs(),
        slots: 3,
        name: Some("first".into()),
        partition: Some(12),
        plain: true,
        duty: Duty::Call { actor: task(5) },
        time_limit: Some(Duration::new(90, 5)),
    };
    let plain = Assignment {
        attempt: attempt(2, 1),
        function: FunctionId(7),
        inputs: Vec::new(),
        slots: 1,
        name: None,
        partition: None,
        plain: false,
        duty: Duty::Task,
        time_limit: None,
    };
    Parcel::new(MasterToWorker::Dispatch { assignments: vec![full, plain] }, payloads(["literal", "inline"]))
}

pub(crate) fn inputs() -> Vec<Input> {
    let mut places = places();
    let stored = InputValue { value: value(9), place: places.remove(1) };
    let inline = InputValue { value: value(8), place: places.remove(0) };
    let coming = InputValue { value: value(7), place: places.remove(0) };
    vec![
        Input::Literal(typed()),
        Input::Value(stored.clone()),
        Input::Values(vec![inline, stored.clone(), coming]),
        Input::Reference(stored.clone()),
        Input::References(vec![stored]),
    ]
}

pub(crate) fn places() -> Vec<Place> {
    vec![
        Place::Inline { encoding: Encoding::Raw },
        Place::Stored { encoding: typed(), size: 70_000, holders: holders() },
        Place::Coming { attempt: attempt(7, 2) },
    ]
}

pub(crate) fn worker_to_master() -> Vec<Parcel<WorkerToMaster>> {
    let mut outcomes = attempt_outcomes();
    outcomes.push(AttemptOutcome::Finished { encoding: Encoding::Raw, size: 6, made: Made::Inline, ran_nanos: 900 });
    let ends = outcomes.into_iter().zip(1..).map(|(end, number)| AttemptEnd { attempt: attempt(1, number), end });
    vec![
        WorkerToMaster::Started { attempts: vec![attempt(1, 2)] }.into(),
        Parcel::new(WorkerToMaster::Ended { epoch: Epoch(7), ends: ends.collect() }, payloads(["result"])),
        WorkerToMaster::Returned { attempts: vec![attempt(3, 4)] }.into(),
        WorkerToMaster::InputsMissing { attempt: attempt(1, 2), missing: vec![(value(9), WorkerId(5))] }.into(),
        WorkerToMaster::Copied { values: vec![value(9)] }.into(),
        WorkerToMaster::NotInherited { values: vec![value(9)] }.into(),
        WorkerToMaster::NotAdopted { value: value(9), failure: failure() }.into(),
        WorkerToMaster::Lent { attempt: attempt(1, 2) }.into(),
        WorkerToMaster::Reclaimed { attempt: attempt(1, 2) }.into(),
        WorkerToMaster::Progress { reports: vec![(attempt(1, 2), 50, 1000)] }.into(),
        WorkerToMaster::Pressed.into(),
        WorkerToMaster::Relieved.into(),
        WorkerToMaster::OutOfMemory { attempt: attempt(1, 2), used: 500, limit: 512 }.into(),
    ]
}

pub(crate) fn attempt_outcomes() -> Vec<AttemptOutcome> {
    let finished =
        AttemptOutcome::Finished { encoding: typed(), size: 70_000, made: Made::Stored, ran_nanos: 5_000_000_000 };
    vec![finished, AttemptOutcome::Failed(failure())]
}

pub(crate) fn mades() -> Vec<Made> {
    vec![Made::Inline, Made::Stored]
}

pub(crate) fn holders() -> Vec<Holder> {
    vec![Holder::Master, Holder::Worker { worker: WorkerId(5), address: address() }]
}

pub(crate) fn encodings() -> Vec<Encoding> {
    vec![typed(), Encoding::Raw, Encoding::Pickle, Encoding::Actor, Encoding::MessagePack, Encoding::Array]
}

pub(crate) fn task_roles() -> Vec<TaskRole> {
    let options = ActorOptions {
        name: Some("counter".into()),
        or_existing: true,
        max_restarts: Some(2),
        max_pending: Some(1000),
        max_concurrency: 8,
    };
    vec![
        TaskRole::Plain,
        TaskRole::Actor(Box::new(options)),
        TaskRole::Call { actor: task(5), lane: 4 },
        TaskRole::Reference(ActorName::Task(task(6))),
    ]
}

pub(crate) fn actor_names() -> Vec<ActorName> {
    vec![ActorName::Task(task(6)), ActorName::Given("counter".into())]
}

pub(crate) fn duties() -> Vec<Duty> {
    vec![Duty::Task, Duty::Actor { max_concurrency: 8 }, Duty::Call { actor: task(5) }]
}

pub(crate) fn task_states() -> Vec<TaskState> {
    vec![
        TaskState::Waiting,
        TaskState::Queued,
        TaskState::Assigned,
        TaskState::Running,
        TaskState::Finished,
        TaskState::Failed,
        TaskState::Cancelled,
        TaskState::Lost,
    ]
}

pub(crate) fn chapters() -> Vec<Chapter> {
    let worker = WorkerId(5);
    vec![
        Chapter::Submitted,
        Chapter::Queued,
        Chapter::Assigned { number: 2, worker },
        Chapter::Started { worker },
        Chapter::Returned { worker },
        Chapter::Finished { worker },
        Chapter::Retrying { kind: FailureKind::Error },
        Chapter::Failed { kind: FailureKind::Poisoned },
        Chapter::WorkerLost { worker, deaths: 3 },
        Chapter::ValueLost,
        Chapter::Cancelled,
    ]
}

pub(crate) fn failure_kinds() -> Vec<FailureKind> {
    vec![
        FailureKind::Error,
        FailureKind::Panicked,
        FailureKind::UnknownTask,
        FailureKind::BadArgument,
        FailureKind::ResultTooLarge,
        FailureKind::StoreFull,
        FailureKind::Cancelled,
        FailureKind::Poisoned,
        FailureKind::ValueLost,
        FailureKind::NoSuchResources,
        FailureKind::Refused,
        FailureKind::OutOfMemory,
        FailureKind::ActorLost,
        FailureKind::ActorDied,
        FailureKind::ActorFull,
        FailureKind::TimedOut,
    ]
}
