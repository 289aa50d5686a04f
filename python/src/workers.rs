//! The workers of a cluster as Python sees them.
use quiltwork::WorkerInfo;

/// A worker: its number, process id, node, slots, bytes of memory, attempts that run, bytes of values it holds, and whether
/// it runs functions in Python.
pub(crate) type Row = (u32, u32, Option<u64>, u32, u64, u32, u64, bool);

pub(crate) fn rows(workers: &[WorkerInfo]) -> Vec<Row> {
    workers.iter().map(row).collect()
}

fn row(info: &WorkerInfo) -> Row {
    let WorkerInfo { worker, pid, node, capacity, running, held_bytes, any_python, .. } = info;
    (worker.0, *pid, node.map(|node| node.0), capacity.slots, capacity.memory, *running, *held_bytes, *any_python)
}
