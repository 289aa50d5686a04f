//! What a task asks for and what a worker has; comparing the two is all this file does.
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// Slots, memory and named resources: of a worker (what it has) or of a task (what it asks for).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Units of concurrency. A task asks for 1 unless told otherwise.
    pub slots: u32,
    /// Bytes of memory; for a task 0 means "not accounted".
    pub memory: u64,
    /// Anything else that can run out, such as `gpu`; sorted by name.
    pub named: Box<[NamedResource]>,
}

/// An amount of something only users know the meaning of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedResource {
    /// Its name, for example `gpu`.
    pub name: Box<str>,
    /// How much of it, in whole units.
    pub amount: u64,
}

impl Resources {
    /// `slots` units of concurrency and nothing else.
    #[must_use]
    pub fn slots(slots: u32) -> Self {
        Self { slots, memory: 0, named: Box::default() }
    }

    /// How much of the named resource there is; 0 if it is not listed.
    #[must_use]
    pub fn amount(&self, name: &str) -> u64 {
        self.named.iter().find(|r| *r.name == *name).map_or(0, |r| r.amount)
    }

    /// Whether everything `wanted` would fit if nothing were in use.
    #[must_use]
    pub fn could_hold(&self, wanted: &Self) -> bool {
        self.slots >= wanted.slots
            && self.memory >= wanted.memory
            && wanted.named.iter().all(|r| self.amount(&r.name) >= r.amount)
    }
}

impl Default for Resources {
    /// What a task asks for unless told otherwise: one slot.
    fn default() -> Self {
        Self::slots(1)
    }
}
