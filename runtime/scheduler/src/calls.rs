//! Calls of actors: each goes to the worker where its actor lives, behind the earlier ones of its lane, in no slot.
//!
//! A worker runs the calls of an actor in the order in which they were dispatched, but each only when its inputs are
//! there. So a call whose inputs have to be fetched holds its lane until it has begun to run; all others follow each other
//! without a pause.
use crate::action::Action;
use crate::queue::Caution;
use crate::role::{Actor, LaneId, Place, Role};
use crate::scheduler::{Scheduler, Turn};
use crate::seats::Seat;
use crate::task::{Key, Phase};
use alloc::format;
use alloc::sync::Arc;
use quiltwork_types::{Chapter, FailureKind, LossReason, TaskFailure, WorkerId};

/// Inputs of a call up to which all of them travel with it, if they are small.
const FEW_INPUTS: usize = 64;

impl Scheduler {
    /// The actor a call is for, as long as it is connected to it.
    pub(crate) fn actor_of(&self, call: Key) -> Option<Key> {
        let task = &self.tasks[call];
        let Role::Call { .. } = task.role else { return None };
        task.inputs.last().map(|edge| edge.task).filter(|&actor| self.tasks[actor].actor().is_some())
    }

    pub(crate) fn actor_mut(&mut self, key: Key) -> &mut Actor {
        match &mut self.tasks[key].role {
            Role::Actor(actor) => actor,
            other => unreachable!("{other:?} is no actor"),
        }
    }

    /// Puts a call that no worker has into its line, unless it stands there already.
    pub(crate) fn line_up(&mut self, call: Key) {
        if let Some((actor, lane, place)) = self.line_of(call) {
            self.actor_mut(actor).line_up(lane, place);
            self.look_at_line(actor, lane);
        }
    }

    /// All inputs of a call are there: it goes as soon as it is its turn.
    pub(crate) fn make_ready(&mut self, turn: &Turn<'_>, call: Key) {
        let task = &mut self.tasks[call];
        task.phase = Phase::Queued;
        task.story.push(turn.now, Chapter::Queued);
        self.line_up(call);
    }

    /// An input of a call that was ready is gone again; its phase says so already.
    pub(crate) fn make_unready(&mut self, call: Key) {
        if let Some((actor, lane, _)) = self.line_of(call) {
            self.look_at_line(actor, lane);
        }
    }

    /// A call has begun to run: those behind it may come.
    pub(crate) fn release_line(&mut self, call: Key) {
        if let Some((actor, lane, _)) = self.line_of(call)
            && self.actor_mut(actor).release(lane, call)
        {
            self.look_at_line(actor, lane);
        }
    }

    /// A call is going to leave the worker that has it.
    pub(crate) fn leave_actor(&mut self, call: Key) {
        if let Some(actor) = self.actor_of(call) {
            self.actor_mut(actor).in_flight -= 1;
            self.stirred.push(actor);
            self.release_line(call);
        }
    }

    /// A call that no worker has is not going to run: nobody stands behind it any more.
    pub(crate) fn leave_line(&mut self, call: Key) {
        if let Some((actor, lane, place)) = self.line_of(call) {
            self.actor_mut(actor).step_out(lane, place);
            self.look_at_line(actor, lane);
        }
    }

    /// A call has ended, one way or the other.
    pub(crate) fn end_call(&mut self, call: Key) {
        if let Some(actor) = self.actor_of(call) {
            self.actor_mut(actor).pending -= 1;
        }
    }

    /// Sends what is ready to the actors for which something may have changed, in the order of submission, as far as
    /// their windows reach.
    pub(crate) fn dispatch_calls(&mut self, turn: &mut Turn<'_>) {
        while let Some(key) = self.stirred.pop() {
            let Some(task) = self.tasks.get(key) else { continue };
            let Some(worker) = task.available().and_then(|value| value.holders.first()).copied() else { continue };
            let window = self.config.actor_window;
            while let Some(call) = self.tasks[key].actor().filter(|a| a.in_flight < window).and_then(Actor::first_ready)
            {
                self.assign_call(turn, key, call, worker);
            }
        }
    }

