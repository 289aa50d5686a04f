//! What becomes of attempts that wait: order, recall, cancellation.
use crate::master::{Call, FakeMaster, Said, Worker, attempt};
use crate::tasks::open;
use quiltwork_protocol::MasterToWorker;
use quiltwork_types::FailureKind;

/// A worker of one slot that is kept busy by attempt 0 until `gate` opens.
async fn busy_worker(gate: u32) -> Worker {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(0, "test::wait", Call::new().literal(&gate));
    worker.hear_start(0).await;
    worker
}

#[tokio::test]
async fn a_recalled_attempt_comes_back_only_if_it_waits() {
    let mut worker = busy_worker(100).await;
    worker.dispatch_all((1..=3).map(|index| (index, "test::nothing", Call::new())).collect());
    worker.say(MasterToWorker::Recall { attempts: vec![attempt(0), attempt(2), attempt(77)] });
    assert_eq!(worker.hear().await, Said::Returned(attempt(2)));
    open(100);
    assert!(worker.hear_result::<bool>(0).await);
    worker.hear_result::<()>(1).await;
    worker.hear_result::<()>(3).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_cancelled_attempt_ends_at_once_if_it_waits() {
    let mut worker = busy_worker(110).await;
    worker.dispatch(1, "test::nothing", Call::new());
    worker.say(MasterToWorker::Cancel { attempts: vec![attempt(1)] });
    assert_eq!(worker.hear_failure(1).await.kind, FailureKind::Cancelled);
    open(110);
    assert!(worker.hear_result::<bool>(0).await);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_cancelled_attempt_that_runs_is_told_and_its_end_is_reported() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::until_cancelled", Call::new());
    worker.hear_start(1).await;
    worker.say(MasterToWorker::Cancel { attempts: vec![attempt(1)] });
    worker.hear_result::<()>(1).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn an_attempt_of_no_slots_runs_beside_a_full_worker_and_one_of_two_waits_for_both() {
    let mut worker = FakeMaster::new().worker(2).await;
    worker.dispatch(0, "test::wait", Call::new().literal(&120_u32));
    worker.hear_start(0).await;
    worker.dispatch(1, "test::wait", Call::new().literal(&121_u32));
    worker.hear_start(1).await;
    worker.dispatch(2, "test::nothing", Call::new().slots(2));
    worker.dispatch(3, "test::nothing", Call::new().slots(0));
    worker.hear_result::<()>(3).await;
    open(120);
    assert!(worker.hear_result::<bool>(0).await);
    open(121);
    assert!(worker.hear_result::<bool>(1).await);
    worker.hear_result::<()>(2).await;
    worker.shut_down().await;
}
