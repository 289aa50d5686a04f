//! Memory that runs short: who is given what meanwhile, and who is blamed when it runs out.
use crate::stage::*;
use quiltwork_scheduler::{Action, Config};
use quiltwork_types::{Chapter, FailureKind, Resources, TaskSpec, TaskState, WorkerId};

fn quick(index: u32) -> TaskSpec {
    TaskSpec { function: Some(QUICK), ..kept(index, &[]) }
}

/// How many deaths the story of a task counts.
fn deaths(stage: &Stage, index: u32) -> Vec<u32> {
    let story = stage.scheduler.story(task(index)).expect("it is kept");
    let deaths = story.iter().filter_map(|entry| match entry.chapter {
        Chapter::WorkerLost { deaths, .. } => Some(deaths),
        _ => None,
    });
    deaths.collect()
}

#[test]
fn a_pressed_worker_with_something_to_do_is_given_nothing_until_it_is_relieved() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[])]);
    assert_eq!(stage.presses(0), []);
    assert_eq!(stage.submit([kept(1, &[])]), [], "although a slot is free");
    assert_eq!(dispatched(&stage.relieves(0)), [(0, 1, 1)]);
}

#[test]
fn work_goes_on_one_by_one_if_every_worker_stays_pressed() {
    let mut stage = Stage::new(&[2, 2]);
    stage.presses(0);
    stage.presses(1);
    let tasks: Vec<_> = (0..4).map(|index| kept(index, &[])).collect();
    assert_eq!(dispatched(&stage.submit(tasks)), [(0, 0, 1), (1, 1, 1)]);
    assert_eq!(dispatched(&stage.finishes(0, 0, 1)), [(0, 2, 1)]);
    assert_eq!(dispatched(&stage.finishes(1, 1, 1)), [(1, 3, 1)]);
}

#[test]
fn an_attempt_that_waits_for_others_does_not_keep_them_from_a_pressed_worker() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[])]);
    stage.starts(0, 0, 1);
    stage.presses(0);
    assert_eq!(stage.submit([kept(1, &[]), kept(2, &[])]), []);
    assert_eq!(dispatched(&stage.lends(0, 0, 1)), [(0, 1, 1)]);
    assert_eq!(dispatched(&stage.finishes(0, 1, 1)), [(0, 2, 1)]);
}

#[test]
fn a_worker_with_memory_to_spare_comes_first() {
    let mut stage = Stage::new(&[1, 2]);
    stage.presses(0);
    assert_eq!(dispatched(&stage.submit([kept(0, &[]), kept(1, &[])])), [(1, 0, 1), (1, 1, 1)]);
    assert_eq!(dispatched(&stage.submit([kept(2, &[])])), [(0, 2, 1)], "everybody else is busy");
}

#[test]
fn what_waits_behind_the_running_attempts_is_asked_back() {
    let mut stage = Stage::new(&[1]).with_quick_function();
    let given = dispatched(&stage.submit((1..5).map(quick).collect::<Vec<_>>()));
    assert_eq!(given.len(), 4, "three are sent ahead");
    stage.starts(0, 1, 1);
    assert_eq!(recalled(&stage.presses(0)), [(0, 4), (0, 3), (0, 2)]);
    assert_eq!(stage.presses(0), [], "told twice");
    assert_eq!(stage.returns(0, 4, 1), [], "it waits for a worker");
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(1))), [(1, 4, 2)]);
    // The others were started before they heard of it.
    stage.starts(0, 2, 1);
    stage.relieves(0);
    assert_eq!(stage.presses(0), [], "what was asked back once is not asked back again");
}

#[test]
fn a_pressed_worker_takes_nothing_from_others() {
    for is_pressed in [false, true] {
        let mut stage = Stage::new(&[1, 1]).with_quick_function();
        assert_eq!(dispatched(&stage.submit([kept(5, &[])])), [(0, 5, 1)]);
        let given = dispatched(&stage.submit((1..5).map(quick).collect::<Vec<_>>()));
        assert_eq!(given, [(1, 1, 1), (1, 2, 1), (1, 3, 1), (1, 4, 1)]);
        if is_pressed {
            stage.presses(0);
        }
        assert_eq!(recalled(&stage.finishes(0, 5, 1)).is_empty(), is_pressed);
    }
}

