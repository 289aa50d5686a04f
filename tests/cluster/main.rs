//! The ring of real processes: clusters that are killed, starved, fed nonsense and nested, on loopback, leaving nothing.
//!
//! Workers are this very binary started again, so the harness is ours: `quiltwork::init()` must come first in `main`.
mod actors;
mod bad_input;
mod chaos;
mod data;
mod lifetimes;
mod lineage;
mod memory;
mod nested;
mod tasks;
mod transfer;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A hang guard, not a measurement: no test comes near it.
const LONGEST: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    quiltwork::init();
    let mut arguments = Arguments::from_args();
    // Two cores: clusters beside each other would only take turns, and their kills would hit slower machines unevenly.
    arguments.test_threads = Some(1);
    let trials = [
        chaos::trials(),
        bad_input::trials(),
        nested::trials(),
        lifetimes::trials(),
        lineage::trials(),
        memory::trials(),
        data::trials(),
        transfer::trials(),
        actors::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A test that runs as a future on a runtime and a thread of its own, and is given up after [`LONGEST`] even if it
/// blocks: the end of the process ends it.
fn trial<F>(name: &'static str, test: fn() -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    Trial::test(name, move || {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(run(test)));
        match told.recv_timeout(LONGEST) {
            Ok(result) => result.map_err(|error| Failed::from(format!("{error:?}"))),
            Err(RecvTimeoutError::Timeout) => Err(format!("no end after {LONGEST:?}").into()),
            Err(RecvTimeoutError::Disconnected) => Err("it panicked".into()),
        }
    })
}

fn run<F: Future<Output = anyhow::Result<()>>>(test: fn() -> F) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(test())
}
