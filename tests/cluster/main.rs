//! The ring of real processes: clusters that are killed, starved, fed nonsense and nested, on loopback, leaving nothing.
//!
//! Workers are this very binary started again, so the harness is ours: `quiltwork::init()` must come first in `main`.
mod bad_input;
mod chaos;
mod data;
mod lifetimes;
mod memory;
mod nested;
mod tasks;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::time::Duration;

/// A hang guard, not a measurement: no test comes near it.
const LONGEST: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    quiltwork::init();
    let mut arguments = Arguments::from_args();
    // Two cores: clusters beside each other would only take turns, and their kills would hit slower machines unevenly.
    arguments.test_threads = Some(1);
    let trials =
        [chaos::trials(), bad_input::trials(), nested::trials(), lifetimes::trials(), memory::trials(), data::trials()];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A test that runs as a future on a runtime of its own and is given up after [`LONGEST`].
fn trial<F>(name: &'static str, test: fn() -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match runtime.block_on(async { tokio::time::timeout(LONGEST, test()).await }) {
            Ok(result) => result.map_err(|error| Failed::from(format!("{error:?}"))),
            Err(_) => Err(format!("no end after {LONGEST:?}").into()),
        }
    })
}
