//! Tasks that wait for other tasks on a worker that has no slot to spare.
use crate::master::{Call, FakeMaster, Said, Worker, attempt};
use crate::tasks::{open, wait_at};
use quiltwork_types::AttemptId;

/// Hears that `ends` attempts have ended. That a slot is lent or comes back is said only if there is time to.
async fn hear_ends(worker: &mut Worker, ends: usize) -> Vec<AttemptId> {
    let mut ended = Vec::new();
    while ended.len() < ends {
        match worker.hear_more().await {
            Said::Finished(attempt, ..) => ended.push(attempt),
            Said::Lent(_) | Said::Reclaimed(_) => {}
            other => panic!("{other:?}"),
        }
    }
    ended
}

#[tokio::test]
async fn a_task_on_the_only_slot_may_wait_for_one_behind_it() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::lend_and_wait", Call::new().list(&[200_u32]));
    worker.hear_start(1).await;
    assert_eq!(worker.hear().await, Said::Lent(attempt(1)));
    worker.dispatch(2, "test::open", Call::new().literal(&200_u32));
    assert_eq!(hear_ends(&mut worker, 2).await, [attempt(2), attempt(1)]);
    worker.shut_down().await;
}

#[tokio::test]
async fn overlapping_waits_lend_until_the_last_is_over() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::lend_and_wait", Call::new().list(&[210_u32, 211]));
    worker.hear_start(1).await;
    assert_eq!(worker.hear().await, Said::Lent(attempt(1)));
    worker.dispatch(2, "test::open", Call::new().literal(&210_u32));
    worker.hear_result::<()>(2).await;
    worker.dispatch(3, "test::open", Call::new().literal(&211_u32));
    assert_eq!(hear_ends(&mut worker, 2).await, [attempt(3), attempt(1)]);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_chain_of_waiting_tasks_gets_as_many_threads_as_it_needs() {
    const DEPTH: u32 = 20;
    let mut worker = FakeMaster::new().worker(1).await;
    for link in 0..DEPTH {
        // Each waits for the gate the next one opens when it is done.
        worker.dispatch(link, "test::lend_and_wait", Call::new().list(&[300 + DEPTH - link]));
    }
    worker.dispatch(DEPTH, "test::open", Call::new().literal(&301_u32));
    hear_ends(&mut worker, DEPTH as usize + 1).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_lost_master_leaves_no_thread_waiting_for_its_slot() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::lend_and_wait", Call::new().list(&[400_u32]));
    worker.hear_start(1).await;
    assert_eq!(worker.hear().await, Said::Lent(attempt(1)));
    // Takes the lent slot and keeps it.
    worker.dispatch(2, "test::wait", Call::new().literal(&499_u32));
    worker.hear_start(2).await;
    let ended = worker.cut().await;
    assert!(ended.unwrap_err().to_string().starts_with("the worker lost the master"));
    open(400);
    let went_on = tokio::task::spawn_blocking(|| wait_at(401));
    assert!(went_on.await.unwrap(), "the lending task goes on although its slot is taken");
    open(499);
}
