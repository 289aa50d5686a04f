//! What tasks ask for, each distinct request stored once and counted; who could ever satisfy it is counted here too.
use crate::task::Key;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Ordering;
use core::ops::Index;
use quiltwork_types::{NamedResource, Resources, WorkerId};
use slab::Slab;

/// A distinct request for resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShapeId(u32);

/// One distinct request.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) wanted: Resources,
    /// Task records and seats at workers with this shape.
    pub(crate) users: u32,
    /// Joined workers that could hold it if nothing else ran there.
    pub(crate) able: u32,
    /// The only workers that could ever hold it; empty if others may come that can.
    pub(crate) bound_to: Box<[WorkerId]>,
    /// Unfinished tasks submitted while no joined worker could hold them, until one joins that can.
    pub(crate) hoping: BTreeSet<Key>,
}

impl Shape {
    /// Whether it takes more than one slot, so that a stream of smaller tasks could keep it out for ever. What a worker
    /// can run never runs out.
    pub(crate) fn is_large(&self) -> bool {
        let named = &self.wanted.named;
        self.wanted.slots > 1 || self.wanted.memory > 0 || !named.iter().all(NamedResource::is_ability)
    }
}

/// All distinct requests in use.
#[derive(Debug)]
pub(crate) struct Shapes {
    shapes: Slab<Shape>,
    ids: BTreeMap<Request, ShapeId>,
}

impl Shapes {
    /// The request for one slot is in use from the start, so that it does not come and go with every lone task.
    pub(crate) fn new() -> Self {
        let mut shapes = Self { shapes: Slab::new(), ids: BTreeMap::new() };
        shapes.intern(Resources::default(), core::iter::empty());
        shapes
    }

    /// Counts one more user of `wanted`; `workers` are the capacities of those joined.
    pub(crate) fn intern<'a>(&mut self, wanted: Resources, workers: impl Iterator<Item = &'a Resources>) -> ShapeId {
        let request = Request(wanted);
        if let Some(&id) = self.ids.get(&request) {
            self.retain(id);
            return id;
        }
        let able = workers.filter(|capacity| capacity.could_hold(&request.0)).count();
        let bound_to = request.0.named.iter().flat_map(NamedResource::bound_workers).collect();
        let shape = Shape {
            bound_to,
            wanted: request.0.clone(),
            users: 1,
            able: u32::try_from(able).expect("worker numbers are u32"),
            hoping: BTreeSet::new(),
        };
        let id = ShapeId(u32::try_from(self.shapes.insert(shape)).expect("fewer shapes than records"));
        self.ids.insert(request, id);
        id
    }

    pub(crate) fn retain(&mut self, id: ShapeId) {
        self.shapes[id.0 as usize].users += 1;
    }

    pub(crate) fn release(&mut self, id: ShapeId) {
        let shape = &mut self.shapes[id.0 as usize];
        shape.users -= 1;
        if shape.users == 0 {
            let shape = self.shapes.remove(id.0 as usize);
            self.ids.remove(&Request(shape.wanted));
        }
    }

    /// Takes a worker into account. Returns tasks that have somewhere to go now.
    pub(crate) fn worker_joined(&mut self, capacity: &Resources) -> BTreeSet<Key> {
        let mut relieved = BTreeSet::new();
        for (_, shape) in &mut self.shapes {
            if capacity.could_hold(&shape.wanted) {
                shape.able += 1;
                relieved.append(&mut shape.hoping);
            }
        }
        relieved
    }

    pub(crate) fn worker_left(&mut self, capacity: &Resources) {
        for (_, shape) in &mut self.shapes {
            if capacity.could_hold(&shape.wanted) {
                shape.able -= 1;
            }
        }
    }

    pub(crate) fn hope(&mut self, id: ShapeId, key: Key) {
        self.shapes[id.0 as usize].hoping.insert(key);
    }

    pub(crate) fn give_up_hope(&mut self, id: ShapeId, key: Key) {
        self.shapes[id.0 as usize].hoping.remove(&key);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ShapeId, &Shape)> {
        self.shapes.iter().map(|(id, shape)| (ShapeId(u32::try_from(id).expect("made from u32")), shape))
    }
}

impl Index<ShapeId> for Shapes {
    type Output = Shape;

    fn index(&self, id: ShapeId) -> &Shape {
        &self.shapes[id.0 as usize]
    }
}

/// `Resources` with an order, to be found by.
#[derive(Debug, PartialEq, Eq)]
struct Request(Resources);

impl Ord for Request {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (&self.0, &other.0);
        let plain = (mine.slots, mine.memory).cmp(&(theirs.slots, theirs.memory));
        plain.then_with(|| {
            let mine = mine.named.iter().map(|r| (&*r.name, r.amount));
            mine.cmp(theirs.named.iter().map(|r| (&*r.name, r.amount)))
        })
    }
}

impl PartialOrd for Request {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
