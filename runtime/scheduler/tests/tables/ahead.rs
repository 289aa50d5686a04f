//! Tasks that are sent ahead of their inputs: where they go, what holds them back, and what becomes of them.
use crate::stage::*;
use quiltwork_scheduler::{Action, Config, Supply};
use quiltwork_types::{FailureKind, Resources, TaskSpec, TaskState};
use std::time::Duration;

/// A kept task that runs the quick function.
fn quick(index: u32, inputs: &[u32]) -> TaskSpec {
    TaskSpec { function: Some(QUICK), ..kept(index, inputs) }
}

/// Tasks `1..=length`, each of which consumes the one before.
fn chain(length: u32) -> Vec<TaskSpec> {
    let link = |index| if index == 1 { quick(1, &[]) } else { quick(index, &[index - 1]) };
    (1..=length).map(link).collect()
}

/// A worker that has a chain of four, the first three of which take 100 µs as far as is known.
fn with_a_chain() -> Stage {
    let mut stage = Stage::new(&[1]).with_quick_function();
    assert_eq!(dispatched(&stage.submit(chain(4))), [(0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1)]);
    stage
}

#[test]
fn a_chain_goes_to_one_worker_at_once() {
    let mut stage = Stage::new(&[1, 1]).with_quick_function();
    let actions = stage.submit(chain(3));
    let worker = dispatched(&actions)[0].0;
    assert_eq!(dispatched(&actions), [(worker, 1, 1), (worker, 2, 1), (worker, 3, 1)]);
    let Some(Action::Dispatch { inputs, .. }) = actions.last() else { panic!("{actions:?}") };
    assert_eq!(*inputs, [Supply::Coming(attempt(2, 1))]);
    for index in 1..=3 {
        assert_eq!(stage.state(index), Some(TaskState::Assigned));
        assert_eq!(announced(&stage.finishes_inline(worker, index, 1)), [(index, vec![])]);
    }
}

#[test]
fn what_is_submitted_later_follows_what_was_assigned() {
    let mut stage = Stage::new(&[1, 1]).with_quick_function();
    let worker = dispatched(&stage.submit([quick(1, &[])]))[0].0;
    assert_eq!(dispatched(&stage.submit([quick(2, &[1])])), [(worker, 2, 1)]);
}

#[test]
fn it_takes_no_slot_until_it_can_start() {
    let mut stage = Stage::new(&[2]).with_quick_function();
    stage.submit(chain(4));
    assert_eq!(
        dispatched(&stage.submit([kept(9, &[])])),
        [(0, 9, 1)],
        "into the free slot, though nobody knows its time"
    );
    stage.finishes_inline(0, 1, 1);
    assert_eq!(dispatched(&stage.submit([kept(10, &[])])), [], "9 and 2 have the slots");
}

#[test]
fn the_window_and_the_limit_hold_for_what_goes_ahead_and_room_is_used_again() {
    let config = Config { window: Duration::from_micros(1_000), ..Config::default() };
    let mut stage = Stage::with(config, &[1]).with_quick_function();
    assert_eq!(dispatched(&stage.submit(chain(100))).len(), 1 + 10);
    assert_eq!(dispatched(&stage.finishes_quickly(0, 1, 1)), [(0, 12, 1)]);

    let config = Config { window: Duration::from_secs(1), max_assigned: 8, ..Config::default() };
    let mut stage = Stage::with(config, &[1]).with_quick_function();
    assert_eq!(dispatched(&stage.submit(chain(100))).len(), 1 + 4);
    assert_eq!(dispatched(&stage.finishes_quickly(0, 1, 1)), [(0, 6, 1)]);
}

#[test]
fn an_unknown_function_does_not_go_ahead() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(dispatched(&stage.submit([kept(0, &[]), kept(1, &[0])])), [(0, 0, 1)]);
}

#[test]
fn one_consumer_follows_and_the_others_go_to_whoever_has_room() {
    let mut stage = Stage::new(&[1, 1]).with_quick_function();
    let actions = stage.submit([quick(1, &[]), quick(2, &[1]), quick(3, &[1])]);
    let worker = dispatched(&actions)[0].0;
    assert_eq!(dispatched(&actions), [(worker, 1, 1), (worker, 2, 1)]);
    assert_eq!(dispatched(&stage.finishes(worker, 1, 1)), [(1 - worker, 3, 1)]);
}

