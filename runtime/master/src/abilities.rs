//! In a mixed cluster: which functions its workers can run, and what a task asks for so that it gets to one that can; it
//! places nothing.
//!
//! What a worker can run is a resource of which it has plenty, so the scheduler needs no word for it. A cluster whose
//! workers all run one program has none of this.
use crate::functions::{FUNCTIONS_IN_CLUSTER, Functions};
use quiltwork_protocol::Repertoire;
use quiltwork_types::{
    FailureKind, FunctionId, NamedResource, TaskFailure, TaskRole, TaskSpec, did_you_mean, is_python, similar_names,
};
use std::collections::HashSet;

/// What the workers can run that have joined so far. None of it is forgotten: a lost worker is started again.
#[derive(Default)]
pub(crate) struct Abilities {
    known: HashSet<String>,
    any_python: bool,
    /// Whether a worker has joined at all; before that nobody can say what is unknown.
    met: bool,
    /// What each of the cluster's functions needs, by its number.
    needs: Vec<Need>,
}

/// What a function needs.
struct Need {
    ability: NamedResource,
    /// Whether a worker was there that has it.
    known: bool,
}

impl Abilities {
    /// Learns what a worker can run.
    pub(crate) fn learn(&mut self, repertoire: &Repertoire, functions: &Functions) {
        let room = FUNCTIONS_IN_CLUSTER.saturating_sub(self.known.len());
        let new: Vec<_> = repertoire.functions.iter().filter(|name| !self.known.contains(*name)).take(room).collect();
        if self.met && new.is_empty() && (self.any_python || !repertoire.any_python) {
            return;
        }
        self.known.extend(new.into_iter().cloned());
        self.any_python |= repertoire.any_python;
        self.met = true;
        for number in (0..).map(FunctionId).take(self.needs.len()) {
            self.needs[number.0 as usize].known = self.knows(functions.name(number));
        }
    }

    /// Looks up what the functions need that were numbered since the last time.
    pub(crate) fn keep_up(&mut self, functions: &Functions) {
        for name in functions.names().skip(self.needs.len()) {
            let need = Need { ability: NamedResource::of_ability(name), known: self.knows(name) };
            self.needs.push(need);
        }
    }

    /// Lets a task ask for a worker that can run it. A call of an actor runs where that lives, whatever it is called.
    ///
    /// # Errors
    /// If no worker ever could.
    pub(crate) fn bind(&self, spec: &mut TaskSpec, functions: &Functions) -> Result<(), Box<TaskFailure>> {
        let Some(function) = spec.function.filter(|_| !matches!(spec.role, TaskRole::Call { .. })) else {
            return Ok(());
        };
        let need = &self.needs[function.0 as usize];
        if self.met && !need.known {
            return Err(self.unknown(spec, functions.name(function)));
        }
        let mut named = std::mem::take(&mut spec.resources.named).into_vec();
        let place = named.partition_point(|other| other.name < need.ability.name);
        named.insert(place, need.ability.clone());
        spec.resources.named = named.into_boxed_slice();
        Ok(())
    }

    fn knows(&self, function: &str) -> bool {
        if is_python(function) { self.any_python } else { self.known.contains(function) }
    }

