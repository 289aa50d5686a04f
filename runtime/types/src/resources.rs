//! What a task asks for and what a worker has; comparing the two is all this file does.
use crate::ids::{NodeId, WorkerId};
use crate::names::is_python;
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
/// What the names of resources begin with that say which functions a worker can run.
const ABILITY_PREFIX: &str = "runs:";
/// What follows for all functions of Python's modules: no function in Rust has this name.
const ANY_PYTHON: &str = "python";

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

    /// The numbers of the workers of which any will do, if there are several.
    fn choice(&self) -> Option<&str> {
        self.name.strip_prefix(WORKER_PREFIX).filter(|numbers| numbers.contains(OR))
    }

    /// What only workers have that can run the function of this name: `module:function` is one of Python's, which are
    /// found where they run; all others are built into programs.
    #[must_use]
    pub fn of_ability(function: &str) -> Self {
        Self::of_functions(if is_python(function) { ANY_PYTHON } else { function })
    }

    fn of_functions(which: &str) -> Self {
        Self { name: format!("{ABILITY_PREFIX}{which}").into(), amount: 1 }
    }

    /// Whether it only says which function shall run.
    #[must_use]
    pub fn is_ability(&self) -> bool {
        self.name.starts_with(ABILITY_PREFIX)
    }

    /// Whether it binds a task to those that can run it. Such names are the cluster's own.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.name.starts_with(WORKER_PREFIX) || self.name.starts_with(NODE_PREFIX) || self.is_ability()
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
        self.find(name).map_or(0, |place| self.named[place].amount)
    }

    /// Where the named resource stands in the list.
    fn find(&self, name: &str) -> Option<usize> {
        self.named.binary_search_by(|has| (*has.name).cmp(name)).ok()
    }

    /// Where what is wanted stands in the list, if there is any of it.
    #[must_use]
    pub fn place_of(&self, wanted: &NamedResource) -> Option<usize> {
        let Some(numbers) = wanted.choice() else { return self.find(&wanted.name) };
        let is_among = |number: &str| numbers.split(OR).any(|other| other == number);
        self.named.iter().position(|has| has.name.strip_prefix(WORKER_PREFIX).is_some_and(is_among))
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

    /// The same with enough of what tasks ask for that run these functions, and any of Python's if that is so.
    #[must_use]
    pub fn able_to_run<'a>(&self, functions: impl IntoIterator<Item = &'a str>, any_python: bool) -> Self {
        let python = any_python.then(|| NamedResource::of_functions(ANY_PYTHON));
        let abilities = functions.into_iter().map(NamedResource::of_ability).chain(python);
        let mut able = self.clone();
        let abilities = abilities.map(|ability| NamedResource { amount: PLENTY, ..ability });
        able.named = able.named.into_iter().chain(abilities).collect();
        able.named.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        able
    }

    /// The same without what binds tasks to those that can run them.
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
