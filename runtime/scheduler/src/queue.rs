//! The ready tasks in the order in which they are taken; whether a worker has room for them is not decided here.
//!
//! Tasks that ask for the same thing stand in one class: if the first of a class cannot be placed, none can, so one
//! look per class is enough, and a class that cannot be placed keeps nobody else from being placed.
use crate::line::Line;
use crate::shapes::ShapeId;
use crate::task::Key;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use quiltwork_types::{FunctionId, TaskId};

/// What a policy may look at when it ranks a ready task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyTask {
    /// Its name.
    pub id: TaskId,
    /// What it runs.
    pub function: FunctionId,
    /// `TaskSpec::priority`.
    pub priority: i32,
    /// Length of the longest chain of inputs that leads to it; 0 without inputs.
    pub depth: u32,
    /// Position among all submissions.
    pub order: u64,
}

/// Where a ready task stands; the smallest is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Compared first.
    pub first: i32,
    /// Compared if `first` is equal.
    pub second: u32,
    /// Compared last.
    pub third: u64,
}

/// Decides in which order ready tasks are taken.
pub trait QueueOrder: Send {
    /// The rank of a task. Must depend on nothing but its argument: the same task is found again by the same rank.
    fn rank(&self, task: &ReadyTask) -> Rank;
}

/// Higher priority first; then the task with the longest chain behind it, so that values are consumed before new ones
/// are made and memory stays bounded; then whoever was submitted first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConsumersFirst;

impl QueueOrder for ConsumersFirst {
    fn rank(&self, task: &ReadyTask) -> Rank {
        Rank { first: !task.priority, second: !task.depth, third: task.order }
    }
}

/// What all tasks of a class have in common, and all that decides whether a worker has room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassId {
    pub(crate) shape: ShapeId,
    pub(crate) function: FunctionId,
    pub(crate) caution: Caution,
}

/// How carefully a task is placed, by the number of workers that died holding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caution {
    /// No death: may be sent ahead of a free slot.
    None,
    /// One death: only into a free slot.
    FreeSlot,
    /// Two or more: only alone on a worker, so that the next death tells exactly who did it.
    Alone,
}

impl Caution {
    pub(crate) const fn after(deaths: u32) -> Self {
        match deaths {
            0 => Self::None,
            1 => Self::FreeSlot,
            _ => Self::Alone,
        }
    }
}

/// The first task of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) rank: Rank,
    pub(crate) class: ClassId,
    pub(crate) key: Key,
    /// Whether there was no room for the class; only a worker that gained room since may have some.
    pub(crate) is_blocked: bool,
}

/// The ready tasks of one class.
#[derive(Debug, Default)]
struct Class {
    ranks: Line<(Rank, Key)>,
    /// No worker had room; only a worker that gained room since may have some.
    blocked: bool,
}

/// All ready tasks.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    /// Never contains an empty class.
    classes: BTreeMap<ClassId, Class>,
    /// The best rank of every class.
    heads: Line<(Rank, ClassId)>,
    /// Room of the class that was emptied last, for the next one: a lone task's class comes and goes with it.
    spare: Line<(Rank, Key)>,
}

impl ReadyQueue {
    pub(crate) fn insert(&mut self, class: ClassId, rank: Rank, key: Key) {
        let spare = &mut self.spare;
        let class_of = || Class { ranks: core::mem::take(spare), blocked: false };
        let entry = self.classes.entry(class).or_insert_with(class_of);
        let before = entry.ranks.first();
        entry.ranks.insert((rank, key));
        if before.is_none_or(|(before, _)| rank < before) {
            before.map(|(before, _)| self.heads.remove((before, class)));
            self.heads.insert((rank, class));
        }
    }

    /// The best rank of all.
    pub(crate) fn first_rank(&self) -> Option<Rank> {
        self.heads.first().map(|(rank, _)| rank)
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, class: ClassId, rank: Rank, key: Key) -> bool {
        let Entry::Occupied(mut entry) = self.classes.entry(class) else { return false };
        let ranks = &mut entry.get_mut().ranks;
        if !ranks.remove((rank, key)) {
            return false;
        }
        let after = ranks.first().map(|(rank, _)| rank);
        // It was not the first if nobody of that rank or behind it is.
        if after.is_none_or(|after| rank < after) {
            self.heads.remove((rank, class));
            after.map(|after| self.heads.insert((after, class)));
        }
        if after.is_none() {
            self.spare = entry.remove().ranks;
        }
        true
    }

    /// The class whose first task stands next in rank after a given one, and that task.
    pub(crate) fn next_after(&self, passed: Option<(Rank, ClassId)>) -> Option<Head> {
        let (rank, class) = passed.map_or_else(|| self.heads.first(), |passed| self.heads.first_after(passed))?;
        let Class { ranks, blocked } = self.classes.get(&class)?;
        let (_, key) = ranks.first()?;
        Some(Head { rank, class, key, is_blocked: *blocked })
    }

    /// The best rank in a class; `None` if nothing of it is ready.
    pub(crate) fn head(&self, class: ClassId) -> Option<Rank> {
        self.classes.get(&class).and_then(|class| class.ranks.first()).map(|(rank, _)| rank)
    }

    pub(crate) fn block(&mut self, class: ClassId) {
        if let Some(class) = self.classes.get_mut(&class) {
            class.blocked = true;
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ClassId, Rank, Key)> {
        self.classes.iter().flat_map(|(&id, class)| class.ranks.iter().map(move |(rank, key)| (id, rank, key)))
    }

    /// All tasks of some classes.
    pub(crate) fn of_classes(&self, is_wanted: impl Fn(ClassId) -> bool) -> Vec<Key> {
        let classes = self.classes.iter().filter(|(id, _)| is_wanted(**id));
        classes.flat_map(|(_, class)| class.ranks.iter().map(|(_, key)| key)).collect()
    }

    /// Whether everything that is still here could not be placed.
    pub(crate) fn all_were_looked_at(&self) -> bool {
        self.classes.values().all(|class| class.blocked)
    }

    /// Classes that could not be placed, with their best rank.
    pub(crate) fn blocked_classes(&self) -> impl Iterator<Item = (ClassId, Rank)> {
        let blocked = self.classes.iter().filter(|(_, class)| class.blocked);
        blocked.filter_map(|(&id, class)| class.ranks.first().map(|(rank, _)| (id, rank)))
    }

    /// Whether `heads` lists exactly the first task of every class.
    pub(crate) fn heads_are_right(&self) -> bool {
        let first = |(&id, class): (&ClassId, &Class)| class.ranks.first().map(|(rank, _)| (rank, id));
        let mut firsts: Vec<_> = self.classes.iter().map(first).collect();
        firsts.sort_unstable();
        firsts.into_iter().eq(self.heads.iter().map(Some))
    }
}
