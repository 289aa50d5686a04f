//! Peers that go: what they held goes on elsewhere, or is stopped.
use crate::harness::{Cluster, FakeClient, FakeWorker, within};
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_protocol::{MasterToWorker, WorkerToMaster};
use quiltwork_types::{AttemptId, Chapter};

/// Starts a task on the first worker, then adds a second one.
async fn two_workers(cluster: &Cluster) -> (FakeWorker, AttemptId, FakeWorker, FakeClient) {
    let mut first = cluster.worker_with(7001, 11).await.unwrap();
    let client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let attempt = first.attempt().await;
    let second = cluster.worker_with(7002, 22).await.unwrap();
    (first, attempt, second, client)
}

#[tokio::test]
async fn a_lost_workers_task_goes_to_another_as_the_next_attempt() {
    let cluster = Cluster::start();
    let (first, attempt, mut second, mut client) = two_workers(&cluster).await;
    first.peer.connection.close("pulled the plug");
    let again = second.attempt().await;
    assert_eq!((again.task, again.number), (attempt.task, attempt.number + 1));
    second.finish_inline(again, b"done");
    assert_eq!(client.end().await.2.unwrap(), "done");
}

#[tokio::test]
async fn the_end_of_a_process_counts_although_its_connection_is_silent() {
    let cluster = Cluster::start();
    let (mut first, attempt, mut second, _client) = two_workers(&cluster).await;
    std::thread::scope(|scope| {
        // From another thread, as a supervisor's.
        scope.spawn(|| {
            cluster.master.process_ended(33, "of somebody else".to_owned());
            cluster.master.process_ended(11, "signal 9 (SIGKILL)".to_owned());
        });
    });
    let again = second.attempt().await;
    assert_eq!((again.task, again.number), (attempt.task, attempt.number + 1));
    let reason = first.peer.closed().await.to_string();
    assert!(reason.contains("signal 9 (SIGKILL)"), "{reason}");
    let pids: Vec<_> = cluster.master.workers().iter().map(|worker| worker.pid).collect();
    assert_eq!(pids, [22]);
}

/// Deaths the story of the client's task 0 counts, one number for each worker that was lost.
async fn deaths(client: &mut FakeClient) -> Vec<u32> {
    let Answer::Story(Some((_, story))) = client.ask(Question::Story(client.task(0))).await else { panic!("no story") };
    let deaths = story.iter().filter_map(|entry| match entry.chapter {
        Chapter::WorkerLost { deaths, .. } => Some(deaths),
        _ => None,
    });
    deaths.collect()
}

#[tokio::test]
async fn last_words_about_memory_count_at_once_and_blame_only_the_attempt_they_name() {
    for is_named in [true, false] {
        let cluster = Cluster::start();
        let (mut first, attempt, mut second, mut client) = two_workers(&cluster).await;
        let named = if is_named { attempt } else { AttemptId { number: 9, ..attempt } };
        first.say(WorkerToMaster::OutOfMemory { attempt: named, used: 250 << 20, limit: 256 << 20 }, Vec::new());
        first.finish_inline(attempt, b"too late");
        let again = second.attempt().await;
        assert_eq!((again.task, again.number), (attempt.task, attempt.number + 1));
        let reason = first.peer.closed().await.to_string();
        assert!(reason.contains("250 MiB of its 256 MiB"), "{reason}");
        cluster.master.process_ended(11, "exit status 1".to_owned());
        assert_eq!(deaths(&mut client).await, [u32::from(is_named)]);
        second.finish_inline(again, b"done");
        assert_eq!(client.end().await.2.unwrap(), "done");
    }
}

/// Who is short of memory, by number.
async fn pressed(client: &mut FakeClient) -> Vec<bool> {
    let Answer::Workers(workers) = client.ask(Question::Workers).await else { panic!("another answer") };
    workers.iter().map(|worker| worker.pressed).collect()
}

#[tokio::test]
async fn workers_short_of_memory_are_shown_until_they_are_relieved() {
    let cluster = Cluster::start();
    let (first, _, _second, mut client) = two_workers(&cluster).await;
    for (said, expected) in [(WorkerToMaster::Pressed, [true, false]), (WorkerToMaster::Relieved, [false, false])] {
        first.say(said, Vec::new());
        within(async { while pressed(&mut client).await != expected {} }).await;
    }
}

/// A process that is killed while it joins: its last words come in after the news of its end.
#[tokio::test]
async fn a_process_whose_end_is_known_first_becomes_no_worker() {
    let cluster = Cluster::start();
    cluster.master.process_ended(44, "signal 9 (SIGKILL)".to_owned());
    // It may be welcomed and turned away in one breath.
    let reason = match cluster.worker_with(7001, 44).await {
        Ok(mut late) => late.peer.closed().await.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(reason.contains("signal 9 (SIGKILL)"), "{reason}");
    assert!(cluster.master.workers().is_empty());

    let mut other = cluster.worker_with(7002, 44).await.unwrap();
    let client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    other.attempt().await;
}

#[tokio::test]
async fn a_lost_value_is_made_again_and_told_again() {
    let cluster = Cluster::start();
    let (first, attempt, mut second, mut client) = two_workers(&cluster).await;
    first.finish_stored(attempt, 500_000);
    assert!(matches!(client.end().await.1, End::Stored { .. }));
    first.peer.connection.close("pulled the plug");
    let again = second.attempt().await;
    second.finish_inline(again, b"smaller now");
    assert_eq!(client.end().await.2.unwrap(), "smaller now");
}

#[tokio::test]
async fn the_tasks_of_a_client_that_goes_are_cancelled_and_nobody_elses() {
    let cluster = Cluster::start();
    let (mut first, attempt, mut second, client) = two_workers(&cluster).await;
    let mut stays = cluster.client().await;
    stays.submit(0, Vec::new(), Vec::new());
    let other = second.attempt().await;
    client.peer.connection.close("has seen enough");
    let cancelled = first.hear(|parcel| match parcel.message {
        MasterToWorker::Cancel { attempts } => Some(attempts),
        _ => None,
    });
    assert_eq!(cancelled.await, [attempt]);
    second.finish_inline(other, b"done");
    assert_eq!(within(stays.end()).await.2.unwrap(), "done");
    assert_ne!(cluster.client().await.job, client.job, "a job's number is never used again");
}
