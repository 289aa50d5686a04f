//! Exactly-once publication: the first valid completion wins, everything else changes nothing.
use crate::stage::*;
use quiltwork_scheduler::{Action, Event};
use quiltwork_types::{Epoch, FailureKind, LossReason, TaskState, WorkerId};

#[test]
fn the_first_valid_completion_is_published_and_announced() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(dispatched(&stage.submit([kept(0, &[])])), [(0, 0, 1)]);
    let actions = stage.finishes_inline(0, 0, 1);
    assert_eq!(actions[0], Action::Publish { value: value(0) });
    assert_eq!(announced(&actions), [(0, vec![])]);
    assert_eq!(stage.state(0), Some(TaskState::Finished));
}

#[test]
fn a_value_that_stays_at_its_worker_is_announced_with_its_holder_and_not_published_at_the_master() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    let actions = stage.finishes(0, 0, 1);
    assert_eq!(announced(&actions), [(0, vec![0])]);
    assert_eq!(actions.len(), 1);
}

/// Attempt 2 of task 0 is at worker 1; worker 0 left while it held attempt 1 and came back as worker 2.
fn second_attempt_is_out() -> Stage {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    let left = Event::WorkerLost { worker: WorkerId(0), reason: LossReason::Left };
    assert_eq!(dispatched(&stage.tell(left)), [(1, 0, 2)]);
    stage.joins(2, quiltwork_types::Resources::slots(1));
    stage
}

#[test]
fn completions_that_are_not_the_current_attempt_at_its_worker_are_superseded() {
    let other_epoch = |mut event: Event| {
        if let Event::AttemptFinished { epoch, .. } = &mut event {
            *epoch = Epoch(9);
        }
        event
    };
    let invalid = [
        (finished(2, attempt(0, 1), 8, true), 2, attempt(0, 1), "an older attempt from elsewhere"),
        (finished(1, attempt(0, 1), 8, true), 1, attempt(0, 1), "an older attempt from the current worker"),
        (finished(1, attempt(0, 3), 8, true), 1, attempt(0, 3), "an attempt that was never made"),
        (finished(2, attempt(0, 2), 8, true), 2, attempt(0, 2), "the current attempt from another worker"),
        (other_epoch(finished(1, attempt(0, 2), 8, true)), 1, attempt(0, 2), "another epoch"),
        (finished(1, attempt(7, 1), 8, true), 1, attempt(7, 1), "an unknown task"),
    ];
    for (event, worker, which, what) in invalid {
        let mut stage = second_attempt_is_out();
        assert_eq!(stage.tell(event), [supersede(worker, which)], "{what}");
        assert_eq!(stage.state(0), Some(TaskState::Assigned), "{what}");
        assert_eq!(announced(&stage.finishes(1, 0, 2)), [(0, vec![1])], "the valid one still wins after {what}");
    }
}

#[test]
fn a_worker_that_is_lost_is_not_answered() {
    let mut stage = second_attempt_is_out();
    assert_eq!(stage.finishes_inline(0, 0, 1), []);
    assert_eq!(stage.fails(0, 0, 1, FailureKind::Error), []);
}

#[test]
fn a_second_completion_of_the_winner_changes_nothing() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    stage.finishes_inline(0, 0, 1);
    assert_eq!(stage.finishes_inline(0, 0, 1), [supersede(0, attempt(0, 1))]);
    assert_eq!(stage.fails(0, 0, 1, FailureKind::Error), [supersede(0, attempt(0, 1))]);
}

#[test]
fn a_holder_is_never_told_to_drop_what_counts_on_it() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    assert_eq!(stage.finishes(0, 0, 1), []);
    assert_eq!(stage.drops(&[0]), [free(0, 0), Action::Forget { task: task(0) }]);
}

#[test]
fn a_value_nobody_needs_is_freed_at_once() {
    let mut stage = Stage::new(&[2]);
    stage.submit([unkept(0, &[]), unkept(1, &[])]);
    let (publish, free_at_master) = (Action::Publish { value: value(0) }, Action::FreeAtMaster { value: value(0) });
    assert_eq!(stage.finishes_inline(0, 0, 1), [publish, free_at_master, Action::Forget { task: task(0) }]);
    assert_eq!(stage.finishes(0, 1, 1), [free(0, 1), Action::Forget { task: task(1) }]);
    assert_eq!(stage.scheduler.task_count(), 0);
}

#[test]
fn consumers_are_told_where_their_inputs_are() {
    let mut stage = Stage::new(&[2]);
    stage.submit([unkept(0, &[]), unkept(1, &[]), kept(2, &[1, 0])]);
    stage.finishes_inline(0, 0, 1);
    let actions = stage.finishes(0, 1, 1);
    let told: Vec<_> =
        sources(actions.first()).iter().map(|input| (input.value, input.size, input.workers.clone())).collect();
    assert_eq!(told, [(value(1), 1_000, vec![WorkerId(0)]), (value(0), 8, vec![])]);
}
