//! What a task asks for and what a worker has; comparing the two is all this file does.
use crate::ids::{NodeId, WorkerId};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use serde::{Deserialize, Serialize};

/// Slots, memory and named resources: of a worker (what it has) or of a task (what it asks for).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Units of concurrency. A task asks for 1 unless told otherwise.
    pub slots: u32,
    /// Bytes of memory; for a task 0 means "not accounted".
    pub memory: u64,
    /// Anything else that can run out, such as `gpu`; sorted by name.
    pub named: Box<[NamedResource]>,
}

/// An amount of something only users know the meaning of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedResource {
    /// Its name, for example `gpu`.
    pub name: Box<str>,
    /// How much of it, in whole units.
    pub amount: u64,
}

/// What the names of resources begin with by which tasks are bound to a worker or a node.
const WORKER_PREFIX: &str = "worker:";
const NODE_PREFIX: &str = "node:";
/// What stands between the workers of which any will do.
const OR: char = '|';

/// How much every worker has of the resources that bind: more tasks than can ever be given to it.
const PLENTY: u64 = u32::MAX as u64;

impl NamedResource {
    /// What only this worker has: a task that asks for it runs there or nowhere.
    #[must_use]
    pub fn of_worker(worker: WorkerId) -> Self {
        Self { name: format!("{WORKER_PREFIX}{}", worker.0).into(), amount: 1 }
    }

    /// What each of these workers has, and no other: a task that asks for it runs on one of them or nowhere.
    #[must_use]
    pub fn of_workers(workers: &BTreeSet<WorkerId>) -> Self {
        let mut name = String::from(WORKER_PREFIX);
        for (place, worker) in workers.iter().enumerate() {
            if place > 0 {
                name.push(OR);
            }
            name.push_str(&worker.0.to_string());
        }
        Self { name: name.into(), amount: 1 }
    }

    /// What only the workers of this node have.
    #[must_use]
    pub fn of_node(node: NodeId) -> Self {
        Self { name: format!("{NODE_PREFIX}{}", node.0).into(), amount: 1 }
    }

    /// The workers to which it binds; none if it does not bind to workers.
    pub fn bound_workers(&self) -> impl Iterator<Item = WorkerId> + '_ {
        let numbers = self.name.strip_prefix(WORKER_PREFIX).into_iter().flat_map(|numbers| numbers.split(OR));
        numbers.filter_map(|number| number.parse().ok().map(WorkerId))
    }

    /// Whether what a worker has under this name is what is asked for.
    #[must_use]
    pub fn is_met_by(&self, name: &str) -> bool {
        let is_among = |numbers: &str| {
            let number = name.strip_prefix(WORKER_PREFIX);
            numbers.contains(OR) && number.is_some_and(|number| numbers.split(OR).any(|other| other == number))
        };
        *self.name == *name || self.name.strip_prefix(WORKER_PREFIX).is_some_and(is_among)
    }

    /// Whether it binds a task to a place. Such names are the cluster's own.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.name.starts_with(WORKER_PREFIX) || self.name.starts_with(NODE_PREFIX)
    }
}

impl Resources {
    /// `slots` units of concurrency and nothing else.
    #[must_use]
    pub fn slots(slots: u32) -> Self {
        Self { slots, memory: 0, named: Box::default() }
    }

    /// How much of the named resource there is; 0 if it is not listed.
    #[must_use]
    pub fn amount(&self, name: &str) -> u64 {
        self.named.iter().find(|r| *r.name == *name).map_or(0, |r| r.amount)
    }

    /// Where what is wanted stands in the list, if there is any of it.
    #[must_use]
    pub fn place_of(&self, wanted: &NamedResource) -> Option<usize> {
        self.named.iter().position(|has| wanted.is_met_by(&has.name))
    }

    /// Whether everything `wanted` would fit if nothing were in use.
    #[must_use]
    pub fn could_hold(&self, wanted: &Self) -> bool {
        self.slots >= wanted.slots
            && self.memory >= wanted.memory
            && wanted.named.iter().all(|r| self.place_of(r).map_or(0, |place| self.named[place].amount) >= r.amount)
    }

    /// The same with enough of what binds tasks to this worker and its node; what pretended to be that is gone.
    #[must_use]
    pub fn bound_to(&self, worker: WorkerId, node: Option<NodeId>) -> Self {
        let own = [Some(NamedResource::of_worker(worker)), node.map(NamedResource::of_node)];
        let own = own.into_iter().flatten().map(|binding| NamedResource { amount: PLENTY, ..binding });
        let mut bound = self.without_bindings();
        bound.named = bound.named.into_iter().chain(own).collect();
        bound.named.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        bound
    }

    /// The same without what binds tasks to a place.
    #[must_use]
    pub fn without_bindings(&self) -> Self {
        let named = self.named.iter().filter(|resource| !resource.is_binding()).cloned().collect();
        Self { slots: self.slots, memory: self.memory, named }
    }
}

impl Default for Resources {
    /// What a task asks for unless told otherwise: one slot.
    fn default() -> Self {
        Self::slots(1)
    }
}
