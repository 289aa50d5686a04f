//! Values a client writes into the area of its node: adopted by a worker there, and waiting for one if none is there.
use crate::stage::*;
use quiltwork_scheduler::{Action, Config, Event};
use quiltwork_types::{FailureKind, JobId, LossReason, NodeId, TaskFailure, TaskSpec, TaskState, ValueId, WorkerId};
use std::time::Duration;

const NODE: NodeId = NodeId(1);
const SIZE: u64 = 1_000;

/// These workers on one node, worker 9 on none.
fn node_of(workers: &[u32]) -> Stage {
    let mut stage = Stage::new(&[]);
    for &worker in workers {
        stage.joins_node(worker, NODE.0);
    }
    stage.joins(9, quiltwork_types::Resources::slots(1));
    stage
}

fn upload(index: u32) -> TaskSpec {
    TaskSpec { function: None, ..kept(index, &[]) }
}

fn puts(stage: &mut Stage, index: u32) -> Vec<Action> {
    stage.submit([upload(index)]);
    stage.tell(Event::ValueWritten { task: task(index), size: SIZE, node: NODE })
}

fn adopts(stage: &mut Stage, worker: u32, index: u32) -> Vec<Action> {
    stage.tell(Event::ValueCopied { value: value(index), worker: WorkerId(worker) })
}

fn refuses(stage: &mut Stage, worker: u32, index: u32) -> Vec<Action> {
    let failure = Box::new(TaskFailure::new(FailureKind::StoreFull, task(index), "no room"));
    stage.tell(Event::AdoptionFailed { worker: WorkerId(worker), value: value(index), failure })
}

fn loses_connection(stage: &mut Stage, worker: u32) -> Vec<Action> {
    stage.tell(Event::WorkerLost { worker: WorkerId(worker), reason: LossReason::ConnectionClosed("reset".into()) })
}

/// Who was asked to adopt what, and under whose names it may be.
fn asked(actions: &[Action]) -> Vec<(u32, u32, Vec<u32>)> {
    let adopt = |action: &Action| match action {
        Action::Adopt { worker, value, size: SIZE, formerly } => {
            Some((worker.0, value.task.index, formerly.iter().map(|worker| worker.0).collect()))
        }
        _ => None,
    };
    actions.iter().filter_map(adopt).collect()
}

/// Worker 0 alone on the node, with value 0 that it has adopted.
fn with_a_value() -> Stage {
    let mut stage = node_of(&[0]);
    puts(&mut stage, 0);
    assert_eq!(announced(&adopts(&mut stage, 0, 0)), [(0, vec![0])]);
    stage
}

#[test]
fn a_written_value_is_published_when_a_worker_of_its_node_has_adopted_it() {
    let mut stage = node_of(&[0]);
    assert_eq!(asked(&puts(&mut stage, 0)), [(0, 0, vec![])]);
    assert_eq!(dispatched(&stage.submit([kept(1, &[0])])), [], "it is nobody's yet");
    let actions = adopts(&mut stage, 0, 0);
    assert_eq!((announced(&actions), dispatched(&actions)), (vec![(0, vec![0])], vec![(0, 1, 1)]));
    assert_eq!(adopts(&mut stage, 0, 0), [], "a second report changes nothing");
    stage.finishes_inline(0, 1, 1);
    assert!(stage.drops(&[0, 1]).contains(&free(0, 0)));
    assert_eq!(stage.scheduler.task_count(), 0);
}

