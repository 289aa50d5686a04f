//! What the documents promise about the sources: invariants name tests that exist, examples show their output.
use crate::workspace::{SCRIPTS, SOURCES, demand_none, read};

const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// A paragraph that begins with `**Invariant 7.**` and ends with `` Guarded by: `a_test`, `another`. ``
struct Invariant {
    number: usize,
    guards: Vec<String>,
}

fn invariants(text: &str) -> Vec<Invariant> {
    let apart = text.replace("\n**Invariant ", "\n\n**Invariant ");
    let paragraphs = apart.split("\n\n").filter_map(|paragraph| paragraph.trim_start().strip_prefix("**Invariant "));
    paragraphs.map(|paragraph| Invariant { number: number(paragraph), guards: guards(paragraph) }).collect()
}

fn number(paragraph: &str) -> usize {
    let number = paragraph.split_once(".**").and_then(|(number, _)| number.parse().ok());
    number.unwrap_or_else(|| panic!("{ARCHITECTURE}: not `**Invariant <number>.**`: {paragraph}"))
}

/// The names in backticks after `Guarded by:`, without the path before them.
fn guards(paragraph: &str) -> Vec<String> {
    let Some((_, names)) = paragraph.split_once("Guarded by:") else { return Vec::new() };
    let quoted = names.split('`').skip(1).step_by(2);
    quoted.filter_map(|path| path.rsplit("::").next()).map(str::to_owned).collect()
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let invariants = invariants(&read(ARCHITECTURE));
    assert!(!invariants.is_empty(), "{ARCHITECTURE} has no paragraph that begins with `**Invariant 1.**`");
    let mut complaints = Vec::new();
    for (invariant, expected) in invariants.iter().zip(1..) {
        let number = invariant.number;
        if number != expected {
            complaints.push(format!("invariant {number} stands where {expected} should"));
        }
        if invariant.guards.is_empty() {
            complaints.push(format!("invariant {number} names no test: end it with \"Guarded by: `name_of_a_test`\""));
        }
        let missing = invariant.guards.iter().filter(|name| !is_a_test(name));
        complaints.extend(missing.map(|name| format!("invariant {number} names `{name}`, which does not exist")));
    }
    demand_none(&format!("{ARCHITECTURE} and the tests differ"), &complaints);
}

/// A function, in Rust or in Python, or a test of a ring that names its tests itself.
fn is_a_test(name: &str) -> bool {
    let spellings = [format!("fn {name}("), format!("fn {name}<"), format!("trial(\"{name}\"")];
    let in_rust = SOURCES.iter().any(|source| spellings.iter().any(|spelling| source.text.contains(spelling)));
    in_rust || SCRIPTS.iter().any(|script| script.text.contains(&format!("def {name}(")))
}

#[test]
fn invariants_are_read_with_all_their_guards() {
    let text = "**Invariant 1.** One thing\nis so. Guarded by: `a`,\n`path::b`.\n\nGuarded by: `c`\n**Invariant 2.** Nobody.\n";
    let found: Vec<_> = invariants(text).into_iter().map(|i| (i.number, i.guards.join(" "))).collect();
    assert_eq!(found, [(1, "a b".to_owned()), (2, String::new())]);
}

#[test]
fn every_example_shows_its_output() {
    let programs: Vec<_> = SOURCES.iter().filter(|source| is_example(&source.path)).collect();
    assert!(!programs.is_empty(), "there are no examples");
    let shows = |text: &str| {
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        head.join("\n").to_lowercase().contains("expected output")
    };
    let complaints: Vec<_> =
        programs.iter().filter(|source| !shows(&source.text)).map(|source| source.path.clone()).collect();
    demand_none("the head of an example ends with its expected output", &complaints);
}

fn is_example(path: &str) -> bool {
    path.strip_prefix("examples/").is_some_and(|name| !name.contains('/'))
}
