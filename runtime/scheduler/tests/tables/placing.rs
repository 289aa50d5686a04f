//! Which worker gets what, in which order: slots, resources, the window, locality, lending, stealing, fairness.
use crate::stage::*;
use quiltwork_scheduler::{Config, Event};
use quiltwork_types::{NamedResource, Resources, TaskSpec, TaskState, ValueId, WorkerId};
use std::time::Duration;

fn quick(index: u32) -> TaskSpec {
    TaskSpec { function: Some(QUICK), ..kept(index, &[]) }
}

fn asks(index: u32, resources: Resources) -> TaskSpec {
    TaskSpec { resources, ..kept(index, &[]) }
}

#[test]
fn higher_priority_then_consumers_then_submission_order() {
    let mut stage = Stage::new(&[1]);
    let tasks = [kept(0, &[]), kept(1, &[]), kept(2, &[0]), TaskSpec { priority: 5, ..kept(3, &[]) }];
    let mut next = dispatched(&stage.submit(tasks));
    let mut order = Vec::new();
    while let Some((worker, index, number)) = next.pop() {
        order.push(index);
        next = dispatched(&stage.finishes(worker, index, number));
    }
    assert_eq!(order, [3, 0, 2, 1]);
}

#[test]
fn an_unknown_function_fills_slots_and_nothing_is_sent_ahead() {
    let mut stage = Stage::new(&[2]);
    let tasks: Vec<_> = (0..5).map(|index| kept(index, &[])).collect();
    assert_eq!(dispatched(&stage.submit(tasks)), [(0, 0, 1), (0, 1, 1)]);
}

#[test]
fn a_quick_function_is_sent_ahead_as_far_as_the_window_reaches() {
    let config = Config { window: Duration::from_micros(1_000), ..Config::default() };
    let mut stage = Stage::with(config, &[2]).with_quick_function();
    let tasks: Vec<_> = (1..100).map(quick).collect();
    // Two run; then, per slot, ten of 100 µs each fill the window of 1 ms.
    assert_eq!(dispatched(&stage.submit(tasks)).len(), 2 + 2 * 9 + 1);
}

#[test]
fn no_worker_is_given_more_than_the_limit() {
    let config = Config { window: Duration::from_secs(9), max_assigned: 7, ..Config::default() };
    let mut stage = Stage::with(config, &[1]).with_quick_function();
    assert_eq!(dispatched(&stage.submit((1..100).map(quick).collect::<Vec<_>>())).len(), 7);
}

#[test]
fn slots_memory_and_named_resources_are_reserved_until_the_end() {
    let gpu = |amount| -> Box<[_]> { Box::new([NamedResource { name: "gpu".into(), amount }]) };
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources { slots: 4, memory: 100, named: gpu(1) });
    let memory = |memory| Resources { memory, ..Resources::default() };
    let cases = [
        (asks(0, Resources::slots(3)), asks(1, Resources::slots(2))),
        (asks(2, memory(60)), asks(3, memory(60))),
        (
            asks(4, Resources { named: gpu(1), ..Resources::default() }),
            asks(5, Resources { named: gpu(1), ..Resources::default() }),
        ),
    ];
    for (first, second) in cases {
        let (one, two) = (first.id.index, second.id.index);
        assert_eq!(dispatched(&stage.submit([first, second])), [(0, one, 1)]);
        assert_eq!(dispatched(&stage.finishes_inline(0, one, 1)), [(0, two, 1)]);
        stage.finishes_inline(0, two, 1);
    }
}

#[test]
fn a_task_that_does_not_fit_keeps_no_smaller_one_waiting_for_other_resources() {
    let mut stage = Stage::new(&[]);
    stage.joins(0, Resources { slots: 3, memory: 100, named: Box::default() });
    let large = |index| asks(index, Resources { memory: 80, ..Resources::default() });
    assert_eq!(dispatched(&stage.submit([large(0), large(1), kept(2, &[])])), [(0, 0, 1), (0, 2, 1)]);
}

#[test]
fn a_large_task_gets_its_turn_in_a_stream_of_small_ones() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[]), kept(1, &[]), asks(2, Resources::slots(2)), kept(3, &[]), kept(4, &[])]);
    assert_eq!(stage.finishes(0, 0, 1).len(), 1, "announced; the free slot is kept for the large one");
    assert_eq!(dispatched(&stage.submit([TaskSpec { priority: 1, ..kept(5, &[]) }])), [(0, 5, 1)], "it ranks before");
    stage.finishes(0, 5, 1);
    assert_eq!(dispatched(&stage.finishes(0, 1, 1)), [(0, 2, 1)]);
    assert_eq!(dispatched(&stage.finishes(0, 2, 1)), [(0, 3, 1), (0, 4, 1)]);
}

#[test]
fn what_was_held_back_for_a_large_task_goes_on_when_that_is_cancelled() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[]), kept(1, &[]), asks(2, Resources::slots(2)), kept(3, &[])]);
    stage.finishes(0, 0, 1);
    assert_eq!(dispatched(&stage.cancels(&[2])), [(0, 3, 1)]);
}

