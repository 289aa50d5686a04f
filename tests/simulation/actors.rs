//! The actors of a simulated worker: each runs its calls in the order in which they are ready, so many at a time.
use crate::client::Plan;
use quiltwork_types::{AttemptId, TaskId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// All that live in one process.
#[derive(Default)]
pub(crate) struct Actors {
    living: BTreeMap<TaskId, Living>,
    /// Calls whose inputs are on their way.
    arriving: BTreeMap<AttemptId, (TaskId, Plan)>,
}

struct Living {
    maker: AttemptId,
    max_concurrency: usize,
    waiting: VecDeque<(AttemptId, Plan)>,
    running: BTreeSet<AttemptId>,
}

/// A call that begins to run.
pub(crate) struct Begun {
    /// The attempt that made its actor.
    pub(crate) maker: AttemptId,
    pub(crate) call: AttemptId,
    pub(crate) plan: Plan,
}

impl Actors {
    pub(crate) fn is_empty(&self) -> bool {
        self.living.is_empty()
    }

    pub(crate) fn make(&mut self, maker: AttemptId, max_concurrency: u32) {
        let max_concurrency = usize::try_from(max_concurrency).expect("a few");
        let living = Living { maker, max_concurrency, waiting: VecDeque::new(), running: BTreeSet::new() };
        self.living.insert(maker.task, living);
    }

    /// Notes that the inputs of a call are on their way; whether the actor is here at all.
    pub(crate) fn expect(&mut self, actor: TaskId, call: AttemptId, plan: Plan) -> bool {
        let is_here = self.living.contains_key(&actor);
        if is_here {
            self.arriving.insert(call, (actor, plan));
        }
        is_here
    }

    /// The inputs of a call are here; none if nobody waits for them any more. Says to which actor it went, or that this
    /// one has ended.
    pub(crate) fn arrive(&mut self, call: AttemptId) -> Option<Result<TaskId, TaskId>> {
        let (actor, plan) = self.arriving.remove(&call)?;
        let Some(living) = self.living.get_mut(&actor) else { return Some(Err(actor)) };
        living.waiting.push_back((call, plan));
        Some(Ok(actor))
    }

    /// Lets the calls begin that may run now.
    pub(crate) fn start(&mut self, actor: TaskId) -> Vec<Begun> {
        let mut begun = Vec::new();
        let Some(living) = self.living.get_mut(&actor) else { return begun };
        while living.running.len() < living.max_concurrency
            && let Some((call, plan)) = living.waiting.pop_front()
        {
            living.running.insert(call);
            begun.push(Begun { maker: living.maker, call, plan });
        }
        begun
    }

    /// Takes a call out that waits or arrives; whether it was there.
    pub(crate) fn remove(&mut self, call: AttemptId) -> bool {
        let mut is_there = self.arriving.remove(&call).is_some();
        for living in self.living.values_mut() {
            let before = living.waiting.len();
            living.waiting.retain(|(waiting, _)| *waiting != call);
            is_there |= living.waiting.len() < before;
        }
        is_there
    }

    /// A call returns; the actor it ran in.
    pub(crate) fn end(&mut self, call: AttemptId) -> Option<TaskId> {
        let mut living = self.living.iter_mut();
        living.find_map(|(&actor, living)| living.running.remove(&call).then_some(actor))
    }

    /// Ends an actor, unless another attempt has made it than is meant; returns the calls that never began, and those that
    /// still run: nobody hears of their actor any more.
    pub(crate) fn remove_actor(&mut self, actor: TaskId, maker: Option<AttemptId>) -> (Vec<AttemptId>, Vec<AttemptId>) {
        if self.living.get(&actor).is_none_or(|living| maker.is_some_and(|maker| living.maker != maker)) {
            return (Vec::new(), Vec::new());
        }
        let living = self.living.remove(&actor).expect("just seen");
        (living.waiting.into_iter().map(|(call, _)| call).collect(), living.running.into_iter().collect())
    }
}
