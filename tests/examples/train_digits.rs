//! `train_digits`: one and the same model whatever happens on the way, and a good one.
use crate::programs::run;
use serde_json::Value;
use std::sync::LazyLock;

fn train(flags: &[&str]) -> Value {
    run("train_digits", &[&["--json"], flags].concat()).json()
}

/// What every run must end with, computed without any cluster.
fn reference() -> &'static Value {
    static REFERENCE: LazyLock<Value> = LazyLock::new(|| train(&["--serial"]));
    &REFERENCE
}

fn accuracy(summary: &Value) -> f64 {
    summary["accuracy"].as_f64().expect("a number")
}

#[test]
fn the_model_does_not_depend_on_the_cluster() {
    let reference = reference();
    assert_eq!(reference["digest"].as_str().map(str::len), Some(64), "a SHA-256: {reference}");
    for workers in ["1", "2", "4"] {
        let summary = train(&["--workers", workers]);
        assert_eq!(summary["digest"], reference["digest"], "{workers} workers");
        assert_eq!(summary["accuracy"], reference["accuracy"]);
        assert_eq!(summary["workers_lost"], 0);
    }
}

#[test]
fn the_model_survives_a_worker_killed_while_it_trains() {
    let reference = reference();
    for workers in ["1", "2"] {
        let summary = train(&["--workers", workers, "--kill-at-round", "3"]);
        assert_eq!(summary["digest"], reference["digest"], "{workers} workers, one killed");
        assert!(summary["workers_lost"].as_u64() >= Some(1), "{summary}");
        assert_eq!(summary["rounds"], 60);
    }
}

#[test]
fn a_resumed_run_ends_with_the_same_model() {
    let folder = tempfile::tempdir().expect("a folder for the checkpoints");
    let checkpoints = ["--checkpoint", folder.path().to_str().expect("UTF-8"), "--checkpoint-every", "7"];
    let stopped = train(&[&checkpoints[..], &["--rounds", "30"]].concat());
    assert_eq!(stopped["rounds"], 30);

    let resumed = train(&[&checkpoints[..], &["--resume", "--workers", "1"]].concat());
    assert_eq!(resumed["resumed_from"], 28);
    assert_eq!(resumed["digest"], reference()["digest"]);

    let other = run("train_digits", &[&checkpoints[..], &["--resume", "--seed", "1"]].concat());
    assert!(!other.success && other.stderr.contains("hint: resume with the settings"), "{}", other.stderr);
}

#[test]
fn the_model_is_good_and_as_good_as_one_trained_centrally() {
    let averaged = reference();
    assert!(averaged["rounds"].as_u64() <= Some(60), "{averaged}");
    assert!(accuracy(averaged) >= 0.96, "{averaged}");
    // One partition holds all rows: its average is its own training, in one place.
    let central = train(&["--serial", "--partitions", "1"]);
    assert!((accuracy(&central) - accuracy(averaged)).abs() <= 0.01, "{central} and {averaged}");
}

#[test]
fn every_seed_gives_a_good_model_of_its_own() {
    let mut digests: Vec<String> = Vec::new();
    for seed in ["0", "1", "2", "3", "4"] {
        let summary = train(&["--serial", "--seed", seed]);
        assert!(accuracy(&summary) >= 0.96, "{summary}");
        digests.push(summary["digest"].to_string());
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 5);
}

#[test]
fn partitions_of_two_digits_give_one_model_too() {
    let serial = train(&["--non-iid", "--serial", "--rounds", "10"]);
    let cluster = train(&["--non-iid", "--workers", "3", "--rounds", "10"]);
    assert_eq!(serial["digest"], cluster["digest"]);
    assert_ne!(serial["digest"], train(&["--serial", "--rounds", "10"])["digest"], "the rows are dealt otherwise");
}

#[test]
fn people_are_told_the_same_as_programs() {
    let reference = train(&["--serial", "--rounds", "3"]);
    let told = run("train_digits", &["--rounds", "3"]);
    assert!(told.success, "{}", told.stderr);
    let digest = reference["digest"].as_str().expect("a text");
    assert!(told.stdout.ends_with(&format!("parameters {digest}\n")), "{}", told.stdout);
    assert!(told.stdout.starts_with("trained 3 rounds on 8 partitions with 2 workers in "), "{}", told.stdout);
    assert!(told.stderr.contains("round 1/3  loss ") && told.stderr.contains("round 3/3  loss "), "{}", told.stderr);
}
