//! `word_count` against folders whose counts are known, against its own single thread, and against bad folders.
use crate::programs::{Run, run};
use std::fs;
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder for the file");
        fs::write(path, bytes).expect("a file");
    }
    folder
}

fn count(folder: &TempDir, flags: &[&str]) -> Run {
    let path = folder.path().to_str().expect("UTF-8");
    run("word_count", &[&[path], flags].concat())
}

fn sample() -> TempDir {
    folder(&[
        ("a.txt", "One two TWO three; three_THREE\n".as_bytes()),
        ("b/c.txt", "Äpfel äpfel 42 x2y \u{130}stanbul\n".as_bytes()),
        ("b/broken.txt", b"left\xff\xferight\n"),
        ("image.bin", b"\x89PNG\0 two two two two\n"),
        ("empty.txt", b""),
    ])
}

#[test]
fn words_are_counted_as_documented() {
    let summary = count(&sample(), &["--json", "--check"]).json();
    assert_eq!(summary["words"], 13);
    assert_eq!(summary["distinct"], 9, "one two three äpfel x y i̇stanbul left right");
    assert_eq!(summary["check"], true);
    assert_eq!(summary["workers_lost"], 0);
}

#[test]
fn the_most_frequent_words_come_first() {
    let run = count(&sample(), &[]);
    assert!(run.success, "{}", run.stderr);
    let lines: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[..3], [["3", "three"], ["2", "two"], ["2", "äpfel"]]);
}

#[test]
fn the_count_does_not_depend_on_workers_and_partitions() {
    let lines: Vec<_> = (0..20_000).map(|n| format!("line {n} of pass{} words\n", "x".repeat(n % 7))).collect();
    let text = lines.concat();
    let folder = folder(&[("large.txt", text.as_bytes()), ("small.txt", b"only a line")]);
    for (workers, partitions) in [("1", "1"), ("2", "7"), ("3", "64")] {
        let summary = count(&folder, &["--json", "--check", "--workers", workers, "--partitions", partitions]).json();
        assert_eq!(summary["check"], true, "{workers} workers, {partitions} partitions");
        assert_eq!(summary["bytes"], text.len() + 11);
    }
}

#[test]
fn the_sources_of_cargo_are_counted_right_although_a_worker_is_killed() {
    let summary = run("word_count", &["--json", "--check", "--kill"]).json();
    assert_eq!(summary["check"], true);
    assert!(summary["workers_lost"].as_u64().is_some_and(|lost| lost >= 1), "{summary}");
    assert!(summary["bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000), "{summary}");
}

#[test]
fn a_folder_that_is_missing_or_empty_is_refused_with_a_hint() {
    let empty = folder(&[("empty.txt", b"")]);
    let gone = empty.path().join("gone");
    for path in [empty.path(), &gone] {
        let path = path.to_str().expect("UTF-8");
        let run = run("word_count", &[path, "--json"]);
        assert!(!run.success);
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains(path) && run.stderr.contains("hint: "), "{}", run.stderr);
    }
}
