//! Who may import whom: a crate imports only crates of a strictly lower floor.
use crate::workspace::{CRATES, Crate, SOURCES, demand_none};

/// The floors, as docs/ARCHITECTURE.md describes them, in the order of the members.
const FLOORS: &[(&str, u8)] = &[
    ("quiltwork-types", 0),
    ("quiltwork-macros", 0),
    ("quiltwork-scheduler", 1),
    ("quiltwork-protocol", 1),
    ("quiltwork-transport", 2),
    ("quiltwork-master", 3),
    ("quiltwork-worker", 3),
    ("quiltwork", 4),
    ("quiltwork-python", 5),
    ("quiltwork-examples", 5),
    ("quiltwork-scheduler-bench", 6),
    ("quiltwork-bench", 6),
    ("quiltwork-tests", 6),
];

/// All the scheduler may stand on: anything else could bring in a clock, a lock or a socket.
const SCHEDULER_MAY_USE: &[&str] = &["quiltwork-types", "slab", "smallvec"];

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

fn krate(name: &str) -> &'static Crate {
    CRATES.iter().find(|krate| krate.name == name).unwrap_or_else(|| panic!("{name} is not a member"))
}

#[test]
fn members_stand_in_floor_order() {
    let members: Vec<&str> = CRATES.iter().map(|krate| krate.name.as_str()).collect();
    let known: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, known, "the members of Cargo.toml and the floors of tests/layering/floors.rs differ");
    assert!(FLOORS.is_sorted_by_key(|(_, floor)| floor));
}

#[test]
fn crates_import_only_lower_floors() {
    let mut complaints = Vec::new();
    for krate in CRATES.iter() {
        let own = floor(&krate.name).unwrap_or_else(|| panic!("{} has no floor", krate.name));
        for (name, other) in krate.dependencies().iter().filter_map(|name| Some((name.clone(), floor(name)?))) {
            if other >= own {
                complaints.push(format!("{} (F{own}) imports {name} (F{other})", krate.name));
            }
        }
    }
    demand_none("a crate imports only crates of a strictly lower floor", &complaints);
}

#[test]
fn examples_import_only_what_users_import() {
    let ours: Vec<String> =
        krate("quiltwork-examples").dependencies().into_iter().filter(|name| floor(name).is_some()).collect();
    assert_eq!(ours, ["quiltwork"]);
}

#[test]
fn the_binding_to_python_is_one_to_the_public_crate() {
    let ours: Vec<String> =
        krate("quiltwork-python").dependencies().into_iter().filter(|name| floor(name).is_some()).collect();
    assert_eq!(ours, ["quiltwork"]);
    named_only("pyo3", &["quiltwork-python"], |path| path.starts_with("python/"));
}

#[test]
fn the_scheduler_is_pure() {
    for name in krate("quiltwork-scheduler").dependencies() {
        assert!(SCHEDULER_MAY_USE.contains(&name.as_str()), "the scheduler must not depend on {name}");
    }
    let source = SOURCES.iter().find(|source| source.path == "runtime/scheduler/src/lib.rs");
    let syntax = source.expect("the scheduler has a lib.rs").syntax();
    assert!(syntax.attrs.iter().any(|a| a.path().is_ident("no_std")), "the scheduler must be #![no_std]");
}

#[test]
fn bincode_is_named_in_one_file() {
    named_only("bincode", &["quiltwork-protocol"], |path| path == "runtime/protocol/src/codec.rs");
}

#[test]
fn actix_stays_in_the_master() {
    named_only("actix", &["quiltwork-master"], |path| path.starts_with("runtime/master/"));
}

/// Demands that `word` is a dependency of these crates and a word of these files only.
fn named_only(word: &str, crates: &[&str], file_may: impl Fn(&str) -> bool) {
    let mut complaints = Vec::new();
    for krate in CRATES.iter().filter(|krate| !crates.contains(&krate.name.as_str())) {
        if krate.dependencies().iter().any(|name| name == word) {
            complaints.push(format!("{}/Cargo.toml", krate.folder));
        }
    }
    for source in SOURCES.iter().filter(|source| !file_may(&source.path)) {
        if let Some((_, line)) = source.words().iter().find(|(name, _)| name == word) {
            complaints.push(format!("{}:{line}", source.path));
        }
    }
    demand_none(&format!("`{word}` has no place in these files"), &complaints);
}

#[test]
fn training_and_data_use_only_the_public_client() {
    let folders = ["quiltwork/src/train/", "quiltwork/src/data/"];
    let mut complaints = Vec::new();
    for source in SOURCES.iter().filter(|source| folders.iter().any(|folder| source.path.starts_with(folder))) {
        for (word, line) in source.words() {
            if word.starts_with("quiltwork_") || word == "actix" {
                complaints.push(format!("{}:{line} names {word}", source.path));
            }
        }
    }
    demand_none("what `train` and `data` need, the public client must offer", &complaints);
}
