//! The workers of a cluster as Python sees them.
use quiltwork::WorkerInfo;

/// A worker: its number, process id, node, slots, bytes of memory, whether it runs functions in Python, attempts that run,
/// and bytes of values it holds.
pub(crate) type Row = (u32, u32, Option<u64>, u32, u64, bool, u32, u64);

pub(crate) fn rows(workers: &[WorkerInfo]) -> Vec<Row> {
    workers.iter().map(row).collect()
}

fn row(info: &WorkerInfo) -> Row {
    let WorkerInfo { worker, pid, node, capacity, any_python, running, held_bytes, .. } = info;
    (worker.0, *pid, node.map(|node| node.0), capacity.slots, capacity.memory, *any_python, *running, *held_bytes)
}