#[test]
fn inputs_from_two_workers_are_waited_for_at_the_master() {
    let mut stage = Stage::new(&[1, 1]).with_quick_function();
    let actions = stage.submit([quick(1, &[]), quick(2, &[]), quick(3, &[1, 2])]);
    let mut workers: Vec<_> = dispatched(&actions).iter().map(|&(worker, index, _)| (index, worker)).collect();
    workers.sort_unstable();
    assert_eq!(workers.iter().map(|&(index, _)| index).collect::<Vec<_>>(), [1, 2]);
    stage.finishes_inline(workers[0].1, 1, 1);
    // What is missing now is made at one worker, but nothing was assigned that it could follow: it goes the usual way.
    assert_eq!(dispatched(&stage.finishes_inline(workers[1].1, 2, 1)).len(), 1);
}

#[test]
fn what_asks_for_more_than_slots_or_stands_behind_others_does_not_go_ahead() {
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources { memory: 100, ..Resources::slots(1) });
    let mut stage = stage.with_quick_function();
    let greedy = TaskSpec { resources: Resources { memory: 1, ..Resources::slots(1) }, ..quick(2, &[1]) };
    assert_eq!(dispatched(&stage.submit([quick(1, &[]), greedy])), [(0, 1, 1)]);

    let urgent = TaskSpec { priority: 1, ..kept(3, &[]) };
    assert_eq!(dispatched(&stage.submit([urgent])), []);
    assert_eq!(dispatched(&stage.submit([quick(4, &[]), quick(5, &[4])])), [(0, 4, 1)], "3 is more urgent than 5");
}

#[test]
fn what_comes_back_from_the_worker_waits_again() {
    let mut stage = with_a_chain();
    stage.fails(0, 1, 1, FailureKind::Error);
    assert_eq!(stage.state(2), Some(TaskState::Failed), "there are no retries");

    let mut stage = Stage::new(&[1]).with_quick_function();
    stage.submit([TaskSpec { retries: 1, ..quick(1, &[]) }, quick(2, &[1])]);
    stage.fails(0, 1, 1, FailureKind::Error);
    assert_eq!(dispatched(&stage.returns(0, 2, 1)), []);
    assert_eq!(stage.state(2), Some(TaskState::Waiting));
    assert_eq!(dispatched(&stage.waits()), [(0, 1, 2), (0, 2, 2)]);
    stage.finishes_inline(0, 1, 2);
    assert_eq!(announced(&stage.finishes_inline(0, 2, 2)), [(2, vec![])]);
}

#[test]
fn a_follower_that_is_said_to_run_first_is_believed() {
    let mut stage = with_a_chain();
    stage.starts(0, 2, 1);
    assert_eq!(stage.state(2), Some(TaskState::Running));
    stage.finishes_inline(0, 1, 1);
    assert_eq!(announced(&stage.finishes_inline(0, 2, 1)), [(2, vec![])]);
}

#[test]
fn all_of_it_begins_again_when_the_worker_dies() {
    let mut stage = with_a_chain();
    stage.finishes_inline(0, 1, 1);
    stage.joins(1, Resources::slots(1));
    assert_eq!(dispatched(&stage.loses(0)), [(1, 2, 2)], "with a death behind them nothing goes ahead");
    assert_eq!(dispatched(&stage.finishes_inline(1, 2, 2)), [(1, 3, 2)]);
}

#[test]
fn a_worker_that_is_short_of_memory_is_asked_for_what_went_ahead() {
    let mut stage = with_a_chain();
    stage.starts(0, 1, 1);
    assert_eq!(recalled(&stage.presses(0)), [(0, 2), (0, 3), (0, 4)]);
    for index in [4, 3, 2] {
        assert_eq!(dispatched(&stage.returns(0, index, 1)), []);
    }
    assert_eq!(dispatched(&stage.finishes_inline(0, 1, 1)), [(0, 2, 2)]);
}

#[test]
fn whoever_is_cancelled_ends_what_went_ahead_of_it() {
    let mut stage = with_a_chain();
    let actions = stage.cancels(&[2]);
    assert_eq!(failed(&actions).iter().map(|&(index, _)| index).collect::<Vec<_>>(), [2, 3, 4]);
    assert!([2, 3, 4].iter().all(|&index| actions.contains(&cancel(0, attempt(index, 1)))), "{actions:?}");
    assert_eq!(announced(&stage.finishes_inline(0, 1, 1)), [(1, vec![])]);
}
