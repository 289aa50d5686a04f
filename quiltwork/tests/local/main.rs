//! Local clusters as whole processes: how they start, how they lose workers, and that nothing is left of them.
//!
//! Workers, and the drivers that some tests kill, are this very binary started again, so the harness is ours.
mod census;
mod chains;
mod copies;
mod drivers;
mod endings;
mod losses;
mod spill;
mod starts;
mod store;
mod tasks;
mod uploads;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// A hang guard, not a measurement: no test comes near it.
const LONGEST: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    // Its driver and its workers take this same way, and none of them calls `init()`.
    if role.as_deref() == Some(drivers::FORGETFUL) {
        return drivers::run_forgetful();
    }
    quiltwork::init();
    if let Some(exit_code) = role.and_then(|role| drivers::run(&role)) {
        return exit_code;
    }
    let mut arguments = Arguments::from_args();
    // Each test counts the processes and threads of this process; another one beside it would be counted too.
    arguments.test_threads = Some(1);
    let trials = [
        starts::trials(),
        losses::trials(),
        chains::trials(),
        store::trials(),
        spill::trials(),
        uploads::trials(),
        copies::trials(),
        endings::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}

/// A test that runs as a future on a thread and a runtime of its own and is given up after [`LONGEST`], also if it blocks.
/// Whatever it tests, none of its processes and areas of values may be left after it.
fn trial<F>(name: &'static str, test: fn() -> F) -> Trial
where
    F: Future<Output = anyhow::Result<()>> + 'static,
{
    Trial::test(name, move || {
        let areas = census::areas();
        let (done, outcome) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            // If nobody listens any more, it came too late.
            let _ = done.send(runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(test())));
        });
        match outcome.recv_timeout(LONGEST) {
            Ok(result) => {
                result.and_then(|()| census::nothing_is_left(&areas)).map_err(|e| Failed::from(format!("{e:?}")))
            }
            Err(RecvTimeoutError::Timeout) => Err(format!("no end after {LONGEST:?}").into()),
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Ok(()) => unreachable!("it sends before it ends"),
                Err(panic) => std::panic::resume_unwind(panic),
            },
        }
    })
}
