//! Measures the scheduler alone: nanoseconds an event, bytes a queued task, and how near its plans come to the best.
//!
//! Run it: `cargo bench -p quiltwork-scheduler-bench --bench scheduler` (`-- --quick` leaves out the million, `-- tree 1000000
//! 30` measures one row). It prints a Markdown table. A history is made once and told again to new schedulers, so that nothing
//! but `handle` is measured.
use cap::Cap;
use quiltwork_scheduler::Action;
use quiltwork_scheduler_bench::{Graph, History, World, joined, submissions};
use quiltwork_types::Time;
use std::alloc::System;
use std::time::Instant;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

const WORKERS: [u32; 3] = [2, 30, 1_000];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let only: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let is_wanted = |place: usize, what: &str| only.get(place).is_none_or(|wanted| *wanted == what);
    let sizes: &[u32] = if quick { &[1_000, 100_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    println!("| graph | tasks | workers | ns an event | ns a task | bytes a queued task | makespan / least |");
    println!("|---|---|---|---|---|---|---|");
    for &tasks in sizes.iter().filter(|size| is_wanted(1, &size.to_string())) {
        for (name, graph) in Graph::shapes(tasks).into_iter().filter(|(name, _)| is_wanted(0, name)) {
            for workers in WORKERS.into_iter().filter(|count| is_wanted(2, &count.to_string())) {
                println!("{}", row(name, &graph, workers));
            }
        }
    }
}

fn row(name: &str, graph: &Graph, workers: u32) -> String {
    let history = World::new(workers).run(graph);
    let least = graph.least_makespan(workers);
    let quality = history.makespan.as_secs_f64() / least.as_secs_f64();
    let (events, tasks) = (history.len() as f64, f64::from(graph.len()));
    let nanos = nanos(history, graph.len());
    let bytes = bytes_queued(graph, workers) / tasks;
    let count = graph.len();
    format!(
        "| {name} | {count} | {workers} | {:.0} | {:.0} | {bytes:.0} | {quality:.3} |",
        nanos / events,
        nanos / tasks
    )
}

/// How long it takes to tell a scheduler all of it: the median of some times, more of a short history.
fn nanos(history: History, tasks: u32) -> f64 {
    let times = (1_000_000 / tasks).clamp(1, 5);
    let mut measured: Vec<f64> = (1..times).map(|_| tell(history.events.clone())).collect();
    measured.push(tell(history.events));
    measured.sort_by(f64::total_cmp);
    measured[measured.len() / 2]
}

fn tell(events: Vec<(Time, quiltwork_scheduler::Event)>) -> f64 {
    let mut scheduler = joined(0);
    let mut actions: Vec<Action> = Vec::new();
    let began = Instant::now();
    for (now, event) in events {
        scheduler.handle(now, event, &mut actions);
        actions.clear();
    }
    began.elapsed().as_secs_f64() * 1e9
}

/// What the scheduler holds when everything is submitted and nothing has run.
fn bytes_queued(graph: &Graph, workers: u32) -> f64 {
    let mut scheduler = joined(workers);
    let before = MEMORY.allocated();
    for event in submissions(graph) {
        scheduler.handle(Time::ZERO, event, &mut Vec::new());
    }
    (MEMORY.allocated() - before) as f64
}
