//! What goes wrong in a simulated history, and the workers that come in the place of those that are gone.
use super::{Happening, LARGE, SILENCE, World};
use crate::nonsense::{is_from, nonsense};
use crate::worker::{Effect, SimWorker};
use quiltwork_scheduler::Event;
use quiltwork_types::{LossReason, NamedResource, NodeId, Resources, WorkerId};
use std::time::Duration;

impl World {
    pub(super) fn let_fault_happen(&mut self) -> Result<(), String> {
        let pause = self.dice.between(Duration::from_millis(1), Duration::from_millis(30));
        self.later(pause, Happening::Fault);
        let ids: Vec<_> = self.workers.keys().copied().collect();
        let Some(victim) = self.dice.pick(&ids) else { return Ok(()) };
        match self.dice.below(12) {
            0..=1 if !self.oracle.only_poison_kills => {
                let out_of_memory = self.workers[&victim].out_of_memory();
                let reason = match self.dice.below(5) {
                    0 | 1 => LossReason::Left,
                    2 => closed(),
                    3 => out_of_memory.unwrap_or(LossReason::Left),
                    _ => ended("signal 9 (SIGKILL)"),
                };
                self.crash(victim, reason);
            }
            2 if !self.oracle.only_poison_kills => self.fall_silent(victim),
            3..=4 => self.evict(victim),
            5..=6 => {
                let is_short = self.dice.chance(60);
                self.let_worker(victim, |worker, effects| effects.push(Effect::Send(worker.pressure(is_short))));
            }
            // Lies about where attempts are can make anybody share a worker with the poison.
            _ if self.oracle.only_poison_kills => {}
            _ => {
                let nonsense = nonsense(&mut self.dice, &self.client, victim, self.next_worker);
                self.tell(nonsense)?;
            }
        }
        Ok(())
    }

    /// The process ends. What it has sent may still arrive, some of it after the master has noticed.
    pub(super) fn crash(&mut self, id: WorkerId, reason: LossReason) {
        let Some(worker) = self.workers.remove(&id) else { return };
        if worker.node.is_some() && matches!(reason, LossReason::ProcessEnded(_) | LossReason::OutOfMemory { .. }) {
            self.left.insert(id, worker.held);
        }
        if self.dice.chance(50) {
            self.future.retain(|_, happening| !matches!(happening, Happening::Arrival(event) if is_from(event, id)));
        }
        self.forget_parents(id);
        if matches!(reason, LossReason::OutOfMemory { .. }) {
            // It said so, and then its process ended: whichever is heard first counts.
            let noticed = self.dice.between(Duration::ZERO, Duration::from_millis(3));
            self.arrive(noticed, Event::WorkerLost { worker: id, reason: ended("exit status 1") });
        }
        let noticed = self.dice.between(Duration::ZERO, Duration::from_millis(3));
        self.arrive(noticed, Event::WorkerLost { worker: id, reason });
        self.replace_worker();
    }

    /// The process stops talking. It goes on until the master has given it up, and everything it said comes late.
    fn fall_silent(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id).filter(|worker| !worker.muted) {
            worker.muted = true;
            self.arrive(SILENCE, Event::WorkerLost { worker: id, reason: LossReason::Silent });
            self.replace_worker();
        }
    }

    pub(super) fn give_up(&mut self, id: WorkerId, reason: LossReason) {
        self.workers.remove(&id);
        self.forget_parents(id);
        self.arrive(Duration::ZERO, Event::WorkerLost { worker: id, reason });
    }

    /// Attempts that are gone wait for no child; the client drops what they wanted.
    fn forget_parents(&mut self, id: WorkerId) {
        let children: Vec<_> = self.parents.iter().filter(|(_, (worker, _))| *worker == id).map(|(&c, _)| c).collect();
        for child in children {
            self.parents.remove(&child);
            let dropped = self.client.drops_child(child);
            self.client_says(dropped);
        }
    }

    /// A worker loses a value without saying so.
    fn evict(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            let held: Vec<_> = worker.held.iter().copied().collect();
            if let Some(value) = self.dice.pick(&held) {
                worker.held.remove(&value);
            }
        }
    }

    fn replace_worker(&mut self) {
        let few = self.workers.values().filter(|worker| !worker.muted).count() < 2;
        if few || !self.troubled || self.dice.chance(80) {
            let delay = self.dice.between(Duration::from_micros(100), Duration::from_millis(40));
            self.later(delay, Happening::Start);
        }
    }

    /// At least one, and so many that there is one on each node.
    pub(super) fn start_large_workers(&mut self) -> Result<(), String> {
        self.start_worker(LARGE)?;
        let has_worker = |world: &Self, node| world.workers.values().any(|worker| worker.node == Some(NodeId(node)));
        while !(has_worker(self, 0) && has_worker(self, 1)) {
            self.start_worker(LARGE)?;
        }
        Ok(())
    }

    pub(super) fn start_worker(&mut self, slots: u32) -> Result<(), String> {
        let id = WorkerId(self.next_worker);
        self.next_worker += 1;
        // Of the large ones enough for all actors that keep one, and for the tasks that ask for those actors.
        let gpus = u64::from(self.dice.below(2)) + if slots == LARGE { 100 } else { 0 };
        let named = [NamedResource { name: "gpu".into(), amount: gpus }];
        let memory = u64::from(self.dice.below(12)) + u64::from(slots);
        let node = node_of(id);
        let capacity = Resources { slots, memory, named: Box::new(named) }.bound_to(id, node);
        let capacity = able(capacity, id, slots == LARGE);
        self.workers.insert(id, SimWorker::new(id, capacity.clone(), node));
        self.tell(Event::WorkerJoined { worker: id, capacity, node })?;
        if !self.troubled && self.stays_pressed { self.tell(Event::WorkerPressed { worker: id }) } else { Ok(()) }
    }
}

fn ended(how: &str) -> LossReason {
    LossReason::ProcessEnded(how.into())
}

/// Every third worker has no node; the others are on one of two.
pub(super) fn node_of(worker: WorkerId) -> Option<NodeId> {
    (!worker.0.is_multiple_of(3)).then_some(NodeId(u64::from(worker.0 % 2)))
}

/// Of three workers one can run what is built into programs, one what is Python's, and one both, as all large ones.
fn able(capacity: Resources, worker: WorkerId, is_large: bool) -> Resources {
    let (built_in, python) = (is_large || worker.0 % 3 != 1, is_large || worker.0 % 3 != 2);
    capacity.able_to_run(built_in.then_some("program::function"), python)
}

fn closed() -> LossReason {
    LossReason::ConnectionClosed("reset by peer".into())
}
