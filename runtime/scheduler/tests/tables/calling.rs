//! Actors and their calls: where they live, in which order calls go, what becomes of both when a worker is lost.
use crate::stage::*;
use quiltwork_scheduler::{Action, Config, Event};
use quiltwork_types::{
    ActorName, ActorOptions, FailureKind, JobId, NamedResource, Resources, TaskId, TaskRole, TaskSpec, TaskState,
    ValueId, WorkerId,
};

const OTHER_JOB: JobId = JobId(1);

fn actor_with(index: u32, options: ActorOptions) -> TaskSpec {
    TaskSpec { role: TaskRole::Actor(Box::new(options)), ..kept(index, &[]) }
}

/// An actor that may be made again so often.
fn actor(index: u32, max_restarts: u32) -> TaskSpec {
    actor_with(index, ActorOptions { max_restarts: Some(max_restarts), ..ActorOptions::default() })
}

fn named(index: u32, or_existing: bool) -> TaskSpec {
    actor_with(index, ActorOptions { name: Some("counter".into()), or_existing, ..ActorOptions::default() })
}

/// A call of actor 0 in a lane, over the values of `inputs`.
fn call(index: u32, lane: u32, inputs: &[u32]) -> TaskSpec {
    TaskSpec { role: TaskRole::Call { actor: task(0), lane }, ..kept(index, inputs) }
}

/// A task of another job that stands for an actor.
fn reference(index: u32, actor: ActorName) -> TaskSpec {
    let id = TaskId { job: OTHER_JOB, index };
    TaskSpec { id, function: None, role: TaskRole::Reference(actor), ..kept(index, &[]) }
}

/// A stage on whose worker 0 actor 0 lives, with a free worker 1 if there are two.
fn with_actor(workers: &[u32], actor: TaskSpec) -> Stage {
    let mut stage = Stage::new(workers);
    assert_eq!(dispatched(&stage.submit([actor])), [(0, 0, 1)]);
    assert_eq!(announced(&stage.finishes(0, 0, 1)), [(0, vec![0])]);
    stage
}

/// For which actor each dispatched call was sent.
fn called(actions: &[Action]) -> Vec<Option<TaskId>> {
    let call = |action: &Action| match action {
        Action::Dispatch { actor, .. } => Some(*actor),
        _ => None,
    };
    actions.iter().filter_map(call).collect()
}

fn resolved(actions: &[Action]) -> Vec<(TaskId, TaskId)> {
    let resolve = |action: &Action| match action {
        Action::Resolve { task, actor } => Some((*task, *actor)),
        _ => None,
    };
    actions.iter().filter_map(resolve).collect()
}

#[test]
fn calls_go_to_where_the_actor_lives_in_the_order_of_submission_and_take_no_slot() {
    let mut stage = with_actor(&[1, 1], actor(0, 0));
    // The actor's worker is full of something else.
    stage.submit([kept(1, &[]), kept(2, &[])]);
    let calls = stage.submit((3..6).map(|index| call(index, 0, &[])).collect::<Vec<_>>());
    assert_eq!(dispatched(&calls), [(0, 3, 1), (0, 4, 1), (0, 5, 1)]);
    assert_eq!(called(&calls), [Some(task(0)); 3]);
    let overview: Vec<_> = stage.scheduler.workers().map(|worker| (worker.assigned, worker.actors)).collect();
    assert_eq!(overview, [(1, 1), (1, 0)]);
    assert_eq!(announced(&stage.finishes_inline(0, 4, 1)), [(4, vec![])]);
}

#[test]
fn calls_wait_until_the_actor_has_been_made_and_fail_with_its_constructor() {
    let mut stage = Stage::new(&[1]);
    assert_eq!(dispatched(&stage.submit([actor(0, 0), call(1, 0, &[]), call(2, 1, &[])])), [(0, 0, 1)]);
    assert_eq!(dispatched(&stage.finishes(0, 0, 1)), [(0, 1, 1), (0, 2, 1)]);
    let mut stage = Stage::new(&[1]);
    stage.submit([actor(0, 0), call(1, 0, &[])]);
    let failed_with = failed(&stage.fails(0, 0, 1, FailureKind::Error));
    assert_eq!(failed_with, [(0, FailureKind::Error), (1, FailureKind::Error)]);
}

