//! Poison: blame is counted per death, and suspects are kept apart until it is exact.
use crate::stage::*;
use quiltwork_scheduler::Event;
use quiltwork_types::{Chapter, FailureKind, LossReason, Resources, TaskSpec, WorkerId};

#[test]
fn three_deaths_poison_a_task_and_tell_its_history() {
    let mut stage = Stage::new(&[1, 1, 1]);
    stage.submit([TaskSpec { name: Some("boom".into()), ..kept(0, &[]) }, kept(1, &[0])]);
    stage.loses(0);
    stage.loses(1);
    let failures = failures(&stage.loses(2));
    let [(0, own), (1, inherited)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((own.kind, &*own.name, own.hint.is_some()), (FailureKind::Poisoned, "boom", true));
    let expected: Vec<_> = (0..3).map(|w| format!("worker w{w}: process ended: signal 9 (SIGKILL)")).collect();
    assert_eq!(own.details, expected);
    assert_eq!(inherited, own);
}

#[test]
fn leaving_is_not_dying() {
    let mut stage = Stage::new(&[1, 1, 1, 1]);
    stage.submit([kept(0, &[])]);
    for worker in 0..3 {
        stage.tell(Event::WorkerLost { worker: WorkerId(worker), reason: LossReason::Left });
    }
    assert_eq!(announced(&stage.finishes(3, 0, 4)), [(0, vec![3])]);
}

#[test]
fn a_result_clears_the_suspicion() {
    let mut stage = Stage::new(&[1, 1, 1, 1]);
    stage.submit([kept(0, &[])]);
    stage.loses(0);
    stage.loses(1);
    stage.finishes(2, 0, 3);
    assert_eq!(failed(&stage.loses(2)), [], "its value is lost, which is not its fault");
    assert_eq!(failed(&stage.loses(3)), [], "the first death since its result");
}

#[test]
fn one_death_asks_for_a_free_slot() {
    let mut stage = Stage::new(&[1]).with_quick_function();
    let quick = |index| TaskSpec { function: Some(QUICK), ..kept(index, &[]) };
    assert_eq!(dispatched(&stage.submit([quick(1), quick(2)])), [(0, 1, 1), (0, 2, 1)], "one is sent ahead");
    stage.loses(0);
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(1))), [(1, 1, 2)]);
    assert_eq!(dispatched(&stage.finishes_inline(1, 1, 2)), [(1, 2, 2)]);
}

#[test]
fn two_deaths_ask_for_a_worker_of_ones_own() {
    let mut stage = Stage::new(&[2, 2]);
    stage.submit([kept(0, &[])]);
    stage.loses(0);
    stage.loses(1);
    assert_eq!(dispatched(&stage.joins(2, Resources::slots(2))), [(2, 0, 3)]);
    assert_eq!(stage.submit([kept(1, &[])]), [], "the other slot stays empty");
    assert_eq!(dispatched(&stage.finishes(2, 0, 3)), [(2, 1, 1)]);
}

/// Task 0 is queued with two deaths behind it; there is no worker.
fn suspect_is_queued() -> Stage {
    let mut stage = Stage::new(&[1, 1]);
    stage.submit([kept(0, &[])]);
    stage.loses(0);
    stage.loses(1);
    stage
}

#[test]
fn a_suspect_does_not_join_others_and_gets_its_turn_although_there_is_more_to_do() {
    let mut stage = suspect_is_queued();
    stage.submit([TaskSpec { priority: 1, ..kept(1, &[]) }]);
    assert_eq!(dispatched(&stage.joins(2, Resources::slots(2))), [(2, 1, 1)]);
    assert_eq!(stage.submit([kept(2, &[])]), [], "its worker is kept free for the suspect");
    assert_eq!(dispatched(&stage.finishes(2, 1, 1)), [(2, 0, 3)]);
    assert_eq!(dispatched(&stage.finishes(2, 0, 3)), [(2, 2, 1)]);
}

#[test]
fn an_innocent_beside_a_killer_survives_it() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[]), kept(1, &[])]);
    stage.loses(0);
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(2))), [(1, 0, 2), (1, 1, 2)]);
    stage.loses(1);
    assert_eq!(dispatched(&stage.joins(2, Resources::slots(2))), [(2, 0, 3)]);
    assert_eq!(failed(&stage.loses(2)), [(0, FailureKind::Poisoned)]);
    assert_eq!(dispatched(&stage.joins(3, Resources::slots(2))), [(3, 1, 3)]);
    assert_eq!(announced(&stage.finishes(3, 1, 3)), [(1, vec![3])]);
}

#[test]
fn lending_counts_like_running() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    stage.starts(0, 0, 1);
    stage.lends(0, 0, 1);
    stage.loses(0);
    let story = stage.scheduler.story(task(0)).expect("it has a record");
    let died = Chapter::WorkerLost { worker: WorkerId(0), deaths: 1 };
    assert!(story.iter().any(|entry| entry.chapter == died), "{story:?}");
}

/// The parent waits for its child, the child must be alone, and there is one worker: it is the child's turn.
#[test]
fn a_suspect_may_join_an_attempt_that_waits_for_others_if_there_is_no_other_place() {
    let mut stage = suspect_is_queued();
    stage.submit([TaskSpec { priority: 1, ..kept(1, &[]) }]);
    assert_eq!(dispatched(&stage.joins(2, Resources::slots(1))), [(2, 1, 1)]);
    assert_eq!(stage.starts(2, 1, 1), []);
    assert_eq!(dispatched(&stage.lends(2, 1, 1)), [(2, 0, 3)]);
}
