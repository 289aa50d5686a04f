//! What becomes of a function that returns, fails, panics or cannot be entered.
use crate::master::{Call, FakeMaster, Said, attempt};
use crate::tasks::{PANIC_AT, open};
use quiltwork_types::FailureKind;
use std::time::Duration;

#[tokio::test]
async fn a_result_comes_back_with_the_report() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::add", Call::new().literal(&2_u32).literal(&3_u32));
    assert_eq!(worker.hear_result::<u32>(1).await, 5);
    worker.dispatch(2, "test::join", Call::new().list(&["all".to_owned(), "in".to_owned(), "order".to_owned()]));
    assert_eq!(worker.hear_result::<String>(2).await, "all in order");
    worker.dispatch(3, "test::join", Call::new().list::<String>(&[]));
    assert_eq!(worker.hear_result::<String>(3).await, "");
    worker.shut_down().await;
}

#[tokio::test]
async fn a_task_knows_who_it_is_also_in_what_it_spawns() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::who_am_i", Call::new().named("seven", 7));
    let expected = ("seven".to_owned(), 1, Some(7), worker.id.0);
    assert_eq!(worker.hear_result::<(String, u32, Option<u32>, u32)>(1).await, expected);
    worker.dispatch(2, "test::who_am_i", Call::new());
    let expected = ("test::who_am_i".to_owned(), 1, None, worker.id.0);
    assert_eq!(worker.hear_result::<(String, u32, Option<u32>, u32)>(2).await, expected);
    worker.shut_down().await;
}

#[tokio::test]
async fn an_error_is_reported_with_the_name_people_know() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::parse", Call::new().literal(&"x".to_owned()).named("parse x", 0));
    let failure = worker.hear_failure(1).await;
    assert_eq!((failure.kind, failure.origin, &*failure.name), (FailureKind::Error, attempt(1).task, "parse x"));
    assert_eq!(failure.message, "invalid digit found in string");
    assert_eq!(failure.details, ["error type: core::num::error::ParseIntError"]);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_panic_is_reported_with_its_place_and_the_slot_goes_on() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::panic", Call::new().literal(&"this".to_owned()));
    let failure = worker.hear_failure(1).await;
    assert_eq!((failure.kind, &*failure.message), (FailureKind::Panicked, "no luck with this"));
    assert!(failure.details[0].starts_with(&format!("at {PANIC_AT}")), "{failure}");
    worker.dispatch(2, "test::add", Call::new().literal(&1_u32).literal(&1_u32));
    assert_eq!(worker.hear_result::<u32>(2).await, 2);
    worker.shut_down().await;
}

#[tokio::test]
async fn what_runs_longer_than_it_may_is_told_and_fails_whatever_it_returns() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::until_cancelled", Call::new().time_limit(Duration::from_millis(20)));
    let failure = worker.hear_failure(1).await;
    assert_eq!((failure.kind, &*failure.message), (FailureKind::TimedOut, "its time limit is 20ms"));
    worker.dispatch(2, "test::nothing", Call::new().time_limit(Duration::MAX));
    worker.hear_result::<()>(2).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_gives_its_slot_away_and_is_heard_of_no_more() {
    let mut worker = FakeMaster::new().worker(1).await;
    let limit = Duration::from_millis(20);
    worker.dispatch(1, "test::wait", Call::new().literal(&600_u32).time_limit(limit));
    worker.dispatch(2, "test::lend_and_wait", Call::new().literal(&vec![610_u32]).time_limit(limit));
    worker.dispatch(3, "test::add", Call::new().literal(&1_u32).literal(&1_u32));
    let mut late = Vec::new();
    while late.len() < 2 {
        match worker.hear_more().await {
            Said::Failed(ended, failure) => late.push((ended, failure.kind)),
            Said::Finished(ended, ..) => assert_eq!(ended, attempt(3)),
            other => assert_eq!(other, Said::Lent(attempt(2))),
        }
    }
    late.sort_unstable_by_key(|(ended, _)| *ended);
    assert_eq!(late, [1, 2].map(|index| (attempt(index), FailureKind::TimedOut)));
    open(600);
    open(610);
    worker.dispatch(4, "test::wait", Call::new().literal(&611_u32));
    loop {
        match worker.hear_more().await {
            Said::Finished(ended, ..) if ended == attempt(4) => break,
            other => assert!(matches!(other, Said::Finished(ended, ..) if ended == attempt(3)), "{other:?}"),
        }
    }
    worker.shut_down().await;
}

