//! What waits for time: retries with back-off, and patience for resources that nobody has yet.
use crate::stage::*;
use quiltwork_scheduler::{Config, Event};
use quiltwork_types::{Chapter, FailureKind, NamedResource, Resources, TaskSpec, TaskState};
use std::time::Duration;

#[test]
fn retryable_failures_are_retried_as_often_as_asked_after_growing_pauses() {
    for kind in [FailureKind::Error, FailureKind::Panicked, FailureKind::StoreFull, FailureKind::TimedOut] {
        let mut stage = Stage::new(&[1]);
        stage.submit([TaskSpec { retries: 2, ..kept(0, &[]) }]);
        for (number, longest) in [(1, 100), (2, 200)] {
            let before = stage.now;
            assert_eq!(stage.fails(0, 0, number, kind), [], "{kind:?}");
            assert_eq!(stage.state(0), Some(TaskState::Queued));
            assert_eq!(dispatched(&stage.waits()), [(0, 0, number + 1)]);
            assert!(stage.now.since(before) <= Duration::from_millis(longest));
        }
        assert_eq!(failed(&stage.fails(0, 0, 3, kind)), [(0, kind)]);
        assert_eq!(stage.scheduler.next_wakeup(), None);
    }
}

#[test]
fn final_failures_are_not_retried() {
    for kind in [FailureKind::UnknownTask, FailureKind::BadArgument, FailureKind::ResultTooLarge] {
        let mut stage = Stage::new(&[1]);
        stage.submit([TaskSpec { retries: 9, ..kept(0, &[]) }]);
        assert_eq!(failed(&stage.fails(0, 0, 1, kind)), [(0, kind)]);
    }
}

#[test]
fn pauses_are_spread_and_capped() {
    let cap = Duration::from_millis(400);
    let mut pauses = Vec::new();
    for seed in 0..200 {
        let mut stage = Stage::with(Config { seed, retry_cap: cap, ..Config::default() }, &[1]);
        stage.submit([TaskSpec { retries: 20, ..kept(0, &[]) }]);
        for number in 1..12 {
            stage.fails(0, 0, number, FailureKind::Error);
            let before = stage.now;
            stage.waits();
            pauses.push(stage.now.since(before));
        }
    }
    assert!(pauses.iter().all(|&pause| pause <= cap));
    assert!(pauses.iter().any(|&pause| pause > cap * 9 / 10) && pauses.iter().any(|&pause| pause < cap / 10));
}

#[test]
fn a_pausing_task_can_be_cancelled_and_leaves_no_timer() {
    let mut stage = Stage::new(&[1]);
    stage.submit([TaskSpec { retries: 1, ..kept(0, &[]) }]);
    stage.fails(0, 0, 1, FailureKind::Error);
    assert_eq!(failed(&stage.cancels(&[0])), [(0, FailureKind::Cancelled)]);
    assert_eq!(stage.scheduler.next_wakeup(), None);
}

fn with_gpus(amount: u64) -> Resources {
    Resources { named: Box::new([NamedResource { name: "gpu".into(), amount }]), ..Resources::slots(2) }
}

fn asks_for_gpus(index: u32, amount: u64) -> TaskSpec {
    TaskSpec { resources: Resources { slots: 1, ..with_gpus(amount) }, ..kept(index, &[]) }
}

#[test]
fn what_no_worker_can_hold_fails_at_once_and_says_what_there_is() {
    let mut stage = Stage::new(&[1]);
    stage.joins(1, with_gpus(2));
    let failures = failures(&stage.submit([asks_for_gpus(0, 3)]));
    let [(0, failure)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!(failure.kind, FailureKind::NoSuchResources);
    assert_eq!(failure.message, "it asks for 1 slot, 3 of `gpu`; the most any worker has is 2 slots, 2 of `gpu`");
}

#[test]
fn without_workers_nothing_is_hopeless() {
    let mut stage = Stage::new(&[]);
    assert_eq!(stage.submit([asks_for_gpus(0, 1), asks_for_gpus(1, 9)]), []);
    let actions = stage.joins(0, with_gpus(1));
    assert_eq!((dispatched(&actions), failed(&actions)), (vec![(0, 0, 1)], vec![(1, FailureKind::NoSuchResources)]));
}

#[test]
fn patience_lets_a_larger_worker_arrive() {
    let config = || Config { resource_patience: Duration::from_secs(5), ..Config::default() };
    let mut stage = Stage::with(config(), &[1]);
    assert_eq!(stage.submit([asks_for_gpus(0, 1)]), []);
    assert_eq!(dispatched(&stage.joins(1, with_gpus(1))), [(1, 0, 1)]);
    assert_eq!(stage.scheduler.next_wakeup(), None);

    let mut stage = Stage::with(config(), &[1]);
    stage.submit([asks_for_gpus(0, 1)]);
    assert_eq!(failed(&stage.waits()), [(0, FailureKind::NoSuchResources)]);
    assert_eq!(stage.now.since(quiltwork_types::Time::ZERO), Duration::from_secs(5));
}

#[test]
fn losing_the_only_worker_that_could_hold_it_is_no_reason_to_fail() {
    let mut stage = Stage::new(&[1]);
    stage.joins(1, with_gpus(1));
    stage.submit([asks_for_gpus(0, 1)]);
    assert_eq!(stage.loses(1), []);
    assert_eq!(stage.state(0), Some(TaskState::Queued));
    assert_eq!(dispatched(&stage.joins(2, with_gpus(1))), [(2, 0, 2)]);
}

#[test]
fn a_story_is_bounded_and_keeps_its_beginning() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    for number in 1..200 {
        stage.returns(0, 0, number);
    }
    let story = stage.scheduler.story(task(0)).expect("it has a record");
    assert!(story.len() <= 64, "{} entries", story.len());
    assert_eq!(story[0].chapter, Chapter::Submitted);
    assert!(matches!(story.last().map(|entry| entry.chapter), Some(Chapter::Assigned { number: 200, .. })));
}

#[test]
fn time_alone_changes_nothing_that_is_not_due() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[])]);
    assert_eq!(stage.tell(Event::TimePassed), []);
}
