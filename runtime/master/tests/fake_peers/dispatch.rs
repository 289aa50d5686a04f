//! The way of a task: submitted, dispatched, ended; and what else is said about it.
use crate::harness::{Cluster, bytes, literal};
use quiltwork_protocol::client_to_master::{Argument, Question, SubmittedTask};
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_protocol::master_to_worker::{Input, Place};
use quiltwork_protocol::worker_to_master::{AttemptEnd, AttemptOutcome};
use quiltwork_protocol::{ClientToMaster, Holder, MasterToClient, MasterToWorker, WorkerToMaster};
use quiltwork_types::{Encoding, FailureKind, FunctionId, TaskFailure, TaskState};

#[tokio::test]
async fn a_task_is_dispatched_with_its_literals_and_its_result_reaches_the_client() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    client.submit(0, vec![literal(), literal()], vec![bytes("one"), bytes("two")]);

    let name = worker.hear(|parcel| match parcel.message {
        MasterToWorker::DefineFunction { name, .. } => Some(name),
        other => panic!("the function must be defined before {other:?}"),
    });
    assert_eq!(name.await, "count");
    let (assignment, payloads) = worker.assignment().await;
    assert_eq!((assignment.attempt.task, assignment.attempt.number), (client.task(0), 1));
    assert_eq!(payloads, ["one", "two"]);

    worker.finish_inline(assignment.attempt, b"result");
    let (task, end, payload) = client.end().await;
    assert_eq!(task, client.task(0));
    assert!(matches!(end, End::Inline(_)), "{end:?}");
    assert_eq!(payload.unwrap(), "result");
}

#[tokio::test]
async fn a_small_result_travels_to_its_consumer_and_a_large_one_names_its_holder() {
    let cluster = Cluster::start();
    let mut maker = cluster.worker_with(7001, 1).await.unwrap();
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let small = maker.attempt().await;
    client.submit(1, Vec::new(), Vec::new());
    maker.finish_inline(small, b"small");
    let large = maker.attempt().await;
    maker.finish_stored(large, 1_000_000);
    let values = vec![client.value(1), client.value(0), client.value(1)];
    client.submit(
        2,
        vec![Argument::Values(values), literal(), Argument::Value(client.value(0))],
        vec![bytes("literal")],
    );

    let (assignment, payloads) = maker.assignment().await;
    let Input::Values(list) = &assignment.inputs[0] else { panic!("{assignment:?}") };
    let holders = vec![Holder::Worker { worker: maker.worker, address: maker.address }];
    let stored = Place::Stored { encoding: Encoding::Raw, size: 1_000_000, holders: holders.clone() };
    let places: Vec<_> = list.iter().map(|input| input.place.clone()).collect();
    assert_eq!(places, [stored.clone(), Place::Inline { encoding: Encoding::Raw }, stored]);
    assert_eq!(payloads, ["small", "literal", "small"]);

    assert!(matches!(client.end().await.1, End::Inline(_)));
    let End::Stored { size: 1_000_000, holders: told, .. } = client.end().await.1 else { panic!("not stored") };
    assert_eq!(told, holders);
}

#[tokio::test]
async fn a_second_completion_is_superseded_and_changes_nothing() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let attempt = worker.attempt().await;
    worker.finish_inline(attempt, b"first");
    worker.finish_inline(attempt, b"second");
    let superseded = worker.hear(|parcel| match parcel.message {
        MasterToWorker::Superseded { attempts } => Some(attempts),
        _ => None,
    });
    assert_eq!(superseded.await, [attempt]);
    assert_eq!(client.end().await.2.unwrap(), "first");
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    assert_eq!(worker.assignment().await.1, ["first"]);
}

#[tokio::test]
async fn a_failure_names_the_function_it_happened_in_for_everybody_who_needed_it() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    let mut tasks = vec![client.described(0, Vec::new()), client.described(1, vec![Argument::Value(client.value(0))])];
    tasks[1].options.name = Some("the consumer".into());
    client.say(ClientToMaster::Submit { tasks }, Vec::new());

    let attempt = worker.attempt().await;
    let failure = TaskFailure::new(FailureKind::Panicked, attempt.task, "index out of bounds");
    let ends = vec![AttemptEnd { attempt, end: AttemptOutcome::Failed(failure) }];
    worker.say(WorkerToMaster::Ended { epoch: crate::harness::EPOCH, ends }, Vec::new());
    for _ in 0..2 {
        let (_, End::Failed(failure), None) = client.end().await else { panic!("not failed") };
        assert_eq!((failure.origin, failure.name.as_str()), (client.task(0), "count"));
        assert_eq!(failure.message, "index out of bounds");
    }
}

#[tokio::test]
async fn a_task_of_an_undefined_function_is_refused_and_with_it_what_needs_it() {
    let cluster = Cluster::start();
    let _worker = cluster.worker().await;
    let mut client = cluster.client().await;
    let wrong = SubmittedTask { function: FunctionId(6), ..client.described(0, Vec::new()) };
    let consumer = client.described(1, vec![Argument::Value(client.value(0))]);
    client.say(ClientToMaster::Submit { tasks: vec![wrong, consumer] }, Vec::new());
    for _ in 0..2 {
        let (_, End::Failed(failure), None) = client.end().await else { panic!("not failed") };
        assert_eq!((failure.kind, failure.origin), (FailureKind::Refused, client.task(0)));
        assert!(failure.message.contains("function number 6") && failure.hint.is_some(), "{failure}");
    }
}

#[tokio::test]
async fn progress_reaches_the_client_that_owns_the_task() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let attempt = worker.attempt().await;
    worker.say(WorkerToMaster::Progress { reports: vec![(attempt, 3, 10)] }, Vec::new());
    let reports = client.hear(|parcel| match parcel.message {
        MasterToClient::Progress { reports } => Some(reports),
        _ => None,
    });
    assert_eq!(reports.await, [(client.task(0), 3, 10)]);
}

#[tokio::test]
async fn questions_are_answered() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker_with(7001, 4242).await.unwrap();
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    worker.attempt().await;

    let Answer::Workers(workers) = client.ask(Question::Workers).await else { panic!("another answer") };
    assert_eq!((workers.len(), workers[0].pid, workers[0].assigned), (1, 4242, 1));
    assert_eq!(cluster.master.workers(), workers);
    let Answer::Story(Some((state, story))) = client.ask(Question::Story(client.task(0))).await else {
        panic!("no story")
    };
    assert_eq!(state, TaskState::Assigned);
    assert!(!story.is_empty());
    assert_eq!(client.ask(Question::Story(client.task(9))).await, Answer::Story(None));
}

#[tokio::test]
async fn a_shutdown_sends_workers_home_and_tells_clients() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    let leaving = tokio::spawn(async move {
        worker.hear(|parcel| (parcel.message == MasterToWorker::Shutdown).then_some(())).await;
        worker.peer.connection.close("was told to go");
    });
    // Blocks its thread, as it would a user's.
    tokio::task::spawn_blocking(move || cluster.master.shutdown()).await.unwrap();
    leaving.await.unwrap();
    assert!(client.peer.closed().await.to_string().contains("the master has ended"));
}
