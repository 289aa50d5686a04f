//! Which joined workers share a node, and what lost ones have left there; whose values are whose is known elsewhere.
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use quiltwork_types::{NodeId, WorkerId};

/// The nodes that have, or had, workers.
#[derive(Debug, Default)]
pub(crate) struct Nodes(BTreeMap<NodeId, Node>);

#[derive(Debug, Default)]
struct Node {
    /// Joined workers, by number.
    members: Vec<WorkerId>,
    /// Lost workers nobody of the node has cleared up after, because nobody was left.
    unclaimed: Vec<WorkerId>,
}

impl Nodes {
    /// A worker has joined; returns those it has to clear up after.
    pub(crate) fn join(&mut self, id: NodeId, worker: WorkerId) -> Vec<WorkerId> {
        let node = self.0.entry(id).or_default();
        let place = node.members.partition_point(|&member| member < worker);
        node.members.insert(place, worker);
        core::mem::take(&mut node.unclaimed)
    }

    /// A worker is gone; returns who is left.
    pub(crate) fn leave(&mut self, id: NodeId, worker: WorkerId) -> &[WorkerId] {
        let node = self.0.entry(id).or_default();
        node.members.retain(|&member| member != worker);
        if node.members.is_empty() {
            node.unclaimed.push(worker);
        }
        &node.members
    }

    /// The joined workers of a node.
    pub(crate) fn members(&self, id: NodeId) -> &[WorkerId] {
        self.0.get(&id).map_or(&[], |node| &node.members)
    }

    /// Whether these are exactly the joined workers with a node.
    pub(crate) fn are_right(&self, joined: impl Iterator<Item = (WorkerId, NodeId)>) -> bool {
        let mut count = 0;
        let mut is_known = |(worker, node): (WorkerId, NodeId)| {
            count += 1;
            self.members(node).contains(&worker)
        };
        let all_known = { joined }.all(&mut is_known);
        all_known && count == self.0.values().map(|node| node.members.len()).sum::<usize>()
    }
}
