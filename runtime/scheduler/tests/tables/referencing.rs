//! References and lineage: what is kept because somebody may need it, and what goes.
use crate::stage::*;
use quiltwork_scheduler::{Action, Event};
use quiltwork_types::{TaskSpec, TaskState, WorkerId};

#[test]
fn a_value_goes_when_its_last_consumer_has_finished_but_its_record_stays_for_lineage() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    let actions = stage.finishes(0, 1, 1);
    assert_eq!(actions.last(), Some(&free(0, 0)));
    assert_eq!(forgotten(&actions), []);
    assert_eq!(stage.state(0), Some(TaskState::Finished));
    assert_eq!(forgotten(&stage.drops(&[1])), [1, 0]);
}

#[test]
fn a_value_at_the_master_lets_its_lineage_go() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    let actions = stage.finishes_inline(0, 1, 1);
    assert_eq!(forgotten(&actions), [0]);
}

/// A value at the master whose lineage is gone is where recomputing starts from, so it stays with the record.
#[test]
fn the_end_of_a_lineage_stays_as_long_as_it_may_be_recomputed_from() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([unkept(0, &[]), unkept(1, &[0]), kept(2, &[1])]);
    stage.finishes(0, 0, 1);
    stage.finishes_inline(0, 1, 1);
    assert_eq!(stage.finishes(0, 2, 1).len(), 1, "announced, and value 1 is not freed");
    assert_eq!(dispatched(&stage.loses(0)), [(1, 2, 2)], "recomputed from value 1");
    stage.finishes(1, 2, 2);
    let actions = stage.drops(&[2]);
    assert!(actions.contains(&Action::FreeAtMaster { value: value(1) }), "{actions:?}");
    assert_eq!(stage.scheduler.task_count(), 0);
}

#[test]
fn dropping_the_last_reference_of_an_unfinished_task_cancels_it_and_what_only_it_wanted() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), unkept(1, &[0]), kept(2, &[1]), kept(3, &[0])]);
    assert_eq!(forgotten(&stage.drops(&[2])), [2, 1], "task 0 is still wanted by task 3");
    let actions = stage.drops(&[3]);
    assert_eq!(actions[..2], [Action::Forget { task: task(3) }, cancel(0, attempt(0, 1))]);
    assert_eq!(forgotten(&actions), [3, 0]);
}

#[test]
fn a_task_somebody_consumes_survives_the_drop_of_its_reference() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[0])]);
    assert_eq!(stage.drops(&[0]), []);
    assert_eq!(dispatched(&stage.finishes(0, 0, 1)), [(0, 1, 1)]);
}

#[test]
fn a_freed_value_is_recomputed_for_a_late_consumer() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    stage.finishes(0, 1, 1);
    assert_eq!(dispatched(&stage.submit([kept(2, &[0])])), [(0, 0, 2)]);
    assert_eq!(dispatched(&stage.finishes(0, 0, 2)), [(0, 2, 1)]);
}

#[test]
fn a_recomputation_nobody_wants_any_more_stops_and_the_task_stays_finished() {
    let mut stage = Stage::new(&[1]);
    stage.submit([unkept(0, &[]), kept(1, &[0])]);
    stage.finishes(0, 0, 1);
    stage.finishes(0, 1, 1);
    stage.submit([kept(2, &[0])]);
    let actions = stage.drops(&[2]);
    assert!(actions.contains(&cancel(0, attempt(0, 2))), "{actions:?}");
    assert_eq!(stage.state(0), Some(TaskState::Finished));
}

#[test]
fn copies_are_freed_with_the_value_and_refused_after_it() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    let copied = |worker| Event::ValueCopied { value: value(0), worker: WorkerId(worker) };
    assert_eq!(stage.tell(copied(1)), []);
    assert_eq!(stage.tell(copied(1)), [], "doubled");
    assert_eq!(stage.tell(copied(7)), [], "from a worker that is not there");
    assert_eq!(stage.drops(&[0]), [free(0, 0), free(1, 0), Action::Forget { task: task(0) }]);
    assert_eq!(stage.tell(copied(1)), [free(1, 0)]);
}

#[test]
fn an_upload_ends_when_its_bytes_arrive() {
    let mut stage = Stage::new(&[1]);
    let upload = TaskSpec { function: None, ..kept(0, &[]) };
    assert_eq!(stage.submit([upload, kept(1, &[0])]), []);
    let arrived = Event::ValueUploaded { task: task(0), size: 5 };
    let actions = stage.tell(arrived.clone());
    assert_eq!((announced(&actions), dispatched(&actions)), (vec![(0, vec![])], vec![(0, 1, 1)]));
    assert_eq!(stage.tell(arrived), [], "doubled");
    let unknown = Event::ValueUploaded { task: task(9), size: 5 };
    assert_eq!(stage.tell(unknown), [Action::FreeAtMaster { value: value(9) }]);
}
