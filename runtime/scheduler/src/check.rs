//! Verifies the whole state against itself. Changes nothing and is not needed to run.
use crate::queue::Caution;
use crate::scheduler::Scheduler;
use crate::seats::{Load, Worker};
use crate::task::{Adopter, Adoption, Key, Phase, Task};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use quiltwork_types::WorkerId;

/// Fails the check with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

impl Scheduler {
    /// Verifies every cross-reference: what the tests and the simulation call after each event. Costs time in
    /// proportion to everything there is.
    ///
    /// # Errors
    /// Says what does not fit together, with the story of the task it was found at.
    pub fn check(&self) -> Result<(), String> {
        for (key, task) in self.tasks.iter() {
            self.check_task(key, task).map_err(|wrong| with_story(task, &wrong))?;
        }
        for (id, worker) in self.workers.iter() {
            self.check_worker(id, worker).map_err(|wrong| format!("worker {id}: {wrong}"))?;
        }
        self.check_actors()?;
        self.check_queue()?;
        self.check_timers()?;
        self.check_shapes()?;
        let unsettled = &self.unsettled;
        ensure!(
            unsettled.failing.is_empty() && unsettled.doubtful.is_empty() && unsettled.reviving.is_empty(),
            "consequences were not drawn: {unsettled:?}"
        );
        ensure!(self.followers.is_empty(), "tasks may go ahead and were not looked at");
        ensure!(self.workers.indexes_are_right(), "the indexes of workers are wrong: {:?}", self.workers);
        ensure!(self.workers.gained().is_empty(), "workers gained room and were not looked at");
        Ok(())
    }

    fn check_task(&self, key: Key, task: &Task) -> Result<(), String> {
        ensure!(self.tasks.find(task.id) == Some(key), "it is not found by its id");
        ensure!(task.is_record_needed(), "nobody needs its record");
        self.check_edges(key, task)?;
        self.check_phase(key, task)?;
        self.check_value(key, task)
    }

    fn check_edges(&self, key: Key, task: &Task) -> Result<(), String> {
        for (slot, edge) in task.inputs.iter().enumerate() {
            let back = self.tasks.get(edge.task).and_then(|input| input.consumers.get(edge.slot as usize));
            ensure!(
                back.is_some_and(|back| back.task == key && back.slot as usize == slot),
                "input {slot} has no way back"
            );
        }
        let mut needing = 0;
        for (slot, edge) in task.consumers.iter().enumerate() {
            let consumer = self.tasks.get(edge.task);
            let back = consumer.and_then(|consumer| consumer.inputs.get(edge.slot as usize));
            ensure!(
                back.is_some_and(|back| back.task == key && back.slot as usize == slot),
                "consumer {slot} has no way back"
            );
            needing += u32::from(consumer.is_some_and(Task::needs_inputs));
        }
        ensure!(task.needing == needing, "{needing} tasks need it, but it counts {}", task.needing);
        Ok(())
    }

    fn check_phase(&self, key: Key, task: &Task) -> Result<(), String> {
        let inputs = || task.inputs.iter().map(|edge| &self.tasks[edge.task]);
        match &task.phase {
            Phase::Waiting { missing } => {
                let lacking = inputs().filter(|input| input.available().is_none()).count();
                ensure!(
                    *missing > 0 && *missing as usize == lacking,
                    "it waits for {missing} inputs, {lacking} are missing"
                );
                let hopeless = inputs().find(|input| !input.is_unfinished() && input.available().is_none());
                ensure!(hopeless.is_none(), "it waits for {:?}, which nobody makes", hopeless.map(|input| input.id));
            }
            Phase::Queued => {
                ensure!(inputs().all(|input| input.available().is_some()), "it is queued, but an input is missing");
            }
            Phase::Pausing { due } => {
                ensure!(self.timers.contains(&(*due, key)), "it pauses without a timer");
            }
            Phase::Assigned { worker, running, missing } => {
                let seat = self.workers.seat(*worker, task.attempt());
                let Some(seat) = seat else { return Err(format!("it has no seat at {worker}")) };
                ensure!(seat.task == key && !seat.unwanted, "its seat at {worker} is for something else: {seat:?}");
                ensure!(seat.started == *running, "it and its seat at {worker} disagree on whether it runs");
                let lacking = inputs().filter(|input| input.available().is_none()).count();
                ensure!(seat.ahead == (*missing > 0), "it and its seat at {worker} disagree on whether it went ahead");
                ensure!(
                    *missing == 0 || *missing as usize == lacking,
                    "it went ahead of {missing} inputs, {lacking} are missing"
                );
                ensure!(seat.caution == Caution::after(task.death_count()), "its seat does not know its deaths");
            }
            Phase::Adopting(adoption) => self.check_adoption(key, task, adoption)?,
            Phase::Failed(_) => ensure!(task.inputs.is_empty(), "it failed and keeps its inputs"),
            Phase::Uploading | Phase::Finished(_) => {}
        }
        ensure!(!task.hoping || self.shapes[task.shape].hoping.contains(&key), "it hopes, but its shape does not know");
        Ok(())
    }

