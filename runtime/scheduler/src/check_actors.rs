//! Verifies what is kept of actors and their calls. Changes nothing and is not needed to run.
use crate::role::{Actor, Role};
use crate::scheduler::Scheduler;
use crate::task::{Key, Phase, Task};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Fails the check with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

impl Scheduler {
    /// Every call stands in its line or is with its worker, what is ready goes as far as the windows reach, and names are
    /// those of actors that have not ended.
    pub(crate) fn check_actors(&self) -> Result<(), String> {
        let mut calls: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        for (key, task) in self.tasks.iter() {
            match task.role {
                Role::Call { .. } if task.is_unfinished() && !task.published => {
                    let Some(actor) = self.actor_of(key) else { return Err(format!("{} calls no actor", task.id)) };
                    calls.entry(actor).or_default().push(key);
                }
                Role::Reference if task.needs_inputs() => {
                    let is_actor = |actor: Key| self.tasks.get(actor).is_some_and(|task| task.actor().is_some());
                    let stands = task.inputs.len() == 1 && is_actor(task.inputs[0].task);
                    ensure!(stands, "{} stands for no actor", task.id);
                }
                _ => {}
            }
        }
        for (key, task) in self.tasks.iter() {
            if let Some(actor) = task.actor() {
                let calls = calls.remove(&key).unwrap_or_default();
                self.check_actor(key, task, actor, &calls).map_err(|wrong| format!("actor {}: {wrong}", task.id))?;
            }
        }
        for (name, &key) in &self.names {
            let actor = self.tasks.get(key).filter(|task| !task.has_failed()).and_then(Task::actor);
            ensure!(actor.is_some_and(|actor| actor.name.as_ref() == Some(name)), "`{name}` is nobody's name");
        }
        ensure!(self.stirred.is_empty(), "calls were not looked at");
        Ok(())
    }

    fn check_actor(&self, key: Key, task: &Task, actor: &Actor, calls: &[Key]) -> Result<(), String> {
        let has = |call: &&Key| matches!(self.tasks[**call].phase, Phase::Assigned { .. });
        let in_flight = calls.iter().filter(has).count();
        ensure!(actor.in_flight as usize == in_flight, "{in_flight} calls are out, but it counts {}", actor.in_flight);
        ensure!(actor.pending as usize == calls.len(), "{} calls have not ended, not {}", calls.len(), actor.pending);
        let waiting: BTreeSet<Key> = calls.iter().filter(|call| !has(call)).copied().collect();
        let lined_up: BTreeSet<Key> = actor.waiting().map(|(_, (_, call))| call).collect();
        ensure!(waiting == lined_up, "{waiting:?} wait, but {lined_up:?} stand in line");
        let is_held = |(_, call): &(_, Key)| matches!(self.tasks[*call].phase, Phase::Assigned { running: false, .. });
        ensure!(actor.holders().all(|holder| is_held(&holder)), "a lane is held by a call that has begun, or ended");
        let is_ready = |call: Key| matches!(self.tasks[call].phase, Phase::Queued);
        ensure!(actor.notes_are_right(is_ready), "what is ready is noted wrongly: {actor:?}");
        let has_room = task.available().is_some() && actor.in_flight < self.config.actor_window;
        ensure!(!has_room || actor.first_ready().is_none(), "a call could go and did not");
        let is_named = actor.name.as_ref().is_none_or(|name| task.has_failed() || self.names.get(name) == Some(&key));
        ensure!(is_named, "nobody finds it by its name");
        Ok(())
    }
}