#[test]
fn a_call_that_waits_for_an_input_holds_up_its_lane_and_no_other() {
    let mut stage = with_actor(&[1, 1], actor(0, 0));
    let calls = stage.submit([kept(1, &[]), call(2, 0, &[1]), call(3, 0, &[]), call(4, 7, &[])]);
    let (maker, sent): (Vec<_>, Vec<_>) = dispatched(&calls).into_iter().partition(|&(_, index, _)| index == 1);
    assert_eq!(sent, [(0, 4, 1)]);
    let (worker, ..) = maker[0];
    assert_eq!(dispatched(&stage.finishes_inline(worker, 1, 1)), [(0, 2, 1), (0, 3, 1)]);
}

#[test]
fn a_call_with_something_to_fetch_holds_its_lane_until_it_has_begun() {
    let mut stage = with_actor(&[1, 1], actor(0, 0));
    let (worker, ..) = dispatched(&stage.submit([kept(1, &[])]))[0];
    stage.finishes(worker, 1, 1);
    let calls = stage.submit([call(2, 0, &[1]), call(3, 0, &[]), call(4, 1, &[])]);
    assert_eq!(dispatched(&calls), [(0, 2, 1), (0, 4, 1)]);
    assert_eq!(dispatched(&stage.starts(0, 2, 1)), [(0, 3, 1)]);
    // One that comes back goes first again.
    let calls = stage.submit([call(5, 0, &[1]), call(6, 0, &[])]);
    assert_eq!(dispatched(&calls), [(0, 5, 1)]);
    let missing = vec![(value(1), WorkerId(9))];
    let back = stage.tell(Event::InputsMissing { worker: WorkerId(0), attempt: attempt(5, 1), missing });
    assert_eq!(dispatched(&back), [(0, 5, 2)]);
    assert_eq!(dispatched(&stage.finishes_inline(0, 5, 2)), [(0, 6, 1)]);
}

#[test]
fn no_more_calls_are_sent_than_the_window_takes() {
    let mut stage = Stage::with(Config { actor_window: 2, ..Config::default() }, &[1]);
    stage.submit([actor(0, 0)]);
    stage.finishes(0, 0, 1);
    assert_eq!(dispatched(&stage.submit((1..6).map(|index| call(index, 0, &[])).collect::<Vec<_>>())).len(), 2);
    assert_eq!(dispatched(&stage.finishes_inline(0, 1, 1)), [(0, 3, 1)]);
    assert_eq!(dispatched(&stage.cancels(&[2])), [(0, 4, 1)]);
}

#[test]
fn a_call_too_many_fails_at_once_and_harms_nobody() {
    let options = ActorOptions { max_pending: Some(2), ..ActorOptions::default() };
    let mut stage = with_actor(&[1], actor_with(0, options));
    let calls = stage.submit([call(1, 0, &[]), call(2, 0, &[]), call(3, 0, &[])]);
    assert_eq!(failed(&calls), [(3, FailureKind::ActorFull)]);
    stage.finishes_inline(0, 1, 1);
    assert_eq!(failed(&stage.submit([call(4, 0, &[])])), []);
}

#[test]
fn a_lost_actor_is_made_again_and_what_was_with_it_is_said_to_be_lost() {
    let mut stage = with_actor(&[1, 1], actor(0, 1));
    stage.submit([call(1, 0, &[]), TaskSpec { retries: 1, ..call(2, 0, &[]) }]);
    let lost = stage.loses(0);
    assert_eq!(failed(&lost), [(1, FailureKind::ActorLost)]);
    assert_eq!(dispatched(&lost), [(1, 0, 2)]);
    assert_eq!(dispatched(&stage.submit([call(3, 0, &[])])), []);
    // What may run again goes first, as it was first.
    assert_eq!(dispatched(&stage.finishes(1, 0, 2)), [(1, 2, 2), (1, 3, 1)]);
    // No restart is left.
    let failures = failures(&stage.loses(1));
    let kinds: Vec<_> = failures.iter().map(|(index, failure)| (*index, failure.kind)).collect();
    let died = FailureKind::ActorDied;
    assert_eq!(kinds, [(0, died), (3, died), (2, died)]);
    assert_eq!(failures[0].1.details.len(), 2, "{:?}", failures[0].1);
    assert_eq!(failed(&stage.submit([call(4, 0, &[])])), [(4, died)]);
}