    fn check_adoption(&self, key: Key, task: &Task, Adoption { orphan, adopter }: &Adoption) -> Result<(), String> {
        ensure!(!task.is_recomputable(), "it is to be adopted, but could be made again");
        match adopter {
            Adopter::Asked(worker) => {
                let adopter = self.workers.get(*worker).filter(|worker| worker.node == Some(orphan.node));
                let knows = adopter.is_some_and(|worker| worker.adopting.contains(&key));
                ensure!(knows, "{worker} was asked to adopt it and does not know");
            }
            Adopter::Awaited { until } => {
                ensure!(self.timers.contains(&(*until, key)), "it waits for an adopter without an end");
                ensure!(self.workers.nodes.awaits(orphan.node, key), "{} does not know of it", orphan.node);
            }
        }
        Ok(())
    }

    fn check_value(&self, key: Key, task: &Task) -> Result<(), String> {
        let Phase::Finished(value) = &task.phase else { return Ok(()) };
        ensure!(task.published, "it finished and was never published");
        let knows = |&holder: &WorkerId| self.workers.get(holder).is_some_and(|worker| worker.held.contains(&key));
        ensure!(value.holders.iter().all(knows), "a holder of its value does not know: {:?}", value.holders);
        let distinct: BTreeSet<_> = value.holders.iter().collect();
        ensure!(distinct.len() == value.holders.len(), "a holder is listed twice: {:?}", value.holders);
        let is_end_of_lineage = !task.is_recomputable();
        ensure!(
            value.holders.is_empty() || task.is_value_needed() || is_end_of_lineage,
            "workers hold its value for nobody"
        );
        ensure!(
            !value.at_master || task.is_value_needed() || is_end_of_lineage,
            "the master holds its value for nobody"
        );
        ensure!(!task.kept || value.is_available(), "the client was promised its value, and it is gone");
        let may_be_lost = task.function.is_none() || task.is_call();
        ensure!(!task.is_living() || value.is_available(), "it lives nowhere");
        ensure!(task.actor().is_none() || (value.holders.len() == 1 && !value.at_master), "it lives not at one place");
        ensure!(
            value.is_available() || task.is_recomputable() || may_be_lost,
            "its value is gone for ever while others may need it"
        );
        Ok(())
    }

    fn check_worker(&self, id: WorkerId, worker: &Worker) -> Result<(), String> {
        let mut load = Load::default();
        let mut memory = 0;
        for (attempt, seat) in worker.seats.iter() {
            load.add(seat);
            memory += self.shapes[seat.shape].wanted.memory;
            let task = self.tasks.get(seat.task).filter(|task| task.id == attempt.task);
            let is_current = task.is_some_and(|task| {
                task.attempt() == attempt && matches!(task.phase, Phase::Assigned { worker, .. } if worker == id)
            });
            ensure!(seat.unwanted != is_current, "{attempt} is wanted or not, but its task disagrees: {seat:?}");
            ensure!(!(seat.recalled && (seat.started || seat.unwanted)), "{attempt} cannot come back: {seat:?}");
        }
        ensure!(load == worker.load, "its load is {load:?}, but it counts {:?}", worker.load);
        for &key in &worker.residents {
            let actor = self.tasks.get(key).filter(|task| task.actor().is_some() && worker.held.contains(&key));
            let Some(actor) = actor else { return Err(format!("{key:?} lives there and does not know")) };
            memory += self.shapes[actor.shape].wanted.memory;
        }
        let actors = worker.held.iter().filter(|&&key| self.tasks[key].actor().is_some()).count();
        ensure!(actors == worker.residents.len(), "it holds {actors} actors, but counts {}", worker.residents.len());
        ensure!(memory == worker.used_memory, "{memory} bytes are reserved, but it counts {}", worker.used_memory);
        ensure!(memory <= worker.capacity.memory, "more memory is reserved than it has");
        let is_over = |(has, &used): (&quiltwork_types::NamedResource, &u64)| used > has.amount;
        ensure!(!worker.capacity.named.iter().zip(&worker.used_named).any(is_over), "a resource is given out twice");
        let mut bytes = 0;
        for &key in &worker.held {
            let value = self.tasks.get(key).and_then(Task::value).filter(|value| value.holders.contains(&id));
            let Some(value) = value else { return Err(format!("it holds a value that does not know: {key:?}")) };
            bytes += u128::from(value.size);
        }
        ensure!(bytes == worker.held_bytes, "it holds {bytes} bytes, but counts {}", worker.held_bytes);
        let mut adopting = 0;
        for &key in &worker.adopting {
            let is_asked = |adoption: &Adoption| matches!(adoption.adopter, Adopter::Asked(asked) if asked == id);
            match self.tasks.get(key).map(|task| &task.phase) {
                Some(Phase::Adopting(adoption)) if is_asked(adoption) => adopting += u128::from(adoption.orphan.size),
                _ => return Err(format!("it was asked to adopt what does not know: {key:?}")),
            }
        }
        ensure!(adopting == worker.adopting_bytes, "it adopts {adopting} bytes, not {}", worker.adopting_bytes);
        Ok(())
    }

