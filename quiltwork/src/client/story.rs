//! The story of a task, to be shown to a person.
use quiltwork_types::{StoryEntry, TaskId, TaskState};
use std::fmt;

/// Where a task stands and what happened to it; displays as one line for each thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Which task.
    pub task: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// What happened, the oldest first.
    pub entries: Vec<StoryEntry>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.task, self.state)?;
        self.entries.iter().try_for_each(|entry| write!(f, "\n{entry}"))
    }
}