#[test]
fn an_actor_that_nobody_holds_ends_behind_its_last_call() {
    let mut stage = with_actor(&[1], actor(0, 5));
    stage.submit([call(1, 0, &[])]);
    assert_eq!(stage.drops(&[0]), []);
    let last = stage.finishes_inline(0, 1, 1);
    assert!(last.contains(&free(0, 0)), "{last:?}");
    assert_eq!(forgotten(&last), [0]);
    let overview: Vec<_> = stage.scheduler.workers().map(|worker| worker.actors).collect();
    assert_eq!(overview, [0]);
}

#[test]
fn a_killed_actor_fails_all_its_calls_and_those_that_come() {
    let mut stage = with_actor(&[1, 1], actor(0, 5));
    stage.submit([kept(1, &[]), call(2, 0, &[]), call(3, 0, &[1])]);
    let killed = stage.cancels(&[0]);
    assert!(killed.contains(&free(0, 0)) && killed.contains(&cancel(0, attempt(2, 1))), "{killed:?}");
    let mut kinds = failed(&killed);
    kinds.sort_unstable_by_key(|&(index, _)| index);
    assert_eq!(kinds, [0, 2, 3].map(|index| (index, FailureKind::ActorDied)));
    assert_eq!(failed(&stage.submit([call(4, 0, &[])])), [(4, FailureKind::ActorDied)]);
    assert_eq!(stage.state(1), Some(TaskState::Assigned));
}

#[test]
fn an_actor_that_is_killed_before_it_was_made_has_died_all_the_same() {
    let mut stage = Stage::new(&[1]);
    stage.submit([actor(0, 5), call(1, 0, &[])]);
    let killed = stage.cancels(&[0]);
    assert!(killed.contains(&cancel(0, attempt(0, 1))), "{killed:?}");
    assert_eq!(failed(&killed), [0, 1].map(|index| (index, FailureKind::ActorDied)));
    assert_eq!(failed(&stage.submit([call(2, 0, &[])])), [(2, FailureKind::ActorDied)]);
}

#[test]
fn a_task_that_has_a_handle_of_it_may_go_on_without_the_actor() {
    let mut stage = with_actor(&[1, 1], actor(0, 0));
    let holder = dispatched(&stage.submit([kept(1, &[0])]))[0];
    assert_eq!(failed(&stage.cancels(&[0])), [(0, FailureKind::ActorDied)]);
    assert_eq!(announced(&stage.finishes_inline(holder.0, 1, 1)), [(1, vec![])]);
    assert_eq!(failed(&stage.submit([kept(2, &[0])])), [(2, FailureKind::ActorDied)]);
}

#[test]
fn a_reference_of_another_job_holds_the_actor_and_calls_it() {
    let mut stage = Stage::new(&[1]);
    stage.submit([actor(0, 0)]);
    let other = TaskId { job: OTHER_JOB, index: 0 };
    assert_eq!(resolved(&stage.submit([reference(0, ActorName::Task(task(0)))])), []);
    assert_eq!(resolved(&stage.finishes(0, 0, 1)), [(other, task(0))]);
    assert_eq!(stage.drops(&[0]), []);
    let id = TaskId { job: OTHER_JOB, index: 1 };
    let through = TaskSpec { id, role: TaskRole::Call { actor: other, lane: 0 }, ..kept(1, &[]) };
    assert_eq!(called(&stage.submit([through.clone()])), [Some(task(0))]);
    // Nobody names what is another job's but by a reference.
    let id = TaskId { job: OTHER_JOB, index: 2 };
    let directly = TaskSpec { id, role: TaskRole::Call { actor: task(0), lane: 0 }, ..through };
    assert_eq!(failed(&stage.submit([directly])), [(2, FailureKind::ActorDied)]);
    let closed = stage.tell(Event::JobClosed { job: OTHER_JOB, node: None });
    assert!(closed.contains(&free(0, 0)), "{closed:?}");
}

