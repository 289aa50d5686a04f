//! Large graphs: nothing recurses over the graph, nothing costs more than what it touches.
use crate::stage::*;
use quiltwork_scheduler::{Action, Config, Event, Scheduler};
use quiltwork_types::{FailureKind, Resources, TaskSpec, Time, WorkerId};

const MANY: u32 = 100_000;

/// A scheduler that is not checked after each event, which would take a hundred thousand times as long.
struct Quick(Scheduler);

impl Quick {
    fn new() -> Self {
        let mut quick = Self(Scheduler::new(Config { epoch: EPOCH, ..Config::default() }));
        quick.tell(Event::WorkerJoined { worker: WorkerId(0), capacity: Resources::slots(1), node: None });
        quick
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.0.handle(Time::ZERO, event, &mut actions);
        actions
    }

    fn submit(&mut self, tasks: Vec<TaskSpec>) -> Vec<Action> {
        self.tell(Event::TasksSubmitted { tasks })
    }
}

fn chain() -> Vec<TaskSpec> {
    (0..MANY).map(|index| if index == 0 { unkept(0, &[]) } else { unkept(index, &[index - 1]) }).collect()
}

/// Runs on a stack that a recursion over the chain could not survive.
fn on_a_small_stack(play: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(play);
    thread.expect("a thread can be started").join().expect("the play does not panic");
}

#[test]
fn a_long_chain_fails_in_one_event() {
    on_a_small_stack(|| {
        let mut quick = Quick::new();
        let mut tasks = chain();
        tasks.push(kept(MANY, &[MANY - 1]));
        quick.submit(tasks);
        let actions = quick.tell(Event::CancelRequested { tasks: vec![task(0)] });
        assert_eq!(failed(&actions), [(MANY, FailureKind::Cancelled)]);
        assert_eq!(quick.0.task_count(), 1);
        quick.0.check().expect("consistent");
    });
}

#[test]
fn a_long_lineage_is_recomputed_and_let_go() {
    on_a_small_stack(|| {
        let mut quick = Quick::new();
        let mut tasks = chain();
        tasks.push(kept(MANY, &[MANY - 1]));
        quick.submit(tasks);
        for index in 0..=MANY {
            quick.tell(finished(0, attempt(index, 1), 1, false));
        }
        assert_eq!(quick.0.task_count(), MANY as usize + 1);
        quick.tell(Event::WorkerLost { worker: WorkerId(0), reason: crashed() });
        let actions =
            quick.tell(Event::WorkerJoined { worker: WorkerId(1), capacity: Resources::slots(1), node: None });
        assert_eq!(dispatched(&actions), [(1, 0, 2)]);
        quick.0.check().expect("consistent");
        let actions = quick.tell(Event::ReferencesDropped { tasks: vec![task(MANY)] });
        assert_eq!(forgotten(&actions).len(), MANY as usize + 1);
        assert_eq!(quick.0.task_count(), 0);
    });
}

#[test]
fn a_wide_graph_runs_through() {
    let mut quick = Quick::new();
    let mut tasks: Vec<_> = (0..MANY).map(|index| unkept(index, &[])).collect();
    tasks.push(kept(MANY, &(0..MANY).collect::<Vec<_>>()));
    let mut next = dispatched(&quick.submit(tasks));
    let mut done = 0;
    while let Some((worker, index, number)) = next.pop() {
        done += 1;
        next.extend(dispatched(&quick.tell(finished(worker, attempt(index, number), 8, true))));
    }
    assert_eq!(done, MANY + 1);
    quick.0.check().expect("consistent");
}
