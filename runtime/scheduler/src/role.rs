//! What a record is in relation to actors, and what is kept of an actor and of the calls that stand in line for it.
use crate::task::Key;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{ActorOptions, JobId, TaskRole};

/// `TaskRole`, as it is kept.
#[derive(Debug)]
pub(crate) enum Role {
    Plain,
    /// While its instance lives its phase is `Finished`, and the worker where that is is the one holder of its value.
    Actor(Box<Actor>),
    /// The last of its inputs is the actor it calls.
    Call {
        lane: u32,
    },
    /// The only one of its inputs is the actor it stands for.
    Reference,
}

/// What only actors have.
#[derive(Debug)]
pub(crate) struct Actor {
    /// By which everybody finds it.
    pub(crate) name: Option<Box<str>>,
    pub(crate) max_restarts: Option<u32>,
    /// How often it was lost with its worker and is made again for that.
    pub(crate) restarts: u32,
    /// What became of its workers, the latest last.
    pub(crate) history: Vec<Arc<str>>,
    pub(crate) max_pending: Option<u32>,
    /// Calls that have not ended.
    pub(crate) pending: u32,
    /// Of those, the ones its worker has.
    pub(crate) in_flight: u32,
    lanes: BTreeMap<LaneId, Lane>,
    /// The calls that come next in their lanes and have all their inputs, by their order among all submissions.
    ready: BTreeSet<Place>,
}

/// Who stands in line: everybody who calls, by job and by the number the caller has chosen.
pub(crate) type LaneId = (JobId, u32);

/// Where a call stands: its order among all submissions.
pub(crate) type Place = (u64, Key);

/// The calls of one caller that its actor's worker does not have.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeSet<Place>,
    /// The first of them, if it stands in `Actor::ready`.
    ready: Option<Place>,
    /// A call the worker has and others must not overtake: it has inputs to fetch and has not begun to run.
    held_by: Option<Key>,
}

impl Role {
    pub(crate) fn of(role: TaskRole) -> Self {
        match role {
            TaskRole::Plain => Self::Plain,
            TaskRole::Actor(options) => Self::Actor(Box::new(Actor::new(*options))),
            TaskRole::Call { lane, .. } => Self::Call { lane },
            TaskRole::Reference(_) => Self::Reference,
        }
    }
}

impl Actor {
    fn new(options: ActorOptions) -> Self {
        Self {
            name: options.name,
            max_restarts: options.max_restarts,
            restarts: 0,
            history: Vec::new(),
            max_pending: options.max_pending,
            pending: 0,
            in_flight: 0,
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.max_pending.is_some_and(|most| self.pending >= most)
    }

    pub(crate) fn may_restart(&self) -> bool {
        self.max_restarts.is_none_or(|most| self.restarts < most)
    }

    pub(crate) fn line_up(&mut self, lane: LaneId, place: Place) {
        self.lanes.entry(lane).or_default().waiting.insert(place);
    }

    /// Takes a call out of its lane, whether it waits there or holds it.
    pub(crate) fn step_out(&mut self, lane: LaneId, place: Place) {
        let Some(line) = self.lanes.get_mut(&lane) else { return };
        line.waiting.remove(&place);
        line.held_by.take_if(|holder| *holder == place.1);
    }

    /// Lets no other call of its lane go before this one, which the worker has, begins to run.
    pub(crate) fn hold(&mut self, lane: LaneId, call: Key) {
        self.lanes.entry(lane).or_default().held_by = Some(call);
    }

    /// Says whether a lane was held by this call, which is the case no more.
    pub(crate) fn release(&mut self, lane: LaneId, call: Key) -> bool {
        let line = self.lanes.get_mut(&lane);
        line.is_some_and(|line| line.held_by.take_if(|holder| *holder == call).is_some())
    }

    /// The call that may go next in a lane, if it has all its inputs.
    pub(crate) fn next_in(&self, lane: LaneId) -> Option<Place> {
        self.lanes.get(&lane).filter(|line| line.held_by.is_none())?.waiting.first().copied()
    }

    /// Notes which call of a lane is ready to go; none if none is.
    pub(crate) fn set_ready(&mut self, lane: LaneId, ready: Option<Place>) {
        let Some(line) = self.lanes.get_mut(&lane) else { return };
        let before = core::mem::replace(&mut line.ready, ready);
        if before != ready {
            before.map(|place| self.ready.remove(&place));
            ready.map(|place| self.ready.insert(place));
        }
        if line.waiting.is_empty() && line.held_by.is_none() {
            self.lanes.remove(&lane);
        }
    }

    /// The ready call that was submitted first.
    pub(crate) fn first_ready(&self) -> Option<Key> {
        self.ready.first().map(|&(_, call)| call)
    }

    /// Everything that waits in a lane.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (LaneId, Place)> {
        self.lanes.iter().flat_map(|(&id, line)| line.waiting.iter().map(move |&place| (id, place)))
    }

    /// The calls that hold a lane.
    pub(crate) fn holders(&self) -> impl Iterator<Item = (LaneId, Key)> {
        self.lanes.iter().filter_map(|(&id, line)| Some((id, line.held_by?)))
    }

    /// Whether exactly those calls are noted as ready that are next in their lanes and of which that is true.
    pub(crate) fn notes_are_right(&self, is_ready: impl Fn(Key) -> bool) -> bool {
        let next = |&id: &LaneId| self.next_in(id).filter(|&(_, call)| is_ready(call));
        let noted = self.lanes.values().filter_map(|line| line.ready);
        self.lanes.iter().all(|(id, line)| line.ready == next(id))
            && self.lanes.values().all(|line| !line.waiting.is_empty() || line.held_by.is_some())
            && noted.collect::<BTreeSet<_>>() == self.ready
    }
}
