//! Workers that run what the scheduler sends them, in a time of their own. It keeps what it told the scheduler, so that the
//! same history can be told again to another one; it measures nothing.
use crate::graph::Graph;
use quiltwork_scheduler::{Action, Config, Event, Scheduler};
use quiltwork_types::{AttemptId, Epoch, FunctionId, JobId, Resources, TaskId, TaskSpec, Time, ValueId, WorkerId};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

const EPOCH: Epoch = Epoch(1);
const FUNCTION: FunctionId = FunctionId(1);
/// Tasks that are submitted together, unless told otherwise.
const BATCH: u32 = 1_000;
/// Bytes of a result that travels with its message.
const RESULT: u64 = 8;

/// What a scheduler was told, and how long the work took.
pub struct History {
    /// Every event with its time.
    pub events: Vec<(Time, Event)>,
    /// From the submission to the end of the last task.
    pub makespan: Duration,
}

impl History {
    /// Events, each task of a list counted as one.
    #[must_use]
    pub fn len(&self) -> usize {
        let count = |event: &Event| match event {
            Event::TasksSubmitted { tasks } => tasks.len(),
            Event::ReferencesDropped { tasks } => tasks.len(),
            _ => 1,
        };
        self.events.iter().map(|(_, event)| count(event)).sum()
    }

    /// Whether nothing was told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// A scheduler with workers of one slot each.
pub struct World {
    scheduler: Scheduler,
    workers: Vec<Worker>,
    /// When which worker is done.
    ends: BinaryHeap<Reverse<(Time, u32)>>,
    now: Time,
    history: Vec<(Time, Event)>,
    batch: u32,
}

#[derive(Default)]
struct Worker {
    running: Option<AttemptId>,
    waiting: VecDeque<AttemptId>,
}

/// A scheduler that so many workers have joined.
#[must_use]
pub fn joined(workers: u32) -> Scheduler {
    let mut scheduler = Scheduler::new(Config { epoch: EPOCH, ..Config::default() });
    for worker in 0..workers {
        scheduler.handle(Time::ZERO, join(worker), &mut Vec::new());
    }
    scheduler
}

/// The events by which a graph is submitted, made one by one.
pub fn submissions(graph: &Graph) -> impl Iterator<Item = Event> + '_ {
    in_batches(graph, BATCH)
}

fn in_batches(graph: &Graph, batch: u32) -> impl Iterator<Item = Event> + '_ {
    let ends = graph.ends();
    (0..graph.len()).step_by(batch as usize).map(move |first| {
        let last = graph.len().min(first + batch);
        Event::TasksSubmitted { tasks: (first..last).map(|task| spec(graph, task, ends[task as usize])).collect() }
    })
}

fn spec(graph: &Graph, task: u32, kept: bool) -> TaskSpec {
    let inputs = graph.inputs(task).iter().map(|&input| ValueId::of(id(input))).collect();
    TaskSpec { kept, ..TaskSpec::new(id(task), FUNCTION, inputs) }
}

fn id(task: u32) -> TaskId {
    TaskId { job: JobId(0), index: task }
}

fn join(worker: u32) -> Event {
    Event::WorkerJoined { worker: WorkerId(worker), capacity: Resources::slots(1), node: None }
}

impl World {
    /// A world with so many workers.
    #[must_use]
    pub fn new(workers: u32) -> Self {
        let scheduler = joined(0);
        let mut world = Self {
            scheduler,
            workers: Vec::new(),
            ends: BinaryHeap::new(),
            now: Time::ZERO,
            history: Vec::new(),
            batch: BATCH,
        };
        for worker in 0..workers {
            world.workers.push(Worker::default());
            world.tell(join(worker));
        }
        world
    }

    /// Submits so many tasks together.
    #[must_use]
    pub fn in_batches_of(self, batch: u32) -> Self {
        Self { batch, ..self }
    }

    /// Runs a graph from its submission until its values are let go.
    #[must_use]
    pub fn run(mut self, graph: &Graph) -> History {
        for event in in_batches(graph, self.batch) {
            self.act(graph, event);
        }
        while let Some(Reverse((time, worker))) = self.ends.pop() {
            self.now = time;
            self.end(graph, worker);
        }
        let makespan = self.now.since(Time::ZERO);
        let ends = graph.ends();
        let kept: Vec<TaskId> = (0..graph.len()).filter(|&task| ends[task as usize]).map(id).collect();
        for tasks in kept.chunks(BATCH as usize) {
            self.act(graph, Event::ReferencesDropped { tasks: tasks.to_vec() });
        }
        assert_eq!(self.scheduler.task_count(), 0, "every task ends and is let go");
        History { events: self.history, makespan }
    }

    /// The running attempt of a worker is over, and the next one begins.
    fn end(&mut self, graph: &Graph, worker: u32) {
        let attempt = self.workers[worker as usize].running.take().expect("whoever ends was running");
        self.begin_next(graph, worker);
        let ran = graph.run_time(attempt.task.index);
        let worker = WorkerId(worker);
        self.act(graph, Event::AttemptFinished { worker, attempt, epoch: EPOCH, size: RESULT, inline: true, ran });
    }

    fn begin_next(&mut self, graph: &Graph, worker: u32) {
        let at = &mut self.workers[worker as usize];
        if at.running.is_some() {
            return;
        }
        let Some(attempt) = at.waiting.pop_front() else { return };
        at.running = Some(attempt);
        self.ends.push(Reverse((self.now + graph.run_time(attempt.task.index), worker)));
        self.act(graph, Event::AttemptStarted { worker: WorkerId(worker), attempt });
    }

    fn act(&mut self, graph: &Graph, event: Event) {
        for action in self.tell(event) {
            match action {
                Action::Dispatch { worker, attempt, .. } => {
                    self.workers[worker.0 as usize].waiting.push_back(attempt);
                    self.begin_next(graph, worker.0);
                }
                Action::Recall { worker, attempt } => {
                    let waiting = &mut self.workers[worker.0 as usize].waiting;
                    if let Some(place) = waiting.iter().position(|other| *other == attempt) {
                        waiting.remove(place);
                        self.act(graph, Event::AttemptReturned { worker, attempt });
                    }
                }
                _ => {}
            }
        }
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.history.push((self.now, event.clone()));
        self.scheduler.handle(self.now, event, &mut actions);
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_graph_runs_to_its_end_and_no_faster_than_it_can() {
        for workers in [1, 3, 50] {
            for (name, graph) in Graph::shapes(600) {
                let history = World::new(workers).run(&graph);
                let least = graph.least_makespan(workers);
                assert!(history.makespan >= least, "{name} on {workers} workers was faster than possible");
                assert!(history.len() >= 3 * graph.len() as usize, "{name}: a task is submitted, started and finished");
            }
        }
    }

    #[test]
    fn a_history_told_again_is_the_same_history() {
        let graph = Graph::layered(500);
        let history = World::new(7).run(&graph);
        let mut scheduler = joined(0);
        let mut dispatched = 0;
        for (now, event) in history.events {
            let mut actions = Vec::new();
            scheduler.handle(now, event, &mut actions);
            dispatched += actions.iter().filter(|action| matches!(action, Action::Dispatch { .. })).count();
        }
        assert_eq!(scheduler.task_count(), 0);
        assert!(dispatched >= 500);
    }
}
