//! Waiting for time: pauses between retries, tasks that hope for a worker that could hold them, values to be adopted.
use crate::config::Config;
use crate::scheduler::{Scheduler, Turn};
use crate::task::{Key, Phase};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use quiltwork_types::{FailureKind, NamedResource, Resources, TaskFailure, Time, WorkerId};

impl Scheduler {
    /// Looks at everything that is due, whatever the event was.
    pub(crate) fn on_time(&mut self, turn: &mut Turn<'_>) {
        while let Some(&(due, key)) = self.timers.first() {
            if due > turn.now {
                break;
            }
            self.timers.pop_first();
            match self.tasks[key].phase {
                Phase::Pausing { .. } => self.begin(turn, key),
                Phase::Adopting(_) => self.give_up_adoption(key),
                _ if !self.workers.is_empty() => self.despair(key),
                _ => {}
            }
        }
    }

    /// Looks at a new task's resources. Nobody can hold it: it fails as soon as the patience is over, counted from
    /// now. As long as there are no workers at all, that says nothing. For a task that is bound to a worker there is no
    /// hope from the beginning.
    pub(crate) fn check_hope(&mut self, turn: &Turn<'_>, key: Key) {
        self.despair_if_bound(key);
        let task = &mut self.tasks[key];
        let shape = &self.shapes[task.shape];
        if shape.able == 0 && shape.bound_to.is_empty() {
            task.hoping = true;
            self.shapes.hope(task.shape, key);
            if !self.workers.is_empty() {
                self.await_patience(turn, key);
            }
        }
    }

    /// A worker joined: tasks it could hold are fine, whatever becomes of it; the others have been waiting for nothing
    /// or go on waiting until their patience is over.
    pub(crate) fn restore_hope(&mut self, turn: &Turn<'_>, capacity: &Resources) {
        for key in self.shapes.worker_joined(capacity) {
            self.tasks[key].hoping = false;
            let due = self.end_of_patience(key);
            self.timers.remove(&(due, key));
        }
        let still_hoping: Vec<Key> = self.shapes.iter().flat_map(|(_, shape)| shape.hoping.iter().copied()).collect();
        for key in still_hoping {
            self.await_patience(turn, key);
        }
    }

    pub(crate) fn stop_hoping(&mut self, key: Key) {
        let task = &mut self.tasks[key];
        if core::mem::take(&mut task.hoping) {
            let shape = task.shape;
            self.shapes.give_up_hope(shape, key);
            let due = self.end_of_patience(key);
            self.timers.remove(&(due, key));
        }
    }

    fn await_patience(&mut self, turn: &Turn<'_>, key: Key) {
        let wanted = &self.shapes[self.tasks[key].shape].wanted;
        let due = self.end_of_patience(key);
        // Workers that can run it are there, and have too little: they are not started again with more.
        let is_in_vain = !lacks_ability(wanted, self.workers.largest())
            && self.tasks[key].story.submitted() + self.config.resource_patience <= turn.now;
        if due > turn.now && !is_in_vain {
            self.timers.insert((due, key));
        } else {
            self.despair(key);
        }
    }

    /// A worker that can run a task's function is waited for as long as any that is started again.
    pub(crate) fn end_of_patience(&self, key: Key) -> Time {
        let task = &self.tasks[key];
        let Config { resource_patience, adoption_patience, .. } = self.config;
        let asks_for_ability = self.shapes[task.shape].wanted.named.iter().any(NamedResource::is_ability);
        let patience = if asks_for_ability { resource_patience.max(adoption_patience) } else { resource_patience };
        task.story.submitted() + patience
    }

    /// Tasks in the queue that are bound to a worker that is gone, and perhaps to others: no new one will ever have
    /// its number.
    pub(crate) fn despair_of_worker(&mut self, lost: WorkerId) {
        for key in self.ready.of_classes(|class| self.shapes[class.shape].bound_to.contains(&lost)) {
            self.despair_if_bound(key);
        }
    }

    /// Fails a task that is bound to workers none of which is there.
    pub(crate) fn despair_if_bound(&mut self, key: Key) {
        let task = &self.tasks[key];
        let shape = &self.shapes[task.shape];
        if shape.bound_to.is_empty() || shape.able > 0 {
            return;
        }
        let mut there = shape.bound_to.iter().filter_map(|worker| self.workers.get(*worker)).peekable();
        let is_there = there.peek().is_some();
        let is_unable = there.all(|worker| lacks_ability(&shape.wanted, &worker.capacity));
        let (what, hint) = match (is_there, shape.bound_to.len()) {
            (true, 1) if is_unable => ("whose program does not have its function", OTHERS),
            (true, _) if is_unable => ("whose programs do not have its function or which are not there", OTHERS),
            (true, 1) => ("which has less than it asks for", "ask for less"),
            (true, _) => ("which have less than it asks for or are not there", "ask for less"),
            (false, 1) => ("which is not there (any more)", "ask the client for its workers"),
            (false, _) => ("none of which is there (any more)", "ask the client for its workers"),
        };
        let message = format!("it is bound to {}, {what}", named(&shape.bound_to));
        let failure = TaskFailure::new(FailureKind::NoSuchResources, task.id, message).with_hint(hint);
        self.unsettled.failing.push((key, Arc::new(failure)));
    }

    fn despair(&mut self, key: Key) {
        let task = &self.tasks[key];
        let (wanted, largest) = (&self.shapes[task.shape].wanted, self.workers.largest());
        let (message, hint) = if lacks_ability(wanted, largest) {
            let message = String::from("no worker is there (any more) whose program has its function");
            (message, "what those workers printed last says why they ended")
        } else {
            let (asked, most) = (listed(wanted, wanted), listed(wanted, largest));
            let hint = "ask for less, or start workers that have it: `LocalCluster::builder()` takes `.slots`, \
                `.memory_limit` and `.resource`";
            (format!("it asks for {asked}; the most any worker has is {most}"), hint)
        };
        let failure = TaskFailure::new(FailureKind::NoSuchResources, task.id, message).with_hint(hint);
        self.unsettled.failing.push((key, Arc::new(failure)));
    }
}

/// What to do about workers of the wrong program.
const OTHERS: &str = "bind it to workers of the program that has it";

/// The workers in words.
fn named(workers: &[WorkerId]) -> String {
    let (noun, joined) =
        (if workers.len() == 1 { "worker" } else { "workers" }, workers.iter().map(ToString::to_string));
    format!("{noun} {}", joined.collect::<Vec<_>>().join(" or "))
}

/// Whether no worker can run the function that is asked for.
fn lacks_ability(wanted: &Resources, largest: &Resources) -> bool {
    wanted.named.iter().any(|r| r.is_ability() && largest.amount(&r.name) == 0)
}

/// What `has` has of everything `wanted` asks for, in words.
fn listed(wanted: &Resources, has: &Resources) -> String {
    let mut parts = alloc::vec![format!("{} {}", has.slots, if has.slots == 1 { "slot" } else { "slots" })];
    if wanted.memory > 0 {
        parts.push(format!("{} bytes of memory", has.memory));
    }
    let named = wanted.named.iter().filter(|r| !r.is_ability());
    parts.extend(named.map(|r| format!("{} of `{}`", has.amount(&r.name), r.name)));
    parts.join(", ")
}
