//! `join_logs` prints what its head promises, on a cluster, in one thread, and when a worker is killed.
use crate::programs::{promised, run};
use std::fs;

#[test]
fn the_report_is_the_promised_one_however_it_is_made() {
    let runs: [&[&str]; 4] = [&["--serial"], &[], &["--workers", "3"], &["--kill"]];
    for flags in runs {
        let run = run("join_logs", flags);
        assert!(run.success, "{flags:?}: {}", run.stderr);
        assert_eq!(run.stdout, promised(include_str!("../../examples/join_logs.rs")), "{flags:?}");
    }
}

#[test]
fn the_report_is_left_in_whole_files() {
    let folder = tempfile::tempdir().expect("a folder for the report");
    let path = folder.path().join("report");
    let run = run("join_logs", &["--output", path.to_str().expect("UTF-8")]);
    assert!(run.success, "{}", run.stderr);
    let mut names: Vec<_> =
        fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    names.sort();
    let text: String = names.iter().map(|name| fs::read_to_string(name).expect("a part")).collect();
    let rows: Vec<&str> = text.lines().filter(|line| *line != "team,errors,millis,path").collect();
    assert_eq!(rows.len(), 4, "{text}");
    assert!(rows[0].starts_with("drainage,1002,999,"), "{text}");
}
