//! Which joined workers share a node, and what waits there for the next one; whose values are whose is known elsewhere.
use crate::task::Key;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use quiltwork_types::{JobId, NodeId, WorkerId};

/// Closed jobs that are remembered for each node. It is not heard whether a worker has cleared up after one, but in all
/// likelihood it has when there were so many more; at the latest it is done with the whole area.
const MOST_CLOSED: usize = 1024;

/// The nodes that have, or had, workers or clients.
#[derive(Debug, Default)]
pub(crate) struct Nodes(BTreeMap<NodeId, Node>);

#[derive(Debug, Default)]
struct Node {
    /// Joined workers, by number.
    members: Vec<WorkerId>,
    /// Values whose bytes are there and that nobody was left to adopt.
    orphans: BTreeSet<Key>,
    /// Lost workers nobody was left to clear up after.
    lost: Vec<WorkerId>,
    /// Jobs to clear up after, and who was asked to; nobody, if nobody was left. The latest last.
    closed: VecDeque<(JobId, Option<WorkerId>)>,
}

/// What nobody of a node has done, because nobody was left.
#[derive(Debug)]
pub(crate) struct Arrears {
    /// Values to be adopted.
    pub(crate) orphans: BTreeSet<Key>,
    /// Lost workers to clear up after.
    pub(crate) lost: Vec<WorkerId>,
    /// Jobs to clear up after.
    pub(crate) closed: Vec<JobId>,
}

impl Nodes {
    /// A worker has joined; returns what it has to do.
    pub(crate) fn join(&mut self, id: NodeId, worker: WorkerId) -> Arrears {
        let node = self.0.entry(id).or_default();
        let place = node.members.partition_point(|&member| member < worker);
        node.members.insert(place, worker);
        let (orphans, lost) = (core::mem::take(&mut node.orphans), core::mem::take(&mut node.lost));
        Arrears { orphans, lost, closed: node.ask_again(None, Some(worker)) }
    }

    /// A worker is gone; returns who is left.
    pub(crate) fn leave(&mut self, id: NodeId, worker: WorkerId) -> &[WorkerId] {
        let node = self.0.entry(id).or_default();
        node.members.retain(|&member| member != worker);
        if node.members.is_empty() {
            node.lost.push(worker);
        }
        &node.members
    }

    /// The joined workers of a node.
    pub(crate) fn members(&self, id: NodeId) -> &[WorkerId] {
        self.0.get(&id).map_or(&[], |node| &node.members)
    }

    /// A value is to be adopted by the next worker of the node.
    pub(crate) fn await_adopter(&mut self, id: NodeId, value: Key) {
        self.0.entry(id).or_default().orphans.insert(value);
    }

    /// It is not to be adopted any more.
    pub(crate) fn forget_orphan(&mut self, id: NodeId, value: Key) {
        if let Some(node) = self.0.get_mut(&id) {
            node.orphans.remove(&value);
        }
    }

    /// A job of a client of the node is closed; returns who is to clear up. If there is nobody, the next who joins is.
    pub(crate) fn close_job(&mut self, id: NodeId, job: JobId) -> Option<WorkerId> {
        let node = self.0.entry(id).or_default();
        let asked = node.members.first().copied();
        if node.closed.len() == MOST_CLOSED {
            node.closed.pop_front();
        }
        node.closed.push_back((job, asked));
        asked
    }

    /// A worker of the node is gone, and perhaps has not cleared up after these jobs; the heir does, or the next who joins.
    pub(crate) fn pass_on_clearing(&mut self, id: NodeId, lost: WorkerId, heir: Option<WorkerId>) -> Vec<JobId> {
        self.0.get_mut(&id).map(|node| node.ask_again(Some(lost), heir)).unwrap_or_default()
    }

    /// Whether these are exactly the joined workers with a node, and nothing waits where one of them is.
    pub(crate) fn are_right(&self, joined: impl Iterator<Item = (WorkerId, NodeId)>) -> bool {
        let mut count = 0;
        let mut is_known = |(worker, node): (WorkerId, NodeId)| {
            count += 1;
            self.members(node).contains(&worker)
        };
        let all_known = { joined }.all(&mut is_known);
        let is_done = |node: &Node| node.members.is_empty() || node.is_done();
        all_known
            && count == self.0.values().map(|node| node.members.len()).sum::<usize>()
            && self.0.values().all(is_done)
    }

    /// Whether the value waits for the next worker of the node.
    pub(crate) fn awaits(&self, id: NodeId, value: Key) -> bool {
        self.0.get(&id).is_some_and(|node| node.orphans.contains(&value))
    }

    /// How many values wait for a worker.
    pub(crate) fn orphans(&self) -> usize {
        self.0.values().map(|node| node.orphans.len()).sum()
    }
}

impl Node {
    /// Lets somebody clear up instead of another one, or instead of nobody; returns after which jobs.
    fn ask_again(&mut self, before: Option<WorkerId>, now: Option<WorkerId>) -> Vec<JobId> {
        let mut jobs = Vec::new();
        for (job, asked) in self.closed.iter_mut().filter(|(_, asked)| *asked == before) {
            *asked = now;
            jobs.push(*job);
        }
        jobs
    }

    fn is_done(&self) -> bool {
        let is_asked = |asked: &WorkerId| self.members.contains(asked);
        let all_asked = self.closed.iter().all(|(_, asked)| asked.as_ref().is_some_and(is_asked));
        self.orphans.is_empty() && self.lost.is_empty() && all_asked
    }
}