#[test]
fn who_is_not_there_is_not_pressed() {
    let mut stage = Stage::new(&[]);
    assert_eq!(stage.presses(0), [], "told before it joins");
    stage.joins(0, Resources::slots(2));
    assert_eq!(dispatched(&stage.submit([kept(0, &[]), kept(1, &[])])).len(), 2);
    stage.presses(0);
    stage.loses(0);
    assert_eq!((stage.presses(0), stage.relieves(0)), (vec![], vec![]), "told after its end");
    let shown = |stage: &Stage| stage.scheduler.workers().map(|worker| worker.pressed).collect::<Vec<_>>();
    stage.joins(1, Resources::slots(2));
    assert_eq!(shown(&stage), [false]);
    stage.presses(1);
    assert_eq!(shown(&stage), [true]);
}

#[test]
fn only_the_newest_attempt_is_blamed_when_memory_runs_out() {
    let mut stage = Stage::new(&[2]);
    stage.submit([kept(0, &[]), kept(1, &[])]);
    stage.starts(0, 0, 1);
    stage.starts(0, 1, 1);
    assert_eq!(stage.runs_out_of_memory(0, 1, 1), []);
    assert_eq!((deaths(&stage, 0), deaths(&stage, 1)), (vec![0], vec![1]));
    assert_eq!(stage.loses(0), [], "the end of its process is no news");
    assert_eq!(dispatched(&stage.joins(1, Resources::slots(2))), [(1, 0, 2), (1, 1, 2)]);
    stage.runs_out_of_memory(1, 1, 2);
    assert_eq!(dispatched(&stage.joins(2, Resources::slots(2))), [(2, 0, 3)], "the other one must be alone by now");
    assert_eq!(dispatched(&stage.finishes(2, 0, 3)), [(2, 1, 3)]);
    assert_eq!(announced(&stage.finishes(2, 1, 3)), [(1, vec![2])]);
}

#[test]
fn nobody_is_blamed_if_the_named_attempt_is_not_there() {
    let mut stage = Stage::new(&[2, 1]);
    stage.submit([kept(0, &[]), kept(1, &[]), kept(2, &[])]);
    stage.finishes(0, 0, 1);
    stage.runs_out_of_memory(0, 1, 7);
    assert!((0..3).all(|index| deaths(&stage, index).iter().all(|&deaths| deaths == 0)));
}

#[test]
fn a_task_that_used_up_its_budget_fails_with_all_the_numbers() {
    let mut stage = Stage::with(Config { max_deaths: 2, ..Config::default() }, &[]);
    let room = Resources { slots: 1, memory: 256 << 20, named: Box::default() };
    let hog = TaskSpec { resources: Resources { memory: 100 << 20, ..Resources::default() }, ..kept(0, &[]) };
    stage.joins(3, room.clone());
    stage.submit([TaskSpec { name: Some("hog".into()), ..hog }]);
    stage.runs_out_of_memory(3, 0, 1);
    stage.joins(4, room);
    let failures = failures(&stage.runs_out_of_memory(4, 0, 2));
    let [(0, failure)] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((failure.kind, &*failure.name, failure.is_retryable()), (FailureKind::OutOfMemory, "hog", false));
    assert_eq!(failure.message, "worker w4 used 250 MiB of its 256 MiB while it ran; it had asked for 100 MiB");
    let line = |worker, number| {
        format!("worker w{worker}: used 250 MiB of its 256 MiB of memory; its newest was task 0.0 attempt {number}")
    };
    assert_eq!(failure.details, [line(3, 1), line(4, 2)]);
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("`.memory(…)`")), "{failure}");
}

#[test]
fn the_last_death_decides_what_the_failure_is_called() {
    let mut stage = Stage::new(&[1, 1, 1]);
    stage.submit([kept(0, &[])]);
    stage.runs_out_of_memory(0, 0, 1);
    stage.runs_out_of_memory(1, 0, 2);
    assert_eq!(failed(&stage.loses(2)), [(0, FailureKind::Poisoned)]);
}

#[test]
fn a_mate_inherits_what_a_worker_without_memory_held() {
    let mut stage = Stage::new(&[]);
    stage.joins_node(0, 1);
    stage.joins_node(1, 1);
    stage.submit([kept(0, &[])]);
    stage.finishes(0, 0, 1);
    stage.submit([kept(1, &[])]);
    let actions = stage.runs_out_of_memory(0, 1, 1);
    let expected =
        Action::Inherit { workers: vec![WorkerId(1)], from: WorkerId(0), heir: WorkerId(1), values: vec![value(0)] };
    assert_eq!(actions[0], expected);
    assert_eq!(stage.state(0), Some(TaskState::Finished));
}
