//! What is accepted, what is refused and what is said about it.
use crate::stage::*;
use quiltwork_scheduler::Action;
use quiltwork_types::{FailureKind, JobId, NamedResource, Resources, TaskId, TaskSpec, TaskState, ValueId};

#[test]
fn tasks_that_cannot_be_carried_out_are_refused_with_the_reason() {
    let foreign = ValueId::of(TaskId { job: JobId(4), index: 0 });
    let gpu = || NamedResource { name: "gpu".into(), amount: 1 };
    let twice = Resources { named: Box::new([gpu(), gpu()]), ..Resources::default() };
    let cases = [
        (kept(0, &[1]), "its input value 0.1:0 is not known"),
        (kept(0, &[0]), "its input value 0.0:0 is not known"),
        (TaskSpec { inputs: Box::new([foreign]), ..kept(0, &[]) }, "its input value 4.0:0 belongs to another job"),
        (TaskSpec { inputs: Box::new([ValueId { output: 1, ..value(0) }]), ..kept(0, &[]) }, "a task has one output"),
        (TaskSpec { resources: twice, ..kept(0, &[]) }, "it asks for the resource `gpu` twice"),
        (kept(1_000_001, &[]), "its number leaves out more than 1000000 others"),
    ];
    for (spec, reason) in cases {
        let mut stage = Stage::new(&[1]);
        let failures = failures(&stage.submit([spec]));
        let [(_, failure)] = &failures[..] else { panic!("{reason}: {failures:?}") };
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.contains(reason), "{} should say {reason}", failure.message);
        assert!(failure.hint.is_some());
    }
}

#[test]
fn the_hint_says_that_a_cycle_cannot_be_submitted() {
    let mut stage = Stage::new(&[1]);
    let failures = failures(&stage.submit([kept(0, &[1]), kept(1, &[0])]));
    let origins: Vec<_> = failures.iter().map(|(index, failure)| (*index, failure.origin)).collect();
    assert_eq!(origins, [(0, task(0)), (1, task(0))]);
    assert!(failures[0].1.hint.as_ref().is_some_and(|hint| hint.contains("cycle")), "{failures:?}");
}

#[test]
fn a_number_used_twice_keeps_its_first_meaning() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[])]);
    assert_eq!(stage.submit([kept(0, &[]), kept(0, &[7])]), []);
    stage.finishes_inline(0, 0, 1);
    stage.drops(&[0]);
    assert_eq!(stage.submit([kept(0, &[])]), [], "not even when it is forgotten");
    assert_eq!(stage.scheduler.task_count(), 0);
}

#[test]
fn numbers_may_come_with_gaps_and_out_of_order() {
    let mut stage = Stage::new(&[4]);
    assert_eq!(dispatched(&stage.submit([kept(5, &[]), kept(2, &[])])), [(0, 5, 1), (0, 2, 1)]);
    assert_eq!(dispatched(&stage.submit([kept(3, &[])])), [(0, 3, 1)]);
    stage.drops(&[5, 2]);
    assert_eq!(dispatched(&stage.submit([kept(0, &[])])), [(0, 0, 1)]);
}

#[test]
fn gaps_do_not_add_up_without_a_limit() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(900_000, &[])]);
    assert_eq!(failed(&stage.submit([kept(1_800_000, &[])])), [(1_800_000, FailureKind::Refused)]);
}

#[test]
fn a_failed_input_fails_the_task_with_the_first_failure() {
    let mut stage = Stage::new(&[1]);
    stage.submit([TaskSpec { name: Some("load".into()), ..kept(0, &[]) }]);
    stage.fails(0, 0, 1, FailureKind::BadArgument);
    let failures = failures(&stage.submit([kept(1, &[0])]));
    let [(1, failure)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((failure.kind, failure.origin, &*failure.name), (FailureKind::BadArgument, task(0), "load"));
}

#[test]
fn a_task_without_a_reference_runs_once_for_its_effect() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(dispatched(&stage.submit([unkept(0, &[])])), [(0, 0, 1)]);
    assert_eq!(stage.fails(0, 0, 1, FailureKind::Error), [Action::Forget { task: task(0) }]);
}

#[test]
fn states_are_known_while_the_record_is() {
    let mut stage = Stage::new(&[]);
    stage.submit([kept(0, &[]), kept(1, &[0])]);
    assert_eq!((stage.state(0), stage.state(1)), (Some(TaskState::Queued), Some(TaskState::Waiting)));
    stage.cancels(&[0]);
    stage.drops(&[0, 1]);
    assert_eq!(stage.state(0), None);
}
