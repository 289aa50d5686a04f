//! Tasks that are bound to a worker or a node: run there or not at all.
use crate::stage::*;
use quiltwork_types::{FailureKind, NamedResource, NodeId, Resources, TaskSpec, TaskState, WorkerId};
use std::collections::BTreeSet;

/// Workers 0 and 1 on node 1, worker 2 on node 2, as the master lets them in.
fn cluster() -> Stage {
    let mut stage = Stage::new(&[]);
    for (worker, node) in [(0, 1), (1, 1), (2, 2)] {
        joins(&mut stage, worker, node);
    }
    stage
}

fn joins(stage: &mut Stage, worker: u32, node: u64) {
    let (worker, node) = (WorkerId(worker), Some(NodeId(node)));
    let capacity = Resources::slots(1).bound_to(worker, node);
    stage.tell(quiltwork_scheduler::Event::WorkerJoined { worker, capacity, node });
}

fn bound(index: u32, to: NamedResource) -> TaskSpec {
    TaskSpec { resources: Resources { named: Box::new([to]), ..Resources::default() }, ..kept(index, &[]) }
}

fn on_worker(index: u32, worker: u32) -> TaskSpec {
    bound(index, NamedResource::of_worker(WorkerId(worker)))
}

#[test]
fn a_bound_task_waits_for_its_place_and_keeps_others_from_nothing() {
    let mut stage = cluster();
    assert_eq!(dispatched(&stage.submit([on_worker(0, 1), on_worker(1, 1)])), [(1, 0, 1)]);
    assert_eq!(dispatched(&stage.submit([kept(2, &[]), bound(3, NamedResource::of_node(NodeId(2)))])).len(), 2);
    assert_eq!(stage.state(1), Some(TaskState::Queued));
    assert_eq!(dispatched(&stage.finishes_inline(1, 0, 1)), [(1, 1, 1)]);
}

#[test]
fn a_worker_that_is_not_there_fails_the_task_at_once() {
    let mut stage = cluster();
    let failures = failures(&stage.submit([on_worker(0, 7)]));
    let [(0, failure)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!(failure.kind, FailureKind::NoSuchResources);
    assert_eq!(failure.message, "it is bound to worker w7, which is not there (any more)");
    assert!(failure.hint.is_some());
}

#[test]
fn the_loss_of_the_worker_fails_what_is_bound_to_it_wherever_it_stands() {
    let mut stage = cluster();
    let waiting = TaskSpec { inputs: Box::new([value(2)]), ..on_worker(3, 0) };
    stage.submit([on_worker(0, 0), on_worker(1, 0), on_worker(2, 1), waiting]);
    let mut failures = failed(&stage.loses(0));
    failures.sort_unstable_by_key(|&(index, _)| index);
    assert_eq!(failures, [(0, FailureKind::NoSuchResources), (1, FailureKind::NoSuchResources)]);
    assert_eq!(failed(&stage.finishes_inline(1, 2, 1)), [(3, FailureKind::NoSuchResources)]);
}

#[test]
fn a_task_bound_to_several_workers_runs_on_one_of_them_and_fails_with_the_last() {
    let one_of = |index, workers: [u32; 2]| {
        bound(index, NamedResource::of_workers(&workers.into_iter().map(WorkerId).collect()))
    };
    let mut stage = cluster();
    let given = dispatched(&stage.submit([0, 1, 2].map(|index| one_of(index, [2, 1]))));
    assert_eq!(given.iter().map(|&(worker, ..)| worker).collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    assert_eq!((given.len(), stage.state(2)), (2, Some(TaskState::Queued)));
    stage.finishes_inline(1, given.iter().find(|&&(worker, ..)| worker == 1).map_or(9, |&(_, index, _)| index), 1);
    assert_eq!(stage.state(2), Some(TaskState::Assigned));
    assert_eq!(failed(&stage.loses(1)), []);
    let left = failures(&stage.loses(2));
    assert!(!left.is_empty());
    for (_, failure) in left {
        assert_eq!(failure.message, "it is bound to workers w1 or w2, none of which is there (any more)");
    }
}

#[test]
fn a_task_on_a_node_waits_for_the_next_worker_there() {
    let mut stage = cluster();
    stage.submit([bound(0, NamedResource::of_node(NodeId(2)))]);
    assert_eq!((failed(&stage.loses(2)), stage.state(0)), (vec![], Some(TaskState::Queued)));
    joins(&mut stage, 5, 2);
    assert_eq!(stage.state(0), Some(TaskState::Assigned));
}

#[test]
fn what_pretends_to_bind_is_taken_away_from_a_worker() {
    let claims = [NamedResource { name: "gpu".into(), amount: 2 }, NamedResource::of_worker(WorkerId(3))];
    let claimed = Resources { named: Box::new(claims), ..Resources::slots(1) };
    let bound = claimed.bound_to(WorkerId(8), Some(NodeId(4)));
    let names: Vec<_> = bound.named.iter().map(|resource| &*resource.name).collect();
    assert_eq!(names, ["gpu", "node:4", "worker:8"]);
    assert_eq!(bound.without_bindings().named.len(), 1);
}

/// A task of a mixed cluster, whose function is called so.
fn named(spec: TaskSpec, function: &str) -> TaskSpec {
    let ability = NamedResource::of_ability(function);
    TaskSpec { resources: Resources { named: Box::new([ability]), ..Resources::default() }, ..spec }
}

#[test]
fn a_task_waits_for_a_worker_that_can_run_it() {
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources::slots(1).able_to_run(["app::count"], false));
    assert_eq!(dispatched(&stage.submit([named(kept(0, &[]), "words:load")])), []);
    assert_eq!(dispatched(&stage.submit([named(kept(1, &[]), "app::count")])), [(0, 1, 1)]);
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(1).able_to_run([], true))), [(1, 0, 1)]);
}

