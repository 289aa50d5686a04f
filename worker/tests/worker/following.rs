//! Attempts that come ahead of their inputs and follow the attempts of this worker that make them.
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

fn sum_of(left: Call, right: u32) -> Call {
    left.literal(&right)
}

/// `previous + 1`, where attempt `previous` has not ended.
fn one_more(previous: u32) -> Call {
    sum_of(Call::new().coming(attempt(previous)), 1)
}

#[tokio::test]
async fn a_chain_runs_to_its_end_without_another_word() {
    let mut worker = busy_worker(1600).await;
    let first = (1, "test::add", sum_of(Call::new().literal(&10_u32), 1));
    let more = (2..=200).map(|index| (index, "test::add", one_more(index - 1)));
    worker.dispatch_all(std::iter::once(first).chain(more).collect());
    open(1600);
    assert!(worker.hear_result::<bool>(0).await);
    for index in 1..=200 {
        assert_eq!(worker.hear_result::<u32>(index).await, 10 + index, "in order, each with its predecessor's result");
    }
    worker.shut_down().await;
}

#[tokio::test]
async fn whoever_follows_waits_its_turn() {
    let mut worker = busy_worker(1610).await;
    worker.dispatch(1, "test::add", sum_of(Call::new().literal(&1_u32), 1));
    worker.dispatch(2, "test::add", one_more(1));
    worker.dispatch(3, "test::nothing", Call::new());
    open(1610);
    assert!(worker.hear_result::<bool>(0).await);
    assert_eq!(worker.hear_result::<u32>(1).await, 2);
    worker.hear_result::<()>(3).await;
    assert_eq!(worker.hear_result::<u32>(2).await, 3);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_large_result_is_read_where_it_was_kept() {
    let mut worker = busy_worker(1620).await;
    worker.dispatch(1, "test::zeros", Call::new().literal(&300_000_u64));
    worker.dispatch(2, "test::length", Call::new().coming(attempt(1)));
    worker.dispatch(3, "test::part", Call::new().coming_piecewise(attempt(1)).literal(&10_u64).literal(&30_u64));
    open(1620);
    assert!(worker.hear_result::<bool>(0).await);
    worker.hear_stored(1).await;
    assert_eq!(worker.hear_result::<u64>(2).await, 300_000);
    assert_eq!(worker.hear_result::<usize>(3).await, 20);
    // It is still there for one that comes later.
    worker.dispatch(4, "test::length", Call::new().coming(attempt(1)));
    assert_eq!(worker.hear_result::<u64>(4).await, 300_000);
    worker.shut_down().await;
}

#[tokio::test]
async fn one_that_comes_a_little_late_finds_the_result_and_one_much_later_goes_back() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::add", sum_of(Call::new().literal(&1_u32), 1));
    assert_eq!(worker.hear_result::<u32>(1).await, 2);
    worker.dispatch(2, "test::add", one_more(1));
    assert_eq!(worker.hear_result::<u32>(2).await, 3);
    for index in 10..200 {
        worker.dispatch(index, "test::nothing", Call::new());
        worker.hear_result::<()>(index).await;
    }
    worker.dispatch(3, "test::add", one_more(1));
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(3)));
    worker.dispatch(4, "test::add", one_more(999));
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(4)), "nobody was ever given 999");
    worker.shut_down().await;
}

#[tokio::test]
async fn all_who_follow_one_that_makes_nothing_go_back() {
    let mut worker = busy_worker(1630).await;
    worker.dispatch(1, "test::panic", Call::new().literal(&"it".to_owned()));
    worker.dispatch(2, "test::add", one_more(1));
    worker.dispatch(3, "test::add", one_more(2));
    open(1630);
    assert!(worker.hear_result::<bool>(0).await);
    assert_eq!(worker.hear_failure(1).await.kind, FailureKind::Panicked);
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(2)));
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(3)));
    worker.shut_down().await;
}

#[tokio::test]
async fn they_go_back_as_well_if_it_is_recalled_cancelled_or_lacks_something() {
    let mut worker = busy_worker(1640).await;
    for first in [10, 20] {
        worker.dispatch(first, "test::add", sum_of(Call::new().literal(&1_u32), 1));
        worker.dispatch(first + 1, "test::add", one_more(first));
    }
    worker.say(MasterToWorker::Recall { attempts: vec![attempt(10)] });
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(10)));
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(11)));
    worker.say(MasterToWorker::Cancel { attempts: vec![attempt(20)] });
    assert_eq!(worker.hear_failure(20).await.kind, FailureKind::Cancelled);
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(21)));
    // It says itself that it has what it does not have.
    let holder = worker.holder();
    worker.dispatch_all(vec![
        (30, "test::add", sum_of(Call::new().stored::<u32>(77, vec![holder]), 1)),
        (31, "test::add", one_more(30)),
    ]);
    assert!(matches!(worker.hear_more().await, Said::Missing(lacking, _) if lacking == attempt(30)));
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(31)));
    open(1640);
    assert!(worker.hear_result::<bool>(0).await);
    worker.shut_down().await;
}

#[tokio::test]
async fn one_that_is_asked_back_itself_does_not_run() {
    let mut worker = busy_worker(1650).await;
    worker.dispatch(1, "test::add", sum_of(Call::new().literal(&1_u32), 1));
    worker.dispatch(2, "test::add", one_more(1));
    worker.say(MasterToWorker::Recall { attempts: vec![attempt(2)] });
    assert_eq!(worker.hear_more().await, Said::Returned(attempt(2)));
    open(1650);
    assert!(worker.hear_result::<bool>(0).await);
    assert_eq!(worker.hear_result::<u32>(1).await, 2);
    worker.dispatch(3, "test::nothing", Call::new());
    worker.hear_result::<()>(3).await;
    worker.shut_down().await;
}
