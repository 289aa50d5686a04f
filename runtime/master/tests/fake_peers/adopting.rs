//! Values that a client has written into the area of its node: adopted by workers there, published, cleared away.
use crate::harness::{Cluster, FakeClient, FakeWorker};
use quiltwork_protocol::client_to_master::{Argument, Question};
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_protocol::{ClientToMaster, Holder, MasterToWorker, WorkerToMaster};
use quiltwork_types::{FailureKind, JobId, NodeId, TaskFailure};

const NODE: NodeId = NodeId(5);
const SIZE: u64 = 1_000_000;

/// What the worker is asked to adopt next.
async fn adoption(worker: &mut FakeWorker) -> Vec<Orphan> {
    let hear = worker.hear(|parcel| match parcel.message {
        MasterToWorker::Adopt { values } => Some(values),
        _ => None,
    });
    hear.await
}

/// After which clients the worker is asked to clear up next.
async fn clearing(worker: &mut FakeWorker) -> Vec<JobId> {
    let hear = worker.hear(|parcel| match parcel.message {
        MasterToWorker::ClearAway { jobs } => Some(jobs),
        _ => None,
    });
    hear.await
}

async fn failure(client: &mut FakeClient) -> TaskFailure {
    match client.end().await {
        (_, End::Failed(failure), None) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_written_value_is_published_with_the_worker_that_has_adopted_it() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker_on(NODE).await;
    let mut stranger = cluster.worker().await;
    let mut client = cluster.client_on(Some(NODE)).await;
    client.put_written(0, SIZE);
    let value = client.value(0);
    assert_eq!(adoption(&mut worker).await, [Orphan { value, size: SIZE, formerly: Vec::new() }]);
    let nobody = Answer::Holders { master: false, workers: Vec::new() };
    assert_eq!(client.ask(Question::Holders(value.task)).await, nobody);

    worker.say(WorkerToMaster::Copied { values: vec![value] }, Vec::new());
    let End::Stored { holders, size, .. } = client.end().await.1 else { panic!("not stored") };
    assert_eq!((&*holders, size), (&[Holder::Worker { worker: worker.worker, address: worker.address }][..], SIZE));
    stranger.say(WorkerToMaster::Copied { values: vec![value] }, Vec::new());
    // A round trip shows that the report has been heard.
    let attempt = {
        client.submit(1, vec![Argument::Value(value)], Vec::new());
        worker.attempt().await
    };
    worker.finish_inline(attempt, b"done");
    client.end().await;
    let both = Answer::Holders { master: false, workers: vec![worker.worker, stranger.worker] };
    assert_eq!(client.ask(Question::Holders(value.task)).await, both);

    client.say(ClientToMaster::Release { tasks: vec![value.task, client.task(1)] }, Vec::new());
    for holder in [&mut worker, &mut stranger] {
        let freed = holder.hear(|parcel| match parcel.message {
            MasterToWorker::Free { values } => Some(values),
            _ => None,
        });
        assert_eq!(freed.await, [value]);
    }
}

#[tokio::test]
async fn what_cannot_be_adopted_fails_with_all_that_needs_it() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker_on(NODE).await;
    let mut client = cluster.client_on(Some(NODE)).await;
    client.put_written(0, SIZE);
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    adoption(&mut worker).await;
    let full = TaskFailure::new(FailureKind::StoreFull, client.task(0), "there is no room");
    worker.say(WorkerToMaster::NotAdopted { value: client.value(0), failure: full.clone() }, Vec::new());
    for _ in 0..2 {
        assert_eq!(failure(&mut client).await, full);
    }
}

#[tokio::test]
async fn an_upload_that_its_client_gives_up_is_not_called_cancelled() {
    let cluster = Cluster::start();
    let mut client = cluster.client().await;
    client.put(0, SIZE);
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    let why = "the way to the master broke".to_owned();
    client.say(ClientToMaster::UploadFailed { task: client.task(0), why }, Vec::new());
    for _ in 0..2 {
        let failure = failure(&mut client).await;
        assert_eq!((failure.kind, failure.origin), (FailureKind::Refused, client.task(0)));
        assert_eq!(failure.message, "its upload failed: the way to the master broke");
    }
}

#[tokio::test]
async fn when_a_client_is_gone_a_worker_of_its_node_clears_up() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker_on(NODE).await;
    let client = cluster.client_on(Some(NODE)).await;
    let job = client.job;
    drop(client);
    assert_eq!(clearing(&mut worker).await, [job]);
}

#[tokio::test]
async fn a_client_on_no_node_cannot_have_written_anything() {
    let cluster = Cluster::start();
    let mut client = cluster.client().await;
    client.put_written(0, SIZE);
    let reason = client.peer.closed().await.to_string();
    assert!(reason.contains("but is on none"), "{reason}");
}

#[tokio::test]
async fn workers_are_told_with_their_node_and_without_what_binds_to_them() {
    let cluster = Cluster::start();
    let worker = cluster.worker_on(NODE).await;
    let mut client = cluster.client().await;
    let Answer::Workers(workers) = client.ask(Question::Workers).await else { panic!("other workers were asked for") };
    assert_eq!((workers[0].worker, workers[0].node), (worker.worker, Some(NODE)));
    assert!(workers[0].capacity.named.is_empty(), "{workers:?}");
}