#[tokio::test]
async fn a_worker_full_of_functions_that_do_not_end_ends_itself() {
    let mut worker = FakeMaster::new().worker(4).await;
    for index in 0..20 {
        worker.dispatch(index, "test::wait", Call::new().literal(&620_u32).time_limit(Duration::from_millis(1)));
    }
    let mut late = 0;
    while late < 17 {
        assert!(matches!(worker.hear_more().await, Said::Failed(_, failure) if failure.kind == FailureKind::TimedOut));
        late += 1;
    }
    open(620);
    assert!(matches!(worker.ended().await, Err(quiltwork_worker::WorkerError::Stuck { count }) if count > 16));
}

#[tokio::test]
async fn an_unknown_task_is_answered_with_what_is_like_it() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::ad", Call::new());
    let failure = worker.hear_failure(1).await;
    assert_eq!(failure.kind, FailureKind::UnknownTask);
    assert!(failure.message.contains("`test::ad`"), "{failure}");
    assert!(failure.hint.as_deref().is_some_and(|hint| hint.starts_with("did you mean `test::add`?")), "{failure}");
    worker.shut_down().await;
}

#[tokio::test]
async fn an_argument_of_the_wrong_type_is_named() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::add", Call::new().literal(&1_u32).literal(&"two".to_owned()));
    let failure = worker.hear_failure(1).await;
    assert_eq!(failure.kind, FailureKind::BadArgument);
    assert!(failure.message.starts_with("parameter `b` (number 2) expects a u32: "), "{failure}");
    worker.dispatch(2, "test::join", Call::new().list(&[1_u32]));
    let failure = worker.hear_failure(2).await;
    assert!(failure.message.contains("`words`") && failure.message.contains("element 0"), "{failure}");
    worker.shut_down().await;
}

#[tokio::test]
async fn a_result_over_the_limit_is_refused_with_both_sizes() {
    let mut master = FakeMaster::new();
    master.value_limit = 20_000;
    let mut worker = master.worker(1).await;
    worker.dispatch(1, "test::zeros", Call::new().literal(&19_000_u64));
    worker.hear_stored(1).await;
    worker.dispatch(2, "test::zeros", Call::new().literal(&30_000_u64));
    let failure = worker.hear_failure(2).await;
    assert_eq!(failure.kind, FailureKind::ResultTooLarge);
    assert!(failure.message.contains("30003 bytes") && failure.message.contains("20000"), "{failure}");
    worker.shut_down().await;
}

#[tokio::test]
async fn progress_travels_while_the_task_runs_and_the_latest_wins() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::count", Call::new().literal(&1000_u64).literal(&1_u32));
    let mut last = 0;
    while last < 1000 {
        match worker.hear_more().await {
            Said::Progress(reported, done, 1000) if reported == attempt(1) && done > last => last = done,
            other => panic!("{other:?} after {last}"),
        }
    }
    open(1);
    worker.hear_result::<()>(1).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn ten_thousand_attempts_in_batches_end_once_each() {
    const BATCH: u32 = 500;
    let mut worker = FakeMaster::new().worker(2).await;
    let mut ended = vec![false; 10_000];
    let mut given = 0;
    let mut give = |worker: &mut crate::master::Worker| {
        let batch = given..10_000.min(given + BATCH);
        given = batch.end;
        worker.dispatch_all(batch.map(|index| (index, "test::nothing", Call::new())).collect());
    };
    give(&mut worker);
    give(&mut worker);
    for number in 1..=ended.len() {
        match worker.hear_more().await {
            Said::Finished(attempt, ..) => {
                assert!(!std::mem::replace(&mut ended[attempt.task.index as usize], true), "{attempt} ended twice");
            }
            other => panic!("{other:?}"),
        }
        if number % BATCH as usize == 0 {
            give(&mut worker);
        }
    }
    worker.shut_down().await;
}
