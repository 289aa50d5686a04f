//! The tasks and actors this program was built with: collected when it was linked, looked up by name; it runs none.
use crate::arguments::Arguments;
use crate::executor::Product;
use crate::failure::TaskError;
use crate::instance::Instance;
use quiltwork_types::{TypeHash, similar_names};
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
    pub run: fn(&mut Arguments) -> Result<Product, TaskError>,
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

/// What the names of Quiltwork's own tasks begin with, which every program has.
const OURS: &str = "quiltwork::";

/// A hash over the names and signatures of all tasks and actors this program has registered itself, whatever the order in
/// which they were linked; 0 if there are none.
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
        if !name.starts_with(OURS) {
            let TypeHash(hash) = TypeHash::of(&format!("{name}\n{signature}"));
            self.hash = self.hash.wrapping_add(hash);
        }
    }

    /// See [`registry_hash`].
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The names of all tasks and of the constructors of all actors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().chain(self.actors.keys()).copied()
    }

    /// The task of that name, if there is one.
    pub(crate) fn get(&self, name: &str) -> Option<&'static TaskEntry> {
        self.entries.get(name).copied()
    }

    /// The actor whose constructor has that name, if there is one.
    pub(crate) fn get_actor(&self, name: &str) -> Option<&'static ActorEntry> {
        self.actors.get(name).copied()
    }

    /// The task of that name.
    ///
    /// # Errors
    /// If there is none; the error names those that look like it.
    pub(crate) fn find(&self, name: &str) -> Result<&'static TaskEntry, TaskError> {
        self.get(name).ok_or_else(|| match self.get_actor(name) {
            Some(_) => TaskError::MakesActor { name: name.to_owned() },
            None => unknown(name, self.entries.keys()),
        })
    }

    /// The actor whose constructor has that name.
    ///
    /// # Errors
    /// As for [`find`](Self::find).
    pub(crate) fn find_actor(&self, name: &str) -> Result<&'static ActorEntry, TaskError> {
        self.get_actor(name).ok_or_else(|| unknown(name, self.actors.keys()))
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a &'static str>) -> TaskError {
    TaskError::UnknownTask { name: name.to_owned(), similar: similar_names(name, known.copied()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn task(name: &'static str, signature: &'static str) -> TaskEntry {
        TaskEntry { name, signature, run: |_| Product::of(&()) }
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
    fn a_task_that_is_not_there_is_answered_with_those_that_look_like_it() {
        let error = Registry::collect(TASKS.iter()).find("old::merge").unwrap_err();
        assert!(matches!(error, TaskError::UnknownTask { similar, .. } if similar == ["app::merge"]));
    }

    #[test]
    fn an_actor_is_no_task_and_counts_like_one() {
        static ACTORS: [ActorEntry; 1] = [ActorEntry {
            name: "app::Counter::new",
            signature: "(start: u64) -> Self",
            construct: |_| Err(TaskError::Cancelled),
        }];
        let tasks = Registry::collect(TASKS.iter());
        let (names, hash) = (tasks.names().count(), tasks.hash);
        let registry = tasks.with_actors(ACTORS.iter());
        assert!(matches!(registry.find("app::Counter::new"), Err(TaskError::MakesActor { .. })));
        assert!(registry.find_actor("app::Counter::new").is_ok());
        assert_eq!(registry.names().count(), names + 1);
        assert_ne!(registry.hash, hash);
    }

    #[test]
    fn what_every_program_has_does_not_count_for_its_hash() {
        static WITH_OURS: [TaskEntry; 2] = [task("app::merge", "()"), task("quiltwork::fetch", "()")];
        assert_eq!(Registry::collect(WITH_OURS.iter()).hash, Registry::collect(WITH_OURS[..1].iter()).hash);
        assert_eq!(Registry::collect(WITH_OURS.iter()).names().count(), 2);
    }

    #[test]
    #[should_panic(expected = "two tasks are registered as `app::merge`: `(parts: Vec<Counts>) -> Counts` and `()`")]
    fn two_tasks_of_one_name_are_refused() {
        static TWIN: [TaskEntry; 1] = [task("app::merge", "()")];
        Registry::collect(TASKS.iter().chain(&TWIN));
    }
}
