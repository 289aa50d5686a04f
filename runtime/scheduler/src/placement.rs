//! Which worker a ready task goes to, as a policy over candidates that all have room; it finds none and changes nothing.
use core::time::Duration;
use quiltwork_types::{TaskId, WorkerId};

/// A worker that has room for the task now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who.
    pub worker: WorkerId,
    /// How long the task would probably wait there for a slot; zero if one is free.
    pub expected_wait: Duration,
    /// Bytes of the task's inputs that would have to be moved there.
    pub bytes_to_move: u64,
    /// Bytes of its inputs that other workers of the same node hold: they need not move, only be mapped.
    pub bytes_to_map: u64,
}

/// Chooses the worker for a ready task.
pub trait Placement: Send {
    /// The index of the chosen candidate. The first one is the worker with the earliest expected start, the others
    /// hold inputs of the task or share a node with those that do; there is at least one. An index out of range means the first.
    fn choose(&self, task: TaskId, candidates: &[Candidate]) -> usize;
}

/// Bytes that need not move first, then expected start: takes the candidate where the task's function is probably
/// entered first, counting one second per `bytes_per_second` that must be moved.
#[derive(Clone, Copy, Debug)]
pub struct LeastMovement {
    /// How fast inputs are assumed to move between workers.
    pub bytes_per_second: u64,
    /// How fast a worker is assumed to map what another one of its node holds.
    pub mapped_per_second: u64,
}

impl Default for LeastMovement {
    /// 1 GB/s: the order of magnitude of a link between processes of one machine or of a 10 Gbit/s network. 50 GB/s:
    /// what the first look at mapped pages costs.
    fn default() -> Self {
        Self { bytes_per_second: 1_000_000_000, mapped_per_second: 50_000_000_000 }
    }
}

impl LeastMovement {
    fn cost_nanos(self, candidate: &Candidate) -> u128 {
        let nanos = |bytes: u64, per_second: u64| u128::from(bytes) * 1_000_000_000 / u128::from(per_second.max(1));
        let moving = nanos(candidate.bytes_to_move, self.bytes_per_second);
        candidate.expected_wait.as_nanos() + moving + nanos(candidate.bytes_to_map, self.mapped_per_second)
    }
}

impl Placement for LeastMovement {
    fn choose(&self, _task: TaskId, candidates: &[Candidate]) -> usize {
        let cheapest = candidates.iter().enumerate().min_by_key(|(_, candidate)| self.cost_nanos(candidate));
        cheapest.map_or(0, |(index, _)| index)
    }
}
