//! What happens at each limit, and what a peer that does not read costs the others.
use crate::harness::{Cluster, FakeClient, FakeWorker, bytes, literal, within};
use quiltwork_protocol::client_to_master::Argument;
use quiltwork_protocol::master_to_client::End;
use quiltwork_protocol::master_to_worker::Place;
use quiltwork_protocol::{ClientToMaster, RefusalKind};
use quiltwork_transport::JoinError;
use quiltwork_types::FailureKind;
use std::collections::HashSet;

#[tokio::test]
async fn a_full_master_says_so_and_has_room_again_when_one_goes() {
    let cluster = Cluster::configured(|config| (config.max_workers, config.max_clients) = (1, 1));
    let worker = cluster.worker().await;
    let _client = cluster.client().await;
    let refused = cluster.worker_with(7002, 2).await.map(|_| ());
    let Err(JoinError::Refused(RefusalKind::Full, text)) = refused else { panic!("{refused:?}") };
    assert!(text.contains("`max_workers`"), "{text}");
    let refused = cluster.try_client().await.map(|_| ());
    assert!(matches!(refused, Err(JoinError::Refused(RefusalKind::Full, _))), "{refused:?}");

    worker.peer.connection.close("makes room");
    within(async { while cluster.worker_with(7003, 3).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_job_with_too_many_tasks_has_the_next_one_refused() {
    let cluster = Cluster::configured(|config| config.max_tasks_per_job = 2);
    let mut worker = cluster.worker().await;
    let mut client = cluster.client().await;
    (0..3).for_each(|index| client.submit(index, vec![literal()], vec![bytes("x")]));
    let (task, End::Failed(failure), None) = client.end().await else { panic!("not failed") };
    assert_eq!((task, failure.kind), (client.task(2), FailureKind::Refused));
    assert!(failure.hint.is_some(), "{failure}");

    finish_attempts(&mut worker, 2, RESULT).await;
    let (done, ..) = client.end().await;
    client.say(ClientToMaster::Release { tasks: vec![done] }, Vec::new());
    client.submit(3, Vec::new(), Vec::new());
    assert_eq!(worker.attempt().await.task, client.task(3));
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_little_and_stops_nobody() {
    const RESULTS: u32 = 50_000;
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let mut sleeper = cluster.client().await;
    submit_many(&sleeper, RESULTS);
    let before = resident_bytes();
    finish_attempts(&mut worker, RESULTS, RESULT).await;
    let results = u64::from(RESULTS) * RESULT.len() as u64;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 2 * results + (64 << 20), "{grown} bytes more for {results} bytes of results");

    let mut other = cluster.client().await;
    other.submit(0, vec![literal()], vec![bytes("awake")]);
    finish_attempts(&mut worker, 1, RESULT).await;
    assert_eq!(other.end().await.2.unwrap(), RESULT);

    let mut told = HashSet::new();
    for _ in 0..RESULTS {
        let (task, end, payload) = sleeper.end().await;
        assert!(matches!(end, End::Inline(_)) && payload.unwrap() == RESULT);
        told.insert(task.index);
    }
    assert_eq!(told.len(), RESULTS as usize, "each result is told once");
}

const RESULT: &[u8] = &[5; 2048];

async fn finish_attempts(worker: &mut FakeWorker, count: u32, result: &'static [u8]) {
    for _ in 0..count {
        let attempt = worker.attempt().await;
        worker.finish_inline(attempt, result);
    }
}

/// Resident bytes of this process, which is also the master's.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn a_task_with_thousands_of_inputs_is_dispatched_whole() {
    const INPUTS: u32 = 70_000;
    let cluster = Cluster::start();
    let mut worker = cluster.worker().await;
    let client = cluster.client().await;
    submit_many(&client, INPUTS);
    let all = Argument::Values((0..INPUTS).map(|index| client.value(index)).collect());
    client.submit(INPUTS, vec![all], Vec::new());
    finish_attempts(&mut worker, INPUTS, b"x").await;
    let (assignment, payloads) = worker.assignment().await;
    assert_eq!(assignment.attempt.task, client.task(INPUTS));
    assert_eq!(assignment.inputs[0].values().len(), INPUTS as usize);
    assert!(!payloads.is_empty() && payloads.len() < INPUTS as usize);
    let beyond =
        assignment.inputs[0].values().iter().find(|input| !matches!(input.place, Place::Inline { .. })).unwrap().value;
    let (_, fetched) = within(worker.peer.connection.fetch(beyond, 100)).await.unwrap().unwrap();
    assert_eq!(fetched, "x");
}

/// Submits tasks without arguments.
fn submit_many(client: &FakeClient, count: u32) {
    for first in (0..count).step_by(1000) {
        let tasks = (first..first + 1000).map(|index| client.described(index, Vec::new())).collect();
        client.say(ClientToMaster::Submit { tasks }, Vec::new());
    }
}