    /// What becomes of a call that was with an actor whose worker is gone: it may have run. If it is allowed to do so
    /// again it goes first, as it was first; if the actor is gone for good, it fails with that.
    pub(crate) fn mourn_call(&mut self, turn: &mut Turn<'_>, call: Key, worker: WorkerId, reason: &LossReason) {
        let task = &mut self.tasks[call];
        let deaths = task.death_count();
        task.story.push(turn.now, Chapter::WorkerLost { worker, deaths });
        let has_retries = task.failures < task.retries;
        task.failures += u32::from(has_retries);
        if !has_retries && self.actor_of(call).is_some_and(|actor| !self.tasks[actor].has_failed()) {
            let message = format!("worker {worker} was lost while its actor had the call: {reason}; it may have run");
            let failure = TaskFailure::new(FailureKind::ActorLost, self.tasks[call].id, message)
                .with_hint("call again if it does no harm to run twice; `.retries(n)` has that done for you");
            self.unsettled.failing.push((call, Arc::new(failure)));
        }
        self.begin(turn, call);
    }

    fn assign_call(&mut self, turn: &mut Turn<'_>, actor: Key, call: Key, worker: WorkerId) {
        let (lane, place) = self.place_of(call);
        let holds = !self.travels_whole(call);
        let data = self.actor_mut(actor);
        data.in_flight += 1;
        data.step_out(lane, place);
        if holds {
            data.hold(lane, call);
        }
        self.look_at_line(actor, lane);
        self.assignments += 1;
        let seat = Seat::of_call(call, self.tasks[call].shape, self.assignments);
        let task = &mut self.tasks[call];
        task.attempts += 1;
        task.phase = Phase::Assigned { worker, running: false, missing: 0 };
        task.story.push(turn.now, Chapter::Assigned { number: task.attempts, worker });
        let attempt = task.attempt();
        self.workers.sit(worker, attempt, seat, &self.shapes[seat.shape]);
        self.shapes.retain(seat.shape);
        let (_, inputs) = self.tasks[call].inputs.split_last().expect("a call that is ready is connected to its actor");
        let inputs = inputs.iter().map(|edge| self.supply_of(edge.task)).collect();
        let actor = Some(self.tasks[actor].id);
        turn.act(Action::Dispatch { worker, attempt, actor, inputs });
    }

    /// Whether all inputs of a call are sent along with it.
    fn travels_whole(&self, call: Key) -> bool {
        let Some((_, inputs)) = self.tasks[call].inputs.split_last() else { return true };
        let is_small = |key: Key| {
            let value = self.tasks[key].available();
            value.is_some_and(|value| value.at_master && value.size <= self.config.inline_limit)
        };
        inputs.len() <= FEW_INPUTS && inputs.iter().all(|edge| is_small(edge.task))
    }

    /// Brings what is noted as ready in a line up to date.
    fn look_at_line(&mut self, actor: Key, lane: LaneId) {
        let next = self.tasks[actor].actor().and_then(|data| data.next_in(lane));
        let ready = next.filter(|&(_, call)| matches!(self.tasks[call].phase, Phase::Queued));
        self.actor_mut(actor).set_ready(lane, ready);
        if ready.is_some() {
            self.stirred.push(actor);
        }
    }

    fn line_of(&self, call: Key) -> Option<(Key, LaneId, Place)> {
        let actor = self.actor_of(call)?;
        let (lane, place) = self.place_of(call);
        Some((actor, lane, place))
    }

    fn place_of(&self, call: Key) -> (LaneId, Place) {
        let task = &self.tasks[call];
        let Role::Call { lane } = task.role else { unreachable!("only calls stand in lines") };
        ((task.id.job, lane), (task.order, call))
    }
}

impl Seat {
    /// The place of a call: in no slot.
    fn of_call(task: Key, shape: crate::shapes::ShapeId, order: u64) -> Self {
        Self {
            task,
            shape,
            slots: 0,
            estimate: 0,
            caution: Caution::None,
            order,
            started: false,
            lent: false,
            recalled: false,
            movable: false,
            unwanted: false,
            ahead: false,
            is_call: true,
        }
    }
}
