//! `sort_records` sorts more than its workers may hold, whatever happens on the way, and says so itself.
use crate::programs::{Run, run};
use serde_json::Value;
use std::fs;

/// More than both workers may keep in memory together: 60 % of each limit.
const LARGE: [&str; 4] = ["--size", "128MB", "--memory", "64MiB"];

fn sort(flags: &[&str]) -> Value {
    run("sort_records", &[&["--json"], flags].concat()).json()
}

#[test]
fn more_than_memory_is_sorted_and_no_worker_uses_more_than_it_may() {
    let folder = tempfile::tempdir().expect("a folder for the files");
    let path = folder.path().to_str().expect("UTF-8");
    let summary = sort(&[&LARGE[..], &["--folder", path]].concat());
    assert_eq!((&summary["valid"], &summary["disorders"]), (&Value::Bool(true), &0.into()), "{summary}");
    assert_eq!((&summary["records"], &summary["bytes"]), (&1_280_000.into(), &128_000_000.into()));
    assert_eq!((&summary["workers_lost"], &summary["sorted_again"]), (&0.into(), &0.into()));
    let workers = summary["workers"].as_array().expect("a list");
    assert_eq!(workers.len(), 2);
    assert!(workers.iter().all(|worker| worker["share"].as_f64().is_some_and(|share| share <= 1.3)), "{summary}");
    assert_eq!(fs::read_dir(folder.path()).expect("it is still there").count(), 0, "files were left");
}

#[test]
fn a_worker_killed_while_pieces_are_merged_changes_nothing() {
    let summary = sort(&[&LARGE[..], &["--kill"]].concat());
    assert_eq!(summary["valid"], true, "{summary}");
    assert_eq!(summary["workers_lost"], 1, "{summary}");
    assert_eq!(summary["sorted_again"], 0, "what it had sorted another worker of its machine has: {summary}");
}

#[test]
fn the_records_depend_on_nothing_but_size_and_seed() {
    let reference = sort(&["--size", "1MB"]);
    for flags in [&["--workers", "1"][..], &["--workers", "3", "--memory", "20MiB"]] {
        assert_eq!(sort(&[&["--size", "1MB"], flags].concat())["checksum"], reference["checksum"], "{flags:?}");
    }
    assert_ne!(sort(&["--size", "1MB", "--seed", "2"])["checksum"], reference["checksum"]);
    assert_eq!(sort(&["--size", "100"])["records"], 1);
}

#[test]
fn a_size_without_a_record_is_refused_and_people_are_told_the_verdict() {
    let Run { success, stderr, .. } = run("sort_records", &["--size", "99"]);
    assert!(!success && stderr.contains("hint: sort at least 100 bytes"), "{stderr}");
    let told = run("sort_records", &["--size", "200kB"]);
    assert!(told.success, "{}", told.stderr);
    assert!(told.stdout.starts_with("sorted 2000 records of 100 bytes in 2 partitions with 2 workers in "));
    assert!(told.stdout.contains("\nall records are there and in order, checksum "), "{}", told.stdout);
}
