//! What the workers of a node hold together: read where it is, passed on when one of them dies.
use crate::stage::{Stage, crashed, dispatched, kept, sources, task, unkept, value};
use quiltwork_scheduler::{Action, Event};
use quiltwork_types::{Chapter, LossReason, TaskState, WorkerId};

/// Workers 0 and 1 on one node, worker 2 on another one, worker 3 on none; one slot each.
fn two_nodes() -> Stage {
    let mut stage = Stage::new(&[]);
    stage.joins_node(0, 1);
    stage.joins_node(1, 1);
    stage.joins_node(2, 2);
    stage.joins(3, quiltwork_types::Resources::slots(1));
    stage
}

/// Worker 0 holds value 0, which the client keeps.
fn with_a_value() -> Stage {
    let mut stage = two_nodes();
    assert_eq!(dispatched(&stage.submit([kept(0, &[])])), [(0, 0, 1)]);
    stage.finishes(0, 0, 1);
    stage
}

/// Who was told, who is lost, who is the heir, how many values.
fn inherited(actions: &[Action]) -> Vec<(Vec<u32>, u32, u32, usize)> {
    let inherit = |action: &Action| match action {
        Action::Inherit { workers, from, heir, values } => {
            Some((workers.iter().map(|worker| worker.0).collect(), from.0, heir.0, values.len()))
        }
        _ => None,
    };
    actions.iter().filter_map(inherit).collect()
}

fn is_remade(stage: &Stage, index: u32) -> bool {
    let story = stage.scheduler.story(task(index)).expect("it is kept");
    story.iter().any(|entry| entry.chapter == Chapter::ValueLost)
}

#[test]
fn a_mate_inherits_what_a_dead_process_held_before_anything_counts_on_it() {
    let mut stage = with_a_value();
    stage.submit([kept(1, &[]), kept(2, &[0])]);
    let actions = stage.loses(0);
    assert_eq!(inherited(&actions), [(vec![1], 0, 1, 1)]);
    assert!(matches!(actions[0], Action::Inherit { .. }), "{actions:?}");
    assert!(!is_remade(&stage, 0));
    assert!(stage.drops(&[0, 1, 2]).iter().any(|action| matches!(action, Action::Cancel { .. })));
}

#[test]
fn the_heir_is_the_holder_from_then_on() {
    let mut stage = with_a_value();
    stage.loses(0);
    let actions = stage.submit([kept(1, &[0])]);
    assert_eq!(dispatched(&actions), [(1, 1, 1)], "where its input is");
    assert_eq!(sources(actions.last())[0].workers, [WorkerId(1)]);
    stage.finishes_inline(1, 1, 1);
    let freed = stage.drops(&[0]);
    assert!(freed.contains(&Action::Free { worker: WorkerId(1), value: value(0) }), "{freed:?}");
}

#[test]
fn when_the_heir_dies_too_the_next_one_inherits_and_without_any_it_is_remade() {
    let mut stage = with_a_value();
    stage.joins_node(4, 1);
    assert_eq!(inherited(&stage.loses(0)), [(vec![1, 4], 0, 1, 1)]);
    assert_eq!(inherited(&stage.loses(1)), [(vec![4], 1, 4, 1)]);
    assert!(!is_remade(&stage, 0));
    assert_eq!(inherited(&stage.loses(4)), []);
    assert!(is_remade(&stage, 0));
    assert_eq!(stage.state(0), Some(TaskState::Assigned));
    assert_eq!(inherited(&stage.joins_node(5, 1)), [(vec![5], 4, 5, 0)], "somebody must clear up");
    assert_eq!(inherited(&stage.joins_node(6, 1)), []);
}

#[test]
fn an_heir_that_does_not_find_the_value_has_it_remade() {
    let mut stage = with_a_value();
    stage.loses(0);
    stage.tell(Event::ValueMissing { value: value(0), holder: WorkerId(1) });
    assert!(is_remade(&stage, 0));
}

#[test]
fn a_lost_connection_passes_nothing_on_but_somebody_clears_up() {
    let mut stage = with_a_value();
    let reason = LossReason::ConnectionClosed("reset by peer".into());
    let actions = stage.tell(Event::WorkerLost { worker: WorkerId(0), reason });
    assert_eq!(inherited(&actions), [(vec![1], 0, 1, 0)]);
    assert!(is_remade(&stage, 0));
}

#[test]
fn a_copy_on_the_same_node_needs_no_heir() {
    let mut stage = with_a_value();
    stage.tell(Event::ValueCopied { value: value(0), worker: WorkerId(1) });
    assert_eq!(inherited(&stage.loses(0)), [(vec![1], 0, 1, 0)]);
    assert!(!is_remade(&stage, 0));
}

#[test]
fn a_worker_without_a_node_has_no_heir() {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    let actions = stage.tell(Event::WorkerLost { worker: WorkerId(0), reason: crashed() });
    assert_eq!(inherited(&actions), []);
    assert!(is_remade(&stage, 0));
}

#[test]
fn a_consumer_goes_to_a_free_mate_of_a_busy_holder_and_not_to_another_node() {
    let mut stage = with_a_value();
    // The holder is busy, and so is nobody else.
    assert_eq!(dispatched(&stage.submit([unkept(1, &[0])])), [(0, 1, 1)], "the holder itself is best");
    assert_eq!(dispatched(&stage.submit([unkept(2, &[0])])), [(1, 2, 1)], "a mate need not move anything");
}