    fn unknown(&self, spec: &TaskSpec, function: &str) -> Box<TaskFailure> {
        let similar = similar_names(function, self.known.iter().map(String::as_str));
        let advice = if is_python(function) {
            "start workers for Python, with `.python_workers(…)`"
        } else {
            "start workers of the program that has it, or rebuild it and start them again"
        };
        let message = format!("no worker of this cluster has the function `{function}`");
        let failure = TaskFailure::new(FailureKind::UnknownTask, spec.id, message);
        let mut failure = failure.with_hint(did_you_mean(&similar) + advice);
        spec.name.as_deref().unwrap_or(function).clone_into(&mut failure.name);
        Box::new(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::{JobId, Resources, TaskId};

    /// A cluster that was asked for these functions.
    fn asked(names: &[&str]) -> (Abilities, Functions) {
        let (mut abilities, mut functions) = (Abilities::default(), Functions::default());
        for name in names {
            functions.number_of(name).unwrap();
        }
        abilities.keep_up(&functions);
        (abilities, functions)
    }

    fn repertoire(functions: &[&str], any_python: bool) -> Repertoire {
        Repertoire { functions: functions.iter().map(ToString::to_string).collect(), any_python }
    }

    fn spec(function: u32) -> TaskSpec {
        TaskSpec::new(TaskId { job: JobId(1), index: 1 }, FunctionId(function), Vec::new())
    }

    fn bound(abilities: &Abilities, functions: &Functions, function: u32) -> Result<Resources, String> {
        let mut spec = spec(function);
        let bound = abilities.bind(&mut spec, functions);
        bound.map(|()| spec.resources).map_err(|failure| failure.hint.expect("it says what to do"))
    }

    #[test]
    fn a_task_is_bound_to_the_workers_that_have_its_function() {
        let (mut abilities, functions) = asked(&["app::count", "words:load", "app::merge"]);
        let (rust, python) = (repertoire(&["app::count", "app::merge"], false), repertoire(&["app::merge"], true));
        abilities.learn(&rust, &functions);
        abilities.learn(&python, &functions);
        let capacity = |repertoire: &Repertoire| {
            let names = repertoire.functions.iter().map(String::as_str);
            Resources::slots(1).able_to_run(names, repertoire.any_python)
        };
        let can = |function| {
            let wanted = bound(&abilities, &functions, function).unwrap();
            (capacity(&rust).could_hold(&wanted), capacity(&python).could_hold(&wanted))
        };
        assert_eq!([can(0), can(1), can(2)], [(true, false), (false, true), (true, true)]);
    }

    #[test]
    fn an_actor_is_made_where_its_type_is_known_and_called_where_it_lives() {
        let (mut abilities, functions) = asked(&["app::Counter::new", "app::Counter::add"]);
        abilities.learn(&repertoire(&["app::Counter::new"], false), &functions);
        assert_eq!(bound(&abilities, &functions, 0).unwrap().named.len(), 1);
        let actor = TaskId { job: JobId(1), index: 0 };
        let mut call = TaskSpec { role: TaskRole::Call { actor, lane: 0 }, ..spec(1) };
        abilities.bind(&mut call, &functions).unwrap();
        assert_eq!(call.resources, Resources::default());
        assert!(bound(&abilities, &functions, 1).is_err());
    }

    #[test]
    fn what_no_worker_has_is_refused_as_soon_as_there_is_one() {
        let (mut abilities, functions) = asked(&["app::cont", "words:load"]);
        assert!(bound(&abilities, &functions, 0).is_ok());
        abilities.learn(&repertoire(&["app::count"], false), &functions);
        let hint = bound(&abilities, &functions, 0).unwrap_err();
        assert!(hint.starts_with("did you mean `app::count`? "), "{hint}");
        assert!(bound(&abilities, &functions, 1).unwrap_err().contains("python_workers"));

        abilities.learn(&repertoire(&["app::cont"], true), &functions);
        assert!(bound(&abilities, &functions, 0).is_ok() && bound(&abilities, &functions, 1).is_ok());
    }

    #[test]
    fn the_ability_stands_in_its_place_among_other_resources() {
        let (mut abilities, functions) = asked(&["words:load"]);
        abilities.learn(&repertoire(&[], true), &functions);
        let mut spec = spec(0);
        spec.resources.named = ["gpu", "tpu"].map(|name| NamedResource { name: name.into(), amount: 1 }).into();
        abilities.bind(&mut spec, &functions).unwrap();
        let names: Vec<_> = spec.resources.named.iter().map(|resource| &*resource.name).collect();
        assert_eq!(names, ["gpu", "runs:python", "tpu"]);
    }
}