#[test]
fn a_task_whose_workers_do_not_come_back_is_told_so() {
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources::slots(1).able_to_run(["app::count"], false));
    stage.submit([named(kept(0, &[]), "words:load")]);
    let failures = failures(&stage.waits());
    let [(0, failure)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!(failure.kind, FailureKind::NoSuchResources);
    assert_eq!(failure.message, "no worker is there (any more) whose program has its function");
}

#[test]
fn a_task_that_asks_too_much_of_those_that_can_run_it_fails_at_once() {
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources::slots(1).able_to_run(["app::count"], false));
    let mut large = named(kept(0, &[]), "app::count");
    large.resources.slots = 2;
    assert_eq!(failed(&stage.submit([large])), [(0, FailureKind::NoSuchResources)]);
    assert_eq!(stage.scheduler.next_wakeup(), None);
}

#[test]
fn a_task_that_is_bound_goes_to_one_of_those_that_can_run_it() {
    let bound_to = |index, workers: &[u32]| {
        let workers = workers.iter().copied().map(WorkerId).collect();
        let named = [NamedResource::of_ability("app::count"), NamedResource::of_workers(&workers)];
        TaskSpec { resources: Resources { named: Box::new(named), ..Resources::default() }, ..kept(index, &[]) }
    };
    let mut stage = Stage::new(&[]);
    for (worker, functions, any_python) in [(0, &["app::count"][..], false), (1, &[], true), (2, &[], true)] {
        let capacity = Resources::slots(1).bound_to(WorkerId(worker), None);
        stage.joins(worker, capacity.able_to_run(functions.iter().copied(), any_python));
    }
    assert_eq!(dispatched(&stage.submit([bound_to(0, &[0, 1])])), [(0, 0, 1)]);
    for (index, workers, said) in [
        (1, &[2][..], "it is bound to worker w2, whose program does not have its function"),
        (2, &[1, 2], "it is bound to workers w1 or w2, whose programs do not have its function or which are not there"),
    ] {
        let failures = failures(&stage.submit([bound_to(index, workers)]));
        let [(failed, failure)] = &failures[..] else { panic!("{failures:?}") };
        assert_eq!((*failed, &*failure.message), (index, said));
    }
}

#[test]
fn what_a_worker_can_run_keeps_no_other_task_waiting() {
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources::slots(1).able_to_run(["app::slow", "app::quick"], false));
    let mut stage = stage.with_quick_function();
    assert_eq!(dispatched(&stage.submit([named(kept(1, &[]), "app::slow")])), [(0, 1, 1)]);
    // The second slow one does not fit behind the first; a quick one does.
    assert_eq!(dispatched(&stage.submit([named(kept(2, &[]), "app::slow")])), []);
    let quick = TaskSpec { function: Some(QUICK), ..named(kept(3, &[]), "app::quick") };
    assert_eq!(dispatched(&stage.submit([quick])), [(0, 3, 1)]);
}

#[test]
fn a_bound_task_goes_ahead_only_to_its_own_worker() {
    let mut stage = cluster().with_quick_function();
    let quick = |index, worker, inputs: &[u32]| TaskSpec {
        function: Some(QUICK),
        inputs: inputs.iter().map(|&input| value(input)).collect(),
        ..on_worker(index, worker)
    };
    let tasks = [quick(1, 1, &[]), quick(2, 1, &[1]), quick(3, 2, &[2])];
    assert_eq!(dispatched(&stage.submit(tasks)), [(1, 1, 1), (1, 2, 1)]);
    stage.finishes_quickly(1, 1, 1);
    assert_eq!(dispatched(&stage.finishes_quickly(1, 2, 1)), [(2, 3, 1)]);
}
