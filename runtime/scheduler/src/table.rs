//! The table of task records: by key in pages, by id through one dense list per job. It knows no rules.
use crate::ids::SpentNumbers;
use crate::records::Records;
use crate::task::{Edge, Key, Task};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::{Index, IndexMut};
use quiltwork_types::{JobId, TaskId};

/// Task numbers a job may leave out in total. Numbers are dense but may overtake each other on their way;
/// a number far ahead would only make us allocate.
pub(crate) const MAX_HOLES: u32 = 1_000_000;
/// Entry of a number that was not submitted yet.
const UNUSED: u32 = u32::MAX;
/// Entry of a number whose record is gone.
const FORGOTTEN: u32 = u32::MAX - 1;

/// All task records.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    records: Records,
    jobs: BTreeMap<JobId, Job>,
    closed: SpentNumbers,
}

/// The task numbers of one job.
#[derive(Debug, Default)]
struct Job {
    /// Every number below this one is forgotten.
    first: u32,
    /// Keys of the numbers from `first` on.
    keys: VecDeque<u32>,
    /// How many of `keys` are `UNUSED`.
    holes: u32,
}

/// What is known of a task number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Free to use.
    Unused,
    /// Used by a task that has a record.
    Known(Key),
    /// Used by a task whose record is gone.
    Forgotten,
    /// So far ahead of the others that it is not believed.
    TooFar,
}

impl Tasks {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn is_closed(&self, job: JobId) -> bool {
        self.closed.contains(job.0)
    }

    pub(crate) fn find(&self, id: TaskId) -> Option<Key> {
        match self.number(id) {
            Number::Known(key) => Some(key),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Task> {
        self.records.get(key)
    }

    pub(crate) fn number(&self, id: TaskId) -> Number {
        let Some(job) = self.jobs.get(&id.job) else {
            return if id.index > MAX_HOLES { Number::TooFar } else { Number::Unused };
        };
        let Some(offset) = id.index.checked_sub(job.first) else { return Number::Forgotten };
        match job.keys.get(offset as usize) {
            Some(&UNUSED) => Number::Unused,
            Some(&FORGOTTEN) => Number::Forgotten,
            Some(&key) => Number::Known(Key(key)),
            None if job.holes_with(offset) > MAX_HOLES => Number::TooFar,
            None => Number::Unused,
        }
    }

    /// Adds a record under its id, whose number must be unused.
    pub(crate) fn insert(&mut self, task: Task) -> Key {
        let id = task.id;
        let key = self.records.insert(task);
        let job = self.jobs.entry(id.job).or_default();
        let offset = id.index - job.first;
        if let Some(entry) = job.keys.get_mut(offset as usize) {
            *entry = key.0;
            job.holes -= 1;
        } else {
            job.holes = job.holes_with(offset);
            job.keys.resize(offset as usize, UNUSED);
            job.keys.push_back(key.0);
        }
        key
    }

    /// Takes a record out; its number counts as forgotten.
    pub(crate) fn remove(&mut self, key: Key) -> Task {
        let task = self.records.remove(key);
        let job = self.jobs.get_mut(&task.id.job).expect("the job of a record is in the table");
        job.keys[(task.id.index - job.first) as usize] = FORGOTTEN;
        while job.keys.front() == Some(&FORGOTTEN) {
            job.keys.pop_front();
            job.first += 1;
        }
        task
    }

    /// Closes a job for good and tells which records it had; each must be removed by `discard`.
    pub(crate) fn close(&mut self, job: JobId) -> Vec<Key> {
        self.closed.insert(job.0);
        let keys = self.jobs.remove(&job).map(|job| job.keys).unwrap_or_default();
        keys.into_iter().filter(|&key| key != UNUSED && key != FORGOTTEN).map(Key).collect()
    }

    /// Takes out a record of a job that was closed.
    pub(crate) fn discard(&mut self, key: Key) -> Task {
        self.records.remove(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Task)> {
        self.records.iter()
    }

    /// Makes `consumer`, which is unfinished, depend on each of `inputs`.
    pub(crate) fn connect(&mut self, consumer: Key, inputs: &[Key]) {
        let mut edges = Vec::with_capacity(inputs.len());
        let mut depth = 0;
        for (&key, slot) in inputs.iter().zip(0..) {
            let input = &mut self[key];
            let back = u32::try_from(input.consumers.len()).expect("fewer than 2^32 edges fit in memory");
            input.consumers.push(Edge { task: consumer, slot });
            input.needing += 1;
            depth = depth.max(input.depth.saturating_add(1));
            edges.push(Edge { task: key, slot: back });
        }
        let consumer = &mut self[consumer];
        consumer.inputs = edges.into_boxed_slice();
        consumer.depth = depth;
    }

    /// Undoes `connect`; the returned edges tell what the inputs were.
    pub(crate) fn disconnect(&mut self, consumer: Key) -> Box<[Edge]> {
        let mut inputs = core::mem::take(&mut self[consumer].inputs);
        for i in 0..inputs.len() {
            let Edge { task: input, slot } = inputs[i];
            let consumers = &mut self[input].consumers;
            consumers.swap_remove(slot as usize);
            match consumers.get(slot as usize).copied() {
                // The same input listed twice.
                Some(moved) if moved.task == consumer => inputs[moved.slot as usize].slot = slot,
                Some(moved) => self[moved.task].inputs[moved.slot as usize].slot = slot,
                None => {}
            }
        }
        inputs
    }
}

impl Job {
    /// How many holes there would be if `keys` reached up to `offset`.
    fn holes_with(&self, offset: u32) -> u32 {
        let end = u32::try_from(self.keys.len()).expect("task numbers are u32");
        self.holes.saturating_add(offset - end)
    }
}

impl Index<Key> for Tasks {
    type Output = Task;

    fn index(&self, key: Key) -> &Task {
        self.records.get(key).expect("who has a key has a record")
    }
}

impl IndexMut<Key> for Tasks {
    fn index_mut(&mut self, key: Key) -> &mut Task {
        self.records.get_mut(key).expect("who has a key has a record")
    }
}
