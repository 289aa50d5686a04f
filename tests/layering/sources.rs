//! What every Rust file must begin with, and words that must not stand in any.
use crate::workspace::{SCRIPTS, SOURCES, Source, demand_none};

/// Words of code no file may use, with what to do instead.
const BANNED: &[(&str, &str)] = &[
    ("do_send", "it ignores a full mailbox: use try_send and a policy"),
    ("unsafe", "only the mapping of sealed files, and the allocator, buffers and interrupts of Python need it"),
    ("todo", "finish it"),
    ("unimplemented", "finish it"),
];

/// Where a banned word stands by decision: path and word.
const ALLOWED: &[(&str, &str)] = &[
    ("worker/src/area/mapping.rs", "unsafe"),
    ("python/src/allocator.rs", "unsafe"),
    ("python/src/buffers.rs", "unsafe"),
    ("python/src/interrupts.rs", "unsafe"),
];

#[test]
fn every_file_begins_with_a_sentence_about_itself() {
    let complaints: Vec<_> = SOURCES
        .iter()
        .filter(|source| !begins_with_a_sentence(&source.text))
        .map(|source| source.path.clone())
        .collect();
    demand_none("a file begins with `//!` and one sentence: what it owns and what it must not do", &complaints);
}

#[test]
fn every_python_file_begins_with_a_sentence_about_itself() {
    let silent = SCRIPTS.iter().filter(|script| !begins_with_a_docstring(&script.text));
    let complaints: Vec<_> = silent.map(|script| script.path.clone()).collect();
    demand_none("a Python file begins with a docstring of one sentence or more", &complaints);
}

fn begins_with_a_docstring(text: &str) -> bool {
    let first = text.strip_prefix("\"\"\"").and_then(|rest| rest.split("\"\"\"").next());
    first.is_some_and(|first| first.split_whitespace().count() >= 4 && first.contains(['.', ':']))
}

fn begins_with_a_sentence(text: &str) -> bool {
    let first_paragraph: Vec<&str> =
        text.lines().map_while(|line| line.strip_prefix("//! ")).take_while(|line| !line.is_empty()).collect();
    let words = first_paragraph.iter().flat_map(|line| line.split_whitespace()).count();
    words >= 4 && first_paragraph.concat().contains(['.', ':'])
}

#[test]
fn what_is_no_sentence_is_noticed() {
    assert!(begins_with_a_sentence("//! The limits of a link: nothing else.\nuse x;"));
    for text in ["use x;", "// The limits of a link, and why.", "//! Limits.", "\n//! The limits of a link."] {
        assert!(!begins_with_a_sentence(text), "{text}");
    }
}

#[test]
fn banned_words_stand_nowhere() {
    let complaints: Vec<_> = SOURCES.iter().flat_map(banned_words).collect();
    demand_none("these words have no place in the sources", &complaints);
    for (path, word) in ALLOWED {
        let mut words = SOURCES.iter().filter(|source| source.path == *path).flat_map(Source::words);
        assert!(words.any(|(found, _)| found == *word), "`{word}` does not stand in {path}: no exception needed");
    }
}

fn banned_words(source: &Source) -> Vec<String> {
    let is_allowed = |word: &str| ALLOWED.contains(&(source.path.as_str(), word));
    let banned = |word: &str| BANNED.iter().find(|(name, _)| *name == word && !is_allowed(word));
    let found = source.words().into_iter().filter_map(|(word, line)| Some((banned(&word)?, line)));
    found.map(|((word, why), line)| format!("{}:{line} `{word}`: {why}", source.path)).collect()
}

#[test]
fn banned_words_are_found_in_code_and_not_in_comments() {
    let text = "//! No unsafe here.\nfn f() {\n    let s = \"do_send\";\n    a.do_send(s);\n}\n".to_owned();
    let found = banned_words(&Source { path: "f.rs".to_owned(), text });
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("f.rs:4 `do_send`"), "{found:?}");
}