#[test]
fn many_values_are_adopted_by_all_workers_of_the_node() {
    let mut stage = node_of(&[0, 1, 2]);
    let adopters: Vec<_> =
        (0..6).flat_map(|index| asked(&puts(&mut stage, index))).map(|(worker, ..)| worker).collect();
    assert_eq!(adopters, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_failed_adoption_is_told_to_everybody_who_needs_the_value() {
    let mut stage = node_of(&[0]);
    puts(&mut stage, 0);
    stage.submit([kept(1, &[0])]);
    let failures = failed(&refuses(&mut stage, 0, 0));
    assert_eq!(failures, [(0, FailureKind::StoreFull), (1, FailureKind::StoreFull)]);
    assert_eq!(adopts(&mut stage, 0, 0), [free(0, 0)], "it was too late");
}

#[test]
fn only_the_worker_that_was_asked_can_refuse() {
    let mut stage = node_of(&[0, 1]);
    puts(&mut stage, 0);
    assert_eq!(refuses(&mut stage, 1, 0), []);
    adopts(&mut stage, 0, 0);
    assert_eq!(refuses(&mut stage, 0, 0), []);
}

#[test]
fn a_failed_upload_is_told_as_what_it_is() {
    let mut stage = Stage::new(&[1]);
    stage.submit([upload(0), kept(1, &[0])]);
    let failure = Box::new(TaskFailure::new(FailureKind::Refused, task(0), "it broke off"));
    let failures = failures(&stage.tell(Event::UploadFailed { task: task(0), failure }));
    let told: Vec<_> = failures.iter().map(|(index, failure)| (*index, failure.kind, &*failure.message)).collect();
    assert_eq!(told, [(0, FailureKind::Refused, "it broke off"), (1, FailureKind::Refused, "it broke off")]);
}

#[test]
fn nobody_adopts_what_is_not_wanted_any_more() {
    let mut stage = node_of(&[0]);
    puts(&mut stage, 0);
    stage.drops(&[0]);
    assert_eq!(adopts(&mut stage, 0, 0), [free(0, 0)]);
    assert_eq!(stage.scheduler.task_count(), 0);
}

#[test]
fn the_heir_of_a_worker_that_was_asked_is_asked_before_it_clears_up() {
    for lose in [Stage::loses, loses_connection] {
        let mut stage = node_of(&[0, 1]);
        puts(&mut stage, 0);
        let actions = lose(&mut stage, 0);
        assert_eq!(asked(&actions), [(1, 0, vec![0])]);
        assert!(matches!(actions[..], [Action::Adopt { .. }, Action::Inherit { .. }]), "{actions:?}");
        assert_eq!(announced(&adopts(&mut stage, 1, 0)), [(0, vec![1])]);
    }
}

#[test]
fn the_next_worker_of_the_node_is_asked_if_none_is_left() {
    let mut stage = node_of(&[0]);
    puts(&mut stage, 0);
    stage.loses(0);
    assert_eq!(asked(&puts(&mut stage, 1)), []);
    assert_eq!(asked(&stage.joins_node(5, 2)), [], "another node");
    let actions = stage.joins_node(6, NODE.0);
    assert_eq!(asked(&actions), [(6, 0, vec![0]), (6, 1, vec![])]);
    assert!(matches!(actions[2], Action::Inherit { .. }), "{actions:?}");
    assert_eq!(stage.scheduler.next_wakeup(), None);
    assert_eq!(announced(&adopts(&mut stage, 6, 0)), [(0, vec![6])]);
}

#[test]
fn a_value_no_worker_comes_for_is_lost_in_limited_time() {
    let adoption_patience = Duration::from_secs(3);
    let mut stage = Stage::with(Config { adoption_patience, ..Config::default() }, &[]);
    stage.joins_node(0, NODE.0);
    stage.loses(0);
    puts(&mut stage, 0);
    stage.submit([kept(1, &[0])]);
    let before = stage.now;
    let failures = failures(&stage.waits());
    assert_eq!(stage.now, before + adoption_patience);
    let told: Vec<_> = failures.iter().map(|(index, failure)| (*index, failure.kind)).collect();
    assert_eq!(told, [(0, FailureKind::ValueLost), (1, FailureKind::ValueLost)]);
    assert!(failures[0].1.message.contains("no worker came to it within 3s"), "{}", failures[0].1);
    assert_eq!(asked(&stage.joins_node(1, NODE.0)), []);
}

#[test]
fn the_last_process_of_a_node_leaves_its_uploads_to_the_next() {
    let mut stage = with_a_value();
    stage.submit([unkept(1, &[0])]);
    assert_eq!(failed(&stage.loses(0)), []);
    assert_eq!(stage.state(0), Some(TaskState::Waiting));
    let actions = stage.joins_node(1, NODE.0);
    assert_eq!(asked(&actions), [(1, 0, vec![0])]);
    let actions = adopts(&mut stage, 1, 0);
    assert_eq!((announced(&actions), dispatched(&actions)), (vec![(0, vec![1])], vec![(1, 1, 2)]));
}

#[test]
fn an_upload_that_a_lost_connection_takes_away_is_lost_at_once() {
    let mut stage = with_a_value();
    stage.submit([kept(1, &[0])]);
    stage.returns(0, 1, 1);
    let failures = failures(&loses_connection(&mut stage, 0));
    assert!(failures.iter().any(|(index, failure)| *index == 0 && failure.kind == FailureKind::ValueLost));
    assert!(failures[0].1.hint.is_some());
}

#[test]
fn a_mate_of_a_dead_process_adopts_its_uploads_and_nothing_counts_on_it_before() {
    let mut stage = with_a_value();
    stage.joins_node(1, NODE.0);
    stage.submit([kept(1, &[0])]);
    let actions = stage.loses(0);
    assert_eq!(asked(&actions), [(1, 0, vec![0])]);
    assert!(matches!(actions[..], [Action::Adopt { .. }, Action::Inherit { .. }]), "{actions:?}");
    let actions = adopts(&mut stage, 1, 0);
    assert_eq!((announced(&actions), dispatched(&actions)), (vec![(0, vec![1])], vec![(1, 1, 2)]));
}

#[test]
fn an_heir_that_dies_too_passes_on_that_it_may_not_have_come_to_adopt() {
    let mut stage = with_a_value();
    stage.joins_node(1, NODE.0);
    stage.loses(0);
    stage.loses(1);
    assert_eq!(asked(&stage.joins_node(2, NODE.0)), [(2, 0, vec![0, 1])]);
}

#[test]
fn an_upload_that_is_not_found_is_lost() {
    let mut stage = with_a_value();
    let missing = Event::ValueMissing { value: value(0), holder: WorkerId(0) };
    assert_eq!(failed(&stage.tell(missing)), [(0, FailureKind::ValueLost)]);
}

#[test]
fn a_copy_elsewhere_saves_an_upload_from_any_loss() {
    for lose in [Stage::loses, loses_connection] {
        let mut stage = with_a_value();
        stage.tell(Event::ValueCopied { value: value(0), worker: WorkerId(9) });
        assert_eq!(failed(&lose(&mut stage, 0)), []);
        assert_eq!(stage.state(0), Some(TaskState::Finished));
    }
}

#[test]
fn a_copy_that_is_reported_late_takes_the_place_of_what_was_left_behind() {
    let mut stage = with_a_value();
    stage.loses(0);
    assert_eq!(announced(&adopts(&mut stage, 9, 0)), [(0, vec![9])]);
    assert_eq!(stage.scheduler.next_wakeup(), None);
    assert_eq!(asked(&stage.joins_node(1, NODE.0)), []);
}

#[test]
fn an_upload_stays_as_long_as_something_may_be_made_from_it_again() {
    let mut stage = with_a_value();
    assert_eq!(dispatched(&stage.submit([kept(1, &[0])])), [(0, 1, 1)]);
    stage.finishes(0, 1, 1);
    assert_eq!(stage.drops(&[0]), [], "nobody needs it now");
    // Both values are gone from their worker; the upload waits for an adopter and what was made of it for the upload.
    stage.loses(0);
    stage.joins_node(1, NODE.0);
    assert_eq!(dispatched(&adopts(&mut stage, 1, 0)), [(1, 1, 2)]);
    stage.finishes_inline(1, 1, 2);
    let dropped = stage.drops(&[1]);
    assert_eq!(forgotten(&dropped), [1]);
}

#[test]
fn what_a_client_that_is_gone_has_written_is_cleared_away_by_somebody_of_its_node() {
    let close = |stage: &mut Stage| stage.tell(Event::JobClosed { job: JobId(0), node: Some(NODE) });
    let clear = |worker| Action::ClearAway { worker: WorkerId(worker), job: JobId(0) };
    let mut stage = node_of(&[0, 1]);
    puts(&mut stage, 0);
    let actions = close(&mut stage);
    assert_eq!(actions, [Action::Forget { task: task(0) }, clear(0)]);
    assert_eq!(close(&mut stage), [], "once");
    assert_eq!(adopts(&mut stage, 0, 0), [free(0, 0)]);

    let mut stage = node_of(&[]);
    assert_eq!(close(&mut stage), []);
    assert_eq!(stage.joins_node(1, NODE.0), [clear(1)]);
}

#[test]
fn what_a_lost_worker_was_to_clear_away_its_heir_does() {
    let clear = |worker| Action::ClearAway { worker: WorkerId(worker), job: JobId(0) };
    let mut stage = node_of(&[0, 1]);
    stage.tell(Event::JobClosed { job: JobId(0), node: Some(NODE) });
    assert_eq!(stage.loses(1).iter().filter(|action| **action == clear(0)).count(), 0);
    stage.joins_node(2, NODE.0);
    assert_eq!(stage.loses(0).last(), Some(&clear(2)));
    stage.loses(2);
    assert_eq!(stage.joins_node(3, NODE.0).last(), Some(&clear(3)));
}

#[test]
fn a_value_with_another_output_is_nobodys() {
    let mut stage = node_of(&[0]);
    puts(&mut stage, 0);
    let second = ValueId { output: 1, ..value(0) };
    let free = Action::Free { worker: WorkerId(0), value: second };
    assert_eq!(stage.tell(Event::ValueCopied { value: second, worker: WorkerId(0) }), [free]);
}
