//! The tasks and actors this program was built with: collected when it was linked, looked up by name; it runs none.
use crate::arguments::{Arguments, Output};
use crate::failure::TaskError;
use crate::instance::Instance;
use quiltwork_types::TypeHash;
use std::collections::HashMap;
use std::sync::OnceLock;

/// A function other processes can ask for by name. Submit it with [`inventory::submit!`].
#[derive(Debug)]
pub struct TaskEntry {
    /// Its name, unique in the program: module path and function.
    pub name: &'static str,
    /// Its parameters and result as written, so that another build can be told from this one.
    pub signature: &'static str,
    /// Reads its arguments, calls it and encodes what it returns.
    pub run: fn(&mut Arguments) -> Result<Output, TaskError>,
}

/// A kind of actor other processes can ask for by name. Submit it with [`inventory::submit!`].
#[derive(Debug)]
pub struct ActorEntry {
    /// The name of its constructor, unique in the program: module path, type and function.
    pub name: &'static str,
    /// The parameters and results of its constructor and methods as written.
    pub signature: &'static str,
    /// Reads its arguments and makes one.
    pub construct: fn(&mut Arguments) -> Result<Box<dyn Instance>, TaskError>,
}

inventory::collect!(TaskEntry);
inventory::collect!(ActorEntry);

/// A hash over the names and signatures of all registered tasks and actors, whatever the order in which they were linked;
/// 0 if there are none.
///
/// # Panics
/// If two of them have the same name.
#[must_use]
pub fn registry_hash() -> u64 {
    Registry::of_program().hash()
}

/// The registered tasks and actors by name.
#[derive(Debug)]
pub(crate) struct Registry {
    entries: HashMap<&'static str, &'static TaskEntry>,
    actors: HashMap<&'static str, &'static ActorEntry>,
    hash: u64,
}

impl Registry {
    /// The tasks and actors of this program.
    ///
    /// # Panics
    /// If two of them have the same name.
    pub(crate) fn of_program() -> &'static Self {
        static REGISTRY: OnceLock<Registry> = OnceLock::new();
        REGISTRY.get_or_init(|| {
            Self::collect(inventory::iter::<TaskEntry>.into_iter())
                .with_actors(inventory::iter::<ActorEntry>.into_iter())
        })
    }

    fn collect(tasks: impl Iterator<Item = &'static TaskEntry>) -> Self {
        let mut registry = Self { entries: HashMap::new(), actors: HashMap::new(), hash: 0 };
        for task in tasks {
            if let Some(other) = registry.entries.insert(task.name, task) {
                panic!(
                    "two tasks are registered as `{}`: `{}` and `{}`\n  hint: rename one of them",
                    task.name, other.signature, task.signature
                );
            }
            registry.count(task.name, task.signature);
        }
        registry
    }

    fn with_actors(mut self, actors: impl Iterator<Item = &'static ActorEntry>) -> Self {
        for actor in actors {
            if let Some(other) = self.actors.insert(actor.name, actor) {
                panic!(
                    "two actors are registered as `{}`: `{}` and `{}`\n  hint: rename one of them",
                    actor.name, other.signature, actor.signature
                );
            }
            self.count(actor.name, actor.signature);
        }
        self
    }

    /// A sum does not depend on the order of linking.
    fn count(&mut self, name: &str, signature: &str) {
        let TypeHash(hash) = TypeHash::of(&format!("{name}\n{signature}"));
        self.hash = self.hash.wrapping_add(hash);
    }

    /// See [`registry_hash`].
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The task of that name.
    ///
    /// # Errors
    /// If there is none; the error names those that look like it.
    pub(crate) fn find(&self, name: &str) -> Result<&'static TaskEntry, TaskError> {
        match self.entries.get(name) {
            Some(task) => Ok(task),
            None => Err(unknown(name, self.entries.keys())),
        }
    }

    /// The actor whose constructor has that name.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub(crate) fn find_actor(&self, name: &str) -> Result<&'static ActorEntry, TaskError> {
        match self.actors.get(name) {
            Some(actor) => Ok(actor),
            None => Err(unknown(name, self.actors.keys())),
        }
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a &'static str>) -> TaskError {
    TaskError::UnknownTask { name: name.to_owned(), similar: similar(name, known) }
}

/// At most three of the known names that look like this one, the nearest first.
fn similar<'a>(name: &str, known: impl Iterator<Item = &'a &'static str>) -> Vec<&'static str> {
    let function = last_segment(name);
    let near = |known: &&'static str| {
        let distance = edit_distance(function, last_segment(known));
        (distance <= 1 + function.len() / 4).then_some((distance, edit_distance(name, known), *known))
    };
    let mut similar: Vec<_> = known.filter_map(near).collect();
    similar.sort_unstable();
    similar.into_iter().map(|(_, _, known)| known).take(3).collect()
}

fn last_segment(name: &str) -> &str {
    name.rsplit("::").next().unwrap_or(name)
}

/// How many bytes must be changed, added or removed to make one of the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn task(name: &'static str, signature: &'static str) -> TaskEntry {
        TaskEntry { name, signature, run: |_| Output::of(&()) }
    }

    static TASKS: [TaskEntry; 4] = [
        task("app::count_words", "(path: String) -> Counts"),
        task("app::count_lines", "(path: String) -> u64"),
        task("app::text::count_words", "(text: String) -> Counts"),
        task("app::merge", "(parts: Vec<Counts>) -> Counts"),
    ];

    #[test]
    fn the_hash_depends_on_names_and_signatures_but_not_on_the_order() {
        static CHANGED: [TaskEntry; 1] = [task("app::merge", "(parts: Vec<Counts>) -> u64")];
        let hash = Registry::collect(TASKS.iter()).hash;
        assert_eq!(hash, Registry::collect(TASKS.iter().rev()).hash);
        assert_ne!(hash, Registry::collect(TASKS[..3].iter()).hash);
        assert_ne!(hash, Registry::collect(TASKS[..3].iter().chain(&CHANGED)).hash);
        assert_eq!(Registry::collect(std::iter::empty()).hash, 0);
    }

    #[test]
    fn a_misspelt_or_moved_task_is_answered_with_the_nearest_names() {
        let registry = Registry::collect(TASKS.iter());
        let similar = |name| match registry.find(name) {
            Err(TaskError::UnknownTask { similar, .. }) => similar,
            other => panic!("{other:?}"),
        };
        assert_eq!(similar("app::count_word"), ["app::count_words", "app::text::count_words"]);
        assert_eq!(similar("old::merge"), ["app::merge"]);
        assert!(similar("app::train").is_empty());
    }

    #[test]
    #[should_panic(expected = "two tasks are registered as `app::merge`: `(parts: Vec<Counts>) -> Counts` and `()`")]
    fn two_tasks_of_one_name_are_refused() {
        static TWIN: [TaskEntry; 1] = [task("app::merge", "()")];
        Registry::collect(TASKS.iter().chain(&TWIN));
    }
}