    /// The queue holds exactly the queued tasks, and none that a worker with a free slot has room for.
    fn check_queue(&self) -> Result<(), String> {
        let mut queued = 0;
        for (class, rank, key) in self.ready.iter() {
            queued += 1;
            let Some(task) = self.tasks.get(key) else { return Err(format!("{key:?} is queued and has no record")) };
            let is_right = matches!(task.phase, Phase::Queued) && self.queue_place(key) == (class, rank);
            ensure!(is_right, "{} stands wrongly in the queue", task.id);
        }
        let is_queued = |task: &Task| matches!(task.phase, Phase::Queued) && !task.is_call();
        let waiting = self.tasks.iter().filter(|(_, task)| is_queued(task)).count();
        ensure!(queued == waiting, "{waiting} tasks are queued, but the queue has {queued}");
        ensure!(self.ready.heads_are_right(), "the heads of the queue are wrong");
        for (class, rank) in self.ready.blocked_classes() {
            let slots = self.shapes[class.shape].wanted.slots;
            let idle = self.workers.iter().find(|&(id, worker)| {
                worker.has_free_slots(slots) && class.caution != Caution::Alone && self.has_room(id, class, rank)
            });
            ensure!(idle.is_none(), "a task of {class:?} waits while {:?} is free", idle.map(|(id, _)| id));
        }
        ensure!(self.ready.all_were_looked_at(), "a ready task was not looked at");
        Ok(())
    }

    fn check_timers(&self) -> Result<(), String> {
        for &(due, key) in &self.timers {
            let Some(task) = self.tasks.get(key) else { return Err(format!("a timer is set for nobody: {key:?}")) };
            let pauses = matches!(task.phase, Phase::Pausing { due: pause } if pause == due);
            let hopes = task.hoping && due == self.end_of_patience(key);
            let awaits = matches!(&task.phase, Phase::Adopting(adoption)
                if matches!(adoption.adopter, Adopter::Awaited { until } if until == due));
            ensure!(pauses || hopes || awaits, "{}", with_story(task, "its timer is set for nothing"));
        }
        let awaiting = |(_, task): &(Key, &Task)| matches!(&task.phase, Phase::Adopting(adoption) if matches!(adoption.adopter, Adopter::Awaited { .. }));
        let orphans = self.tasks.iter().filter(awaiting).count();
        ensure!(orphans == self.workers.nodes.orphans(), "a node awaits an adopter for something else");
        Ok(())
    }

    fn check_shapes(&self) -> Result<(), String> {
        let mut users = BTreeMap::new();
        let of_tasks = self.tasks.iter().map(|(_, task)| task.shape);
        let of_seats = self.workers.iter().flat_map(|(_, worker)| worker.seats.iter().map(|(_, seat)| seat.shape));
        for shape in of_tasks.chain(of_seats) {
            *users.entry(shape).or_insert(0) += 1;
        }
        for (is_first, (id, shape)) in core::iter::once(true).chain(core::iter::repeat(false)).zip(self.shapes.iter()) {
            let users = users.get(&id).copied().unwrap_or(0) + u32::from(is_first);
            ensure!(shape.users == users, "{users} use {:?}, but it counts {}", shape.wanted, shape.users);
            let able = self.workers.capacities().filter(|capacity| capacity.could_hold(&shape.wanted)).count();
            ensure!(shape.able as usize == able, "{able} workers can hold {:?}, not {}", shape.wanted, shape.able);
            let is_hoping = |key: &Key| self.tasks.get(*key).is_some_and(|task| task.hoping && task.shape == id);
            ensure!(shape.hoping.iter().all(is_hoping), "somebody who does not hope is listed with {:?}", shape.wanted);
            ensure!(shape.hoping.is_empty() || able == 0, "tasks hope for {:?}, which is there", shape.wanted);
        }
        Ok(())
    }
}

fn with_story(task: &Task, wrong: &str) -> String {
    let mut text = format!("{} ({}): {wrong}", task.id, task.state());
    for entry in task.story.entries() {
        write!(text, "\n  {entry}").expect("writing to a string cannot fail");
    }
    text
}
