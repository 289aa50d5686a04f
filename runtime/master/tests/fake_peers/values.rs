//! Values that pass through the master itself: uploads in, fetches out.
use crate::harness::{Cluster, FakeClient, bytes, within};
use bytes::Bytes;
use quiltwork_protocol::client_to_master::Argument;
use quiltwork_protocol::master_to_client::End;
use quiltwork_protocol::master_to_worker::Place;
use quiltwork_protocol::{ClientToMaster, Holder};
use quiltwork_transport::BulkError;
use quiltwork_types::{Encoding, FailureKind, TaskFailure};

const LIMIT: u64 = 10_000_000;

async fn failure(client: &mut FakeClient) -> TaskFailure {
    match client.end().await {
        (_, End::Failed(failure), None) => failure,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_upload_is_fetched_by_workers_and_by_its_client_only() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    let large = vec![7; 1_000_000];
    client.put(0, large.len() as u64);
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    within(client.peer.connection.upload(client.task(0), &large)).await.unwrap();

    let End::Stored { holders, .. } = client.end().await.1 else { panic!("not stored") };
    assert_eq!(holders, [Holder::Master]);
    let (assignment, _) = worker.assignment().await;
    let holders = vec![Holder::Master];
    assert_eq!(
        assignment.inputs[0].values()[0].place,
        Place::Stored { encoding: Encoding::Raw, size: 1_000_000, holders }
    );
    let value = client.value(0);
    for connection in [&worker.peer.connection, &client.peer.connection] {
        assert_eq!(within(connection.fetch(value, LIMIT)).await.unwrap().unwrap().1, large);
    }
    let stranger = cluster.client().await;
    let refused = within(stranger.peer.connection.fetch(value, LIMIT)).await;
    assert!(matches!(refused, Err(BulkError::Refused)), "{refused:?}");
    assert_eq!(within(worker.peer.connection.fetch(client.value(1), LIMIT)).await.unwrap(), None);
}

#[tokio::test]
async fn a_small_upload_travels_with_the_messages() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    client.put(0, 5);
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    within(client.peer.connection.upload(client.task(0), b"small")).await.unwrap();
    assert_eq!(client.end().await.2.unwrap(), "small");
    assert_eq!(worker.assignment().await.1, ["small"]);
}

#[tokio::test]
async fn what_is_given_with_its_announcement_goes_to_who_takes_it_at_once() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    client.give(0, b"small");
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    assert_eq!(worker.assignment().await.1, ["small"]);
    assert_eq!(client.end().await.2.unwrap(), "small");
    client.give(2, &[0; quiltwork_protocol::INLINE_LIMIT + 1]);
    within(client.peer.connection.closed()).await;
}

#[tokio::test]
async fn an_upload_that_overtakes_its_announcement_waits_for_it() {
    let cluster = Cluster::start();
    let mut client = cluster.client().await;
    let (connection, task) = (client.peer.connection.clone(), client.task(0));
    let upload = tokio::spawn(async move { connection.upload(task, b"early").await });
    // The round trip of another fetch shows that the upload is there by now.
    assert_eq!(within(client.peer.connection.fetch(client.value(9), LIMIT)).await.unwrap(), None);
    client.put(0, 5);
    within(upload).await.unwrap().unwrap();
    assert_eq!(client.end().await.2.unwrap(), "early");
}

#[tokio::test]
async fn an_upload_of_another_size_than_announced_fails_with_what_needs_it() {
    let cluster = Cluster::start();
    let mut client = cluster.client().await;
    client.put(0, 6);
    client.submit(1, vec![Argument::Value(client.value(0))], Vec::new());
    let refused = within(client.peer.connection.upload(client.task(0), b"small")).await;
    assert!(matches!(refused, Err(BulkError::Refused)), "{refused:?}");
    for _ in 0..2 {
        let failure = failure(&mut client).await;
        assert_eq!((failure.kind, failure.origin), (FailureKind::Refused, client.task(0)));
        assert!(failure.message.contains("6 bytes were announced and 5 offered"), "{failure}");
    }
}

#[tokio::test]
async fn uploads_over_the_limit_fail_until_others_are_released() {
    let cluster = Cluster::configured(|config| config.put_limit = 100);
    let mut client = cluster.client().await;
    client.put(0, 80);
    client.put(1, 30);
    let refused = failure(&mut client).await;
    assert_eq!((refused.kind, refused.origin), (FailureKind::Refused, client.task(1)));
    assert!(refused.message.contains("20 more bytes") && refused.hint.is_some(), "{refused}");

    within(client.peer.connection.upload(client.task(0), &[1; 80])).await.unwrap();
    client.end().await;
    client.say(ClientToMaster::Release { tasks: vec![client.task(0)] }, Vec::new());
    client.put(2, 90);
    within(client.peer.connection.upload(client.task(2), &[2; 90])).await.unwrap();
    assert_eq!(client.end().await.2.unwrap(), Bytes::from(vec![2; 90]));
}

#[tokio::test]
async fn argument_literals_count_against_the_same_limit() {
    let cluster = Cluster::configured(|config| config.put_limit = 10);
    let mut client = cluster.client().await;
    client.submit(0, vec![crate::harness::literal()], vec![bytes("12345")]);
    client.submit(1, vec![crate::harness::literal()], vec![bytes("123456")]);
    let refused = failure(&mut client).await;
    assert_eq!((refused.kind, refused.origin), (FailureKind::Refused, client.task(1)));
}
