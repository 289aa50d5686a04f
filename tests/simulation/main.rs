//! Seeded simulation of the scheduler: a cluster, its client and its faults in virtual time, every event verified.
//!
//! One seed is one history. `QUILTWORK_SIM_SEED=n` runs a single one and prints it; `QUILTWORK_SIM_SEEDS=n` sets how
//! many are run. A seed that fails belongs into `kept_seeds.txt`.
mod actors;
mod client;
mod dice;
mod nonsense;
mod oracle;
mod worker;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// Events of the troubled part of each history.
const EVENTS: usize = 2_000;
/// Histories run unless told otherwise.
const SEEDS: u64 = 500;
/// Histories run at once.
const THREADS: usize = 2;

#[test]
fn every_history_keeps_every_promise() {
    if let Some(seed) = number_from("QUILTWORK_SIM_SEED") {
        World::new(seed, true).live(EVENTS).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        return;
    }
    let seeds = number_from("QUILTWORK_SIM_SEEDS").unwrap_or(SEEDS);
    let failures: Vec<String> = std::thread::scope(|scope| {
        let share = move |thread| (thread..seeds).step_by(THREADS).filter_map(failure_of).collect::<Vec<_>>();
        let threads: Vec<_> = (0..).take(THREADS).map(|thread| scope.spawn(move || share(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("panics are caught")).collect()
    });
    report(&failures);
}

#[test]
fn seeds_that_once_failed_do_not_fail_again() {
    let kept = include_str!("kept_seeds.txt").lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let seeds = kept.filter(|line| !line.is_empty()).map(|line| line.parse().expect("a kept seed is a number"));
    report(&seeds.filter_map(failure_of).collect::<Vec<_>>());
}

/// A history that is run twice is the same: without that, a seed would be worth nothing.
#[test]
fn a_seed_tells_the_whole_history() {
    for seed in 0..5 {
        let digest = |_| {
            let mut world = World::new(seed, false);
            world.live(300).map(|()| world.digest())
        };
        assert_eq!(digest(1), digest(2), "seed {seed}");
    }
}

fn failure_of(seed: u64) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| World::new(seed, false).live(EVENTS)));
    let wrong = match outcome {
        Ok(Ok(())) => return None,
        Ok(Err(wrong)) => wrong,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            format!("panicked: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default())
        }
    };
    Some(format!("seed {seed}: {wrong}"))
}

fn report(failures: &[String]) {
    let some = failures.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(failures.is_empty(), "{} histories failed; QUILTWORK_SIM_SEED=n prints one:\n{some}", failures.len());
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}