#[test]
fn the_holder_of_most_bytes_wins() {
    let mut stage = Stage::new(&[1, 1, 1]);
    stage.submit([unkept(0, &[]), unkept(1, &[]), unkept(2, &[]), kept(3, &[0, 1, 2])]);
    for (index, size) in [(0, 10), (1, 9_000_000), (2, 500)] {
        let actions = stage.tell(finished(index, attempt(index, 1), size, false));
        if index == 2 {
            assert_eq!(dispatched(&actions), [(1, 3, 1)]);
        }
    }
}

#[test]
fn a_holder_that_is_busy_for_longer_than_moving_costs_is_left_alone() {
    let place = |size| {
        let mut stage = Stage::new(&[1]).with_quick_function();
        stage.submit([unkept(1, &[])]);
        stage.tell(finished(0, attempt(1, 1), size, false));
        stage.submit([unkept(2, &[]), kept(3, &[2])]);
        stage.tell(finished(0, attempt(2, 1), size, false));
        // Worker 0, the holder, runs the first consumer; worker 1 joins idle, and a quick second consumer comes.
        stage.joins(1, Resources::slots(1));
        dispatched(&stage.submit([TaskSpec { function: Some(QUICK), ..kept(4, &[2]) }]))
    };
    assert_eq!(place(1_000), [(1, 4, 1)], "moving a kilobyte is nothing");
    assert_eq!(place(900_000_000), [(0, 4, 1)], "moving 900 MB takes longer than the task in front");
}

#[test]
fn lent_slots_are_free_for_others_until_they_are_reclaimed() {
    let mut stage = Stage::new(&[1]);
    stage.submit([kept(0, &[]), kept(1, &[]), kept(2, &[])]);
    stage.starts(0, 0, 1);
    assert_eq!(dispatched(&stage.lends(0, 0, 1)), [(0, 1, 1)]);
    assert_eq!(stage.lends(0, 0, 1), [], "doubled");
    assert_eq!(stage.reclaims(0, 0, 1), []);
    assert_eq!(stage.reclaims(0, 0, 1), [], "doubled");
    assert_eq!(dispatched(&stage.finishes(0, 1, 1)), [], "the one that reclaimed has the slot");
    assert_eq!(dispatched(&stage.finishes(0, 0, 1)), [(0, 2, 1)]);
}

/// Worker 0 runs task 1 and has been sent 2 to 5 ahead; worker 1 has just joined.
fn somebody_is_idle() -> (Stage, Vec<quiltwork_scheduler::Action>) {
    let mut stage = Stage::new(&[1]).with_quick_function();
    stage.submit((1..6).map(quick).collect::<Vec<_>>());
    stage.starts(0, 1, 1);
    let actions = stage.joins(1, Resources::slots(1));
    (stage, actions)
}

#[test]
fn an_idle_worker_gets_half_of_the_surplus_newest_first() {
    let (mut stage, actions) = somebody_is_idle();
    assert_eq!(recalled(&actions), [(0, 5), (0, 4)]);
    assert_eq!(recalled(&stage.tell(Event::TimePassed)), [], "they are on their way");
    assert_eq!(dispatched(&stage.returns(0, 5, 1)), [(1, 5, 2)]);
}

#[test]
fn a_recalled_attempt_that_started_or_finished_stays_where_it_is() {
    let (mut stage, _) = somebody_is_idle();
    assert_eq!(dispatched(&stage.starts(0, 5, 1)), []);
    assert_eq!(announced(&stage.finishes(0, 5, 1)), [(5, vec![0])]);
    assert_eq!(announced(&stage.finishes(0, 4, 1)), [(4, vec![0])]);
}

#[test]
fn nothing_is_recalled_that_the_idle_worker_could_not_hold() {
    let mut stage = Stage::new(&[]);
    let with_memory = Resources { slots: 1, memory: 9, named: Box::default() };
    stage.joins(0, with_memory);
    let mut stage = stage.with_quick_function();
    let task = |index| TaskSpec { resources: Resources { memory: 1, ..Resources::default() }, ..quick(index) };
    assert_eq!(dispatched(&stage.submit((1..5).map(task).collect::<Vec<_>>())).len(), 4);
    assert_eq!(recalled(&stage.joins(1, Resources::slots(1))), []);
}

#[test]
fn workers_are_shown_as_they_are() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[]), kept(1, &[])]);
    stage.starts(0, 0, 1);
    stage.finishes(0, 1, 1);
    let [worker] = &stage.scheduler.workers().collect::<Vec<_>>()[..] else { panic!("one worker") };
    assert_eq!((worker.assigned, worker.running, worker.held_bytes), (1, 1, 1_000));
    assert_eq!(stage.state(0), Some(TaskState::Running));
    stage.tell(Event::ValueMissing { value: ValueId::of(task(1)), holder: WorkerId(0) });
    assert_eq!(stage.scheduler.workers().map(|worker| worker.held_bytes).collect::<Vec<_>>(), [0]);
}