#[test]
fn an_actor_ends_with_the_job_that_made_it() {
    let mut stage = with_actor(&[1], actor(0, 5));
    let other = TaskId { job: OTHER_JOB, index: 0 };
    let id = TaskId { job: OTHER_JOB, index: 1 };
    let through = TaskSpec { id, role: TaskRole::Call { actor: other, lane: 0 }, ..kept(1, &[]) };
    stage.submit([reference(0, ActorName::Task(task(0))), through]);
    let closed = stage.tell(Event::JobClosed { job: JobId(0), node: None });
    let mut kinds = failed(&closed);
    kinds.sort_unstable_by_key(|&(index, _)| index);
    assert_eq!(kinds, [(0, FailureKind::ActorDied), (1, FailureKind::ActorDied)]);
    assert!(closed.contains(&free(0, 0)), "{closed:?}");
}

#[test]
fn a_name_is_one_actors_as_long_as_it_lives() {
    let mut stage = with_actor(&[1, 1], named(0, false));
    assert_eq!(failed(&stage.submit([named(1, false)])), [(1, FailureKind::Refused)]);
    assert_eq!(resolved(&stage.submit([named(2, true)])), [(task(2), task(0))]);
    let by_name = reference(0, ActorName::Given("counter".into()));
    assert_eq!(resolved(&stage.submit([by_name])), [(TaskId { job: OTHER_JOB, index: 0 }, task(0))]);
    assert_eq!(stage.drops(&[0]), []);
    // Whoever stands for it may end it for all.
    stage.cancels(&[2]);
    let nobody = reference(1, ActorName::Given("counter".into()));
    assert_eq!(failed(&stage.submit([nobody])), [(1, FailureKind::Refused)]);
    assert_eq!(dispatched(&stage.submit([named(3, false)])).len(), 1);
}

#[test]
fn an_actor_keeps_what_it_asked_for_as_long_as_it_lives() {
    let mut stage = Stage::new(&[]);
    let gpu = || Box::new([NamedResource { name: "gpu".into(), amount: 1 }]);
    stage.joins(0, Resources { slots: 1, memory: 10, named: gpu() });
    let wanted = Resources { slots: 1, memory: 6, named: gpu() };
    stage.submit([TaskSpec { resources: wanted.clone(), ..actor(0, 0) }]);
    stage.finishes(0, 0, 1);
    assert_eq!(dispatched(&stage.submit([TaskSpec { resources: wanted, ..kept(1, &[]) }, kept(2, &[])])), [(0, 2, 1)]);
    stage.finishes_inline(0, 2, 1);
    assert_eq!(dispatched(&stage.drops(&[0])), [(0, 1, 1)]);
}

#[test]
fn actors_spread_over_workers_that_are_equally_free() {
    let mut stage = with_actor(&[1, 1, 1], actor(0, 0));
    for (index, worker) in [(1, 1), (2, 2)] {
        assert_eq!(dispatched(&stage.submit([actor(index, 0)])), [(worker, index, 1)]);
        stage.finishes(worker, index, 1);
    }
}

#[test]
fn the_result_of_a_call_is_lost_with_its_holders_and_not_made_again() {
    let mut stage = with_actor(&[1, 1], actor(0, 5));
    stage.submit([call(1, 0, &[])]);
    assert_eq!(announced(&stage.finishes(0, 1, 1)), [(1, vec![0])]);
    let lost = stage.loses(0);
    assert_eq!(failed(&lost), [(1, FailureKind::ValueLost)]);
    assert_eq!(stage.state(1), Some(TaskState::Lost));
}

#[test]
fn a_call_asks_for_no_resources_of_its_own() {
    let mut stage = with_actor(&[1], actor(0, 0));
    let greedy = TaskSpec { resources: Resources { memory: 5, ..Resources::default() }, ..call(1, 0, &[]) };
    assert_eq!(failed(&stage.submit([greedy])), [(1, FailureKind::Refused)]);
}

#[test]
fn a_worker_that_does_not_have_its_actor_loses_it() {
    let mut stage = with_actor(&[1, 1], actor(0, 1));
    stage.submit([call(1, 0, &[])]);
    let missing = vec![(ValueId::of(task(0)), WorkerId(0))];
    let missed = stage.tell(Event::InputsMissing { worker: WorkerId(0), attempt: attempt(1, 1), missing });
    assert!(missed.contains(&free(0, 0)), "{missed:?}");
    let again = dispatched(&missed)[0];
    assert_eq!((again.1, again.2), (0, 2));
    assert_eq!(dispatched(&stage.finishes(again.0, 0, 2)), [(again.0, 1, 2)]);
}
