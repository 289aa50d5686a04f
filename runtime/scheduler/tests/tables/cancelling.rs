//! Cancellation and closed jobs; a place is free only when its worker says so.
use crate::stage::*;
use quiltwork_scheduler::{Action, Event};
use quiltwork_types::{FailureKind, JobId, Resources, TaskState};

#[test]
fn cancelling_stops_the_task_and_everything_that_needs_it() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[0]), unkept(2, &[1]), kept(3, &[2]), kept(4, &[])]);
    let actions = stage.cancels(&[0]);
    assert!(actions.contains(&cancel(0, attempt(0, 1))), "{actions:?}");
    let cancelled = [0, 1, 3].map(|index| (index, FailureKind::Cancelled));
    assert_eq!(failed(&actions), cancelled);
    assert!(failures(&actions).iter().all(|(_, failure)| failure.origin == task(0)));
    assert_eq!(forgotten(&actions), [2]);
    assert_eq!(stage.state(3), Some(TaskState::Cancelled));
    assert_eq!(stage.state(4), Some(TaskState::Queued), "the place is not free yet");
}

#[test]
fn a_cancelled_attempt_keeps_its_place_until_its_worker_confirms() {
    let confirmations: [fn(&mut Stage) -> Vec<Action>; 4] = [
        |stage| stage.finishes_inline(0, 0, 1),
        |stage| stage.fails(0, 0, 1, FailureKind::Cancelled),
        |stage| stage.returns(0, 0, 1),
        |stage| {
            let worker = quiltwork_types::WorkerId(0);
            stage.tell(Event::InputsMissing { worker, attempt: attempt(0, 1), missing: Vec::new() })
        },
    ];
    for confirm in confirmations {
        let mut stage = Stage::new(&[1]);
        stage.submit([kept(0, &[]), kept(1, &[])]);
        assert_eq!(dispatched(&stage.cancels(&[0])), []);
        assert_eq!(stage.starts(0, 0, 1), [], "it may start while the order is on its way");
        assert_eq!(dispatched(&confirm(&mut stage)), [(0, 1, 1)]);
        assert_eq!(stage.state(0), Some(TaskState::Cancelled));
    }
}

#[test]
fn the_result_of_a_cancelled_attempt_is_refused() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    stage.cancels(&[0]);
    assert_eq!(stage.finishes_inline(0, 0, 1), [supersede(0, attempt(0, 1))]);
}

#[test]
fn cancelling_a_finished_task_stops_only_what_still_needs_it() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    assert_eq!(failed(&stage.cancels(&[0])), [(1, FailureKind::Cancelled)]);
    assert_eq!(stage.state(0), Some(TaskState::Finished));
}

#[test]
fn cancelling_twice_or_the_unknown_changes_nothing() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    stage.cancels(&[0]);
    assert_eq!(stage.cancels(&[0, 77]), []);
}

#[test]
fn a_closed_job_leaves_nothing_and_accepts_nothing() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[0]), kept(2, &[1]), kept(3, &[])]);
    stage.finishes(0, 0, 1);
    let actions = stage.tell(Event::JobClosed { job: JobId(0), node: None });
    assert_eq!(forgotten(&actions), [0, 1, 2, 3]);
    assert!(actions.contains(&free(0, 0)) && actions.contains(&cancel(0, attempt(1, 1))), "{actions:?}");
    assert_eq!(stage.scheduler.task_count(), 0);
    assert_eq!(stage.submit([kept(9, &[])]), [Action::Forget { task: task(9) }]);
    assert_eq!(stage.finishes(0, 1, 1), [supersede(0, attempt(1, 1))]);
    assert_eq!(stage.scheduler.workers().map(|worker| worker.assigned).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_place_that_was_never_confirmed_goes_with_its_worker() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[])]);
    stage.cancels(&[0]);
    stage.loses(0);
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(1))), [(1, 1, 1)]);
}
