//! Worker loss and missing values: queue again, recompute as little as possible, announce again.
use crate::stage::*;
use quiltwork_scheduler::{Action, Event};
use quiltwork_types::{Chapter, FailureKind, Resources, TaskSpec, TaskState, WorkerId};

#[test]
fn attempts_of_a_lost_worker_are_queued_again_under_the_next_number() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[]), kept(1, &[])]);
    stage.starts(0, 0, 1);
    assert_eq!(stage.loses(0), []);
    assert_eq!((stage.state(0), stage.state(1)), (Some(TaskState::Queued), Some(TaskState::Queued)));
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(2))), [(1, 0, 2), (1, 1, 2)]);
}

#[test]
fn a_lost_value_the_client_holds_is_recomputed_and_announced_again() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    assert_eq!(dispatched(&stage.loses(0)), [(1, 0, 2)]);
    assert_eq!(announced(&stage.finishes(1, 0, 2)), [(0, vec![1])]);
    let chapters: Vec<_> = stage.scheduler.story(task(0)).expect("known").iter().map(|entry| entry.chapter).collect();
    assert!(chapters.contains(&Chapter::ValueLost), "{chapters:?}");
}

#[test]
fn only_what_is_needed_is_recomputed_as_deep_as_needed() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([unkept(0, &[]), unkept(1, &[0]), kept(2, &[1])]);
    stage.finishes(0, 0, 1);
    stage.finishes(0, 1, 1);
    stage.finishes(0, 2, 1);
    let mut made = dispatched(&stage.loses(0));
    made.extend(dispatched(&stage.finishes(1, 0, 2)));
    made.extend(dispatched(&stage.finishes(1, 1, 2)));
    assert_eq!(made, [(1, 0, 2), (1, 1, 2), (1, 2, 2)]);
    assert_eq!(announced(&stage.finishes(1, 2, 2)), [(2, vec![1])]);
}

#[test]
fn a_value_the_master_holds_is_never_made_again_and_stays_as_long_as_something_may_be_made_from_it() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[]), kept(1, &[0])]);
    stage.finishes_inline(0, 0, 1);
    stage.finishes(0, 1, 1);
    assert_eq!(stage.drops(&[0]), [], "task 1 may need it once more");
    assert_eq!(dispatched(&stage.loses(0)), [(1, 1, 2)]);
}

#[test]
fn a_value_held_elsewhere_only_loses_a_holder() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    stage.tell(Event::ValueCopied { value: value(0), worker: WorkerId(1) });
    assert_eq!(stage.loses(0), []);
    assert_eq!(dispatched(&stage.submit([kept(1, &[0])])), [(1, 1, 1)]);
}

#[test]
fn a_running_consumer_has_its_inputs_and_nothing_is_recomputed_for_it_until_it_starts_over() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), TaskSpec { retries: 1, ..kept(1, &[0]) }]);
    stage.finishes(0, 0, 1);
    stage.starts(0, 1, 1);
    stage.joins(1, Resources::slots(1));
    let missing = Event::ValueMissing { value: value(0), holder: WorkerId(0) };
    assert_eq!(stage.tell(missing), [free(0, 0)]);
    assert_eq!(stage.fails(0, 1, 1, FailureKind::Error), []);
    assert_eq!(dispatched(&stage.waits()), [(0, 0, 2)]);
}

#[test]
fn inputs_that_are_missing_are_recomputed_and_the_attempt_is_made_again() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    let missing = vec![(value(0), WorkerId(0))];
    let actions = stage.tell(Event::InputsMissing { worker: WorkerId(0), attempt: attempt(1, 1), missing });
    assert_eq!(actions[0], free(0, 0), "in case it was there after all");
    assert_eq!(dispatched(&actions), [(0, 0, 2)]);
    assert_eq!(dispatched(&stage.finishes(0, 0, 2)), [(0, 1, 2)]);
}

#[test]
fn an_attempt_that_misses_its_input_while_it_runs_is_made_again_and_blamed_for_nothing() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    stage.starts(0, 1, 1);
    stage.tell(Event::ValueCopied { value: value(0), worker: WorkerId(1) });
    let missing = |number, holder| {
        let missing = vec![(value(0), WorkerId(holder))];
        Event::InputsMissing { worker: WorkerId(0), attempt: attempt(1, number), missing }
    };
    let actions = stage.tell(missing(1, 1));
    assert_eq!(actions[0], free(1, 0), "in case it was there after all");
    assert_eq!(dispatched(&actions), [(0, 1, 2)], "it is elsewhere too");
    stage.starts(0, 1, 2);
    assert_eq!(dispatched(&stage.tell(missing(2, 0))), [(0, 0, 2)], "without retries, for it did not fail");
    assert_eq!(stage.tell(missing(2, 0)), [], "doubled");
    assert_eq!(dispatched(&stage.finishes(0, 0, 2)), [(0, 1, 3)]);
    assert_eq!(announced(&stage.finishes_inline(0, 1, 3)).len(), 1);
}

#[test]
fn a_client_that_does_not_find_a_value_is_told_where_else_it_is_or_gets_it_made_again() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    stage.tell(Event::ValueCopied { value: value(0), worker: WorkerId(1) });
    let missing = |holder| Event::ValueMissing { value: value(0), holder: WorkerId(holder) };
    let actions = stage.tell(missing(0));
    assert_eq!((actions[0].clone(), announced(&actions)), (free(0, 0), vec![(0, vec![1])]));
    let actions = stage.tell(missing(1));
    assert_eq!(announced(&actions), []);
    assert_eq!(dispatched(&actions), [(0, 0, 2)]);
}

#[test]
fn a_recomputation_that_fails_fails_what_waits_for_it() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    stage.finishes(0, 1, 1);
    stage.loses(0);
    let actions = stage.fails(1, 0, 2, FailureKind::Error);
    assert_eq!(failed(&actions), [(1, FailureKind::Error)]);
    assert_eq!(failures(&actions)[0].1.origin, task(0));
}

#[test]
fn unknown_workers_and_used_numbers_are_ignored() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(stage.loses(5), []);
    stage.loses(0);
    stage.submit([kept(0, &[])]);
    assert_eq!(stage.joins(0, Resources::slots(1)), [], "its number was used before");
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(1))), [(1, 0, 1)]);
    assert_eq!(stage.joins(1, Resources::slots(8)), [], "doubled");
    let [worker] = &stage.scheduler.workers().collect::<Vec<_>>()[..] else { panic!("one worker") };
    assert_eq!((worker.worker, worker.capacity.slots, worker.assigned), (WorkerId(1), 1, 1));
}

#[test]
fn the_values_of_a_lost_worker_are_not_freed_there() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    stage.loses(0);
    let actions = stage.drops(&[0]);
    assert_eq!(actions, [cancel(1, attempt(0, 2)), Action::Forget { task: task(0) }]);
}
