//! Peers that break the protocol: they are cut off and told why, and nobody else notices.
use crate::harness::{Cluster, bytes, join, literal};
use bytes::Bytes;
use quiltwork_protocol::worker_to_master::{AttemptEnd, AttemptOutcome, Made};
use quiltwork_protocol::{ClientToMaster, MasterToWorker, Parcel, Purpose, RefusalKind, Repertoire, WorkerToMaster};
use quiltwork_transport::{JoinError, Link, Role};
use quiltwork_types::{Resources, TaskId};

#[tokio::test]
async fn a_client_that_names_anothers_task_is_cut_off_and_the_other_goes_on() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut victim = cluster.client().await;
    let mut intruder = cluster.client().await;
    victim.submit(0, vec![literal()], vec![bytes("mine")]);
    let attempt = worker.attempt().await;
    intruder.say(ClientToMaster::Cancel { tasks: vec![victim.task(0)] }, Vec::new());
    let reason = intruder.peer.closed().await.to_string();
    assert!(reason.contains(&victim.task(0).to_string()), "{reason}");
    worker.finish_inline(attempt, b"done");
    assert_eq!(victim.end().await.2.unwrap(), "done");
}

#[tokio::test]
async fn a_number_used_twice_cuts_the_client_off() {
    let cluster = Cluster::start();
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    client.submit(0, Vec::new(), Vec::new());
    let reason = client.peer.closed().await.to_string();
    assert!(reason.contains("submitted twice"), "{reason}");
}

#[tokio::test]
async fn a_worker_that_sends_garbage_is_lost_and_its_task_goes_on_elsewhere() {
    let cluster = Cluster::start();
    // It speaks a client's language on a worker's link.
    let connection = cluster.connect(Role::Worker).await;
    let address = "127.0.0.1:7001".parse().unwrap();
    let purpose = Purpose::Worker {
        pid: 1,
        capacity: Resources::slots(1),
        address,
        node: None,
        repertoire: Repertoire::default(),
    };
    let (_, link): (_, Link<ClientToMaster, MasterToWorker>) = join(&connection, purpose).await.unwrap();
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let nonsense = (0..1000).map(|index| TaskId { job: client.job, index }).collect();
    link.sender.push(&Parcel::bare(ClientToMaster::Release { tasks: nonsense })).unwrap();
    let reason = crate::harness::within(connection.closed()).await;
    assert!(reason.contains("broke the protocol"), "{reason}");

    let mut honest = cluster.worker().await;
    let attempt = honest.attempt().await;
    honest.finish_inline(attempt, b"done");
    assert_eq!(client.end().await.2.unwrap(), "done");
}

#[tokio::test]
async fn a_worker_that_lies_about_a_size_is_lost() {
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let attempt = worker.attempt().await;
    let end =
        AttemptOutcome::Finished { encoding: crate::harness::ENCODING, size: 9, made: Made::Inline, ran_nanos: 1 };
    let ended = WorkerToMaster::Ended { epoch: crate::harness::EPOCH, ends: vec![AttemptEnd { attempt, end }] };
    worker.say(ended, vec![Bytes::from_static(b"short")]);
    let reason = worker.peer.closed().await.to_string();
    assert!(reason.contains("inline value of 9 bytes"), "{reason}");
    assert_eq!(cluster.master.workers(), []);
}

#[tokio::test]
async fn a_certificate_decides_what_a_peer_may_be() {
    let cluster = Cluster::start();
    let connection = cluster.connect(Role::Worker).await;
    let refused =
        join::<ClientToMaster, MasterToWorker>(&connection, Purpose::Client { node: None, inside: None }).await;
    let Err(JoinError::Refused(RefusalKind::Role, text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("`worker`"), "{text}");
}
