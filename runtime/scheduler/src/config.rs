//! The numbers that tune the scheduler, each with the reason for its default.
use core::time::Duration;
use quiltwork_types::Epoch;

/// Settings of a scheduler; `Config::default()` is what the design promises.
#[derive(Clone, Debug)]
pub struct Config {
    /// The life this scheduler decides in; completions of another are superseded.
    pub epoch: Epoch,
    /// Seed of the jitter in retry back-off.
    pub seed: u64,
    /// Work a worker is given beyond its slots, in expected run time per slot: enough to hide a round trip,
    /// short enough that no queue is hoarded.
    pub window: Duration,
    /// Expected run time of a function that has never finished. Above `window`, so an unknown function fills slots
    /// and nothing is queued behind it until its time is known.
    pub unknown_run_time: Duration,
    /// Attempts a worker is given at most, however short they are.
    pub max_assigned: u32,
    /// Calls of one actor that its worker has at a time: enough for a stream of calls that take no time.
    pub actor_window: u32,
    /// Bytes of the largest value that travels with an attempt, instead of being fetched.
    pub inline_limit: u64,
    /// Worker deaths after which a task is poisoned.
    pub max_deaths: u32,
    /// First pause before a failed attempt is tried again; doubles each time.
    pub retry_base: Duration,
    /// Longest pause before a failed attempt is tried again.
    pub retry_cap: Duration,
    /// How long a task whose resources no worker has waits for one that joins, before it fails with
    /// `NoSuchResources`. Counted from its submission, only while at least one worker is there.
    pub resource_patience: Duration,
    /// How long bytes in the area of a node wait for a worker there to adopt them, before a value nobody can make again
    /// counts as lost. Long enough for a process to be started again even after some failures, short enough not to be
    /// taken for a hang.
    pub adoption_patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            epoch: Epoch(1),
            seed: 0,
            window: Duration::from_millis(2),
            unknown_run_time: Duration::from_millis(4),
            max_assigned: 1024,
            actor_window: 1024,
            inline_limit: 8 * 1024,
            max_deaths: 3,
            retry_base: Duration::from_millis(100),
            retry_cap: Duration::from_secs(10),
            resource_patience: Duration::ZERO,
            adoption_patience: Duration::from_secs(10),
        }
    }
}
