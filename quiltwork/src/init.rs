//! The first call in `main`: in a driver it does nothing, in a worker it is the worker's whole life.
use crate::error::{Error, Problem, Result};
use crate::local::kit::{StartKit, Summons, VARIABLE};
use nix::sys::prctl;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{dup2_stdin, getpgrp};
use quiltwork_worker::{Share, WorkerConfig};
use std::fs::File;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tracing_subscriber::EnvFilter;

/// What a process ends with that was started as a worker but never called [`init`].
pub(crate) const STATUS_UNINITIALISED: i32 = 78;
/// What to do about that.
pub(crate) const UNINITIALISED_HINT: &str = "put `quiltwork::init();` first in `main`, or write `#[quiltwork::main]` \
    above it; a test that starts a cluster needs `harness = false` and such a `main`";
/// What a worker ends with that could not start or lost its master.
const STATUS_FAILED: i32 = 1;

static INITIALISED: AtomicBool = AtomicBool::new(false);
static TASK_CLIENT_TICKET: OnceLock<String> = OnceLock::new();

/// Call this first in `main`, before the program does or prints anything; `#[quiltwork::main]` does it for you.
///
/// Workers of a [`LocalCluster`](crate::LocalCluster) are this program started again. In such a process this call does
/// not return: it runs tasks until the cluster ends, and then ends the process. In any other process it returns at
/// once and changes nothing; calling it twice does no harm.
///
/// Workers write their log to standard error, as the environment variable `QUILTWORK_LOG` says (`info`,
/// `quiltwork_worker=debug`, …; default `warn`).
pub fn init() {
    INITIALISED.store(true, Ordering::Relaxed);
    let Some(summons) = Summons::to_this_process() else { return };
    let status = match serve(summons) {
        Ok(()) => 0,
        Err(problem) => {
            eprintln!("quiltwork worker: {problem}");
            STATUS_FAILED
        }
    };
    std::process::exit(status)
}

/// Ends this process with an explanation if it was started as a worker and comes along here because [`init`] was never
/// called: going on would start a cluster in every worker of every cluster.
pub(crate) fn refuse_uninitialised_child() {
    if INITIALISED.load(Ordering::Relaxed) || Summons::to_this_process().is_none() {
        return;
    }
    eprintln!(
        "quiltwork: this process was started as a worker ({VARIABLE} is set), but `quiltwork::init()` was never called\n  \
         hint: {UNINITIALISED_HINT}"
    );
    std::process::exit(STATUS_UNINITIALISED)
}

/// Refuses to start a cluster within a task.
pub(crate) fn refuse_inside_worker() -> Result<()> {
    match task_client_ticket() {
        None => Ok(()),
        Some(_) => Err(Error::Invalid(
            Problem::new("a task cannot start a cluster of its own")
                .with_hint("inside a task, `Client::current()` is a client of the cluster the task runs in"),
        )),
    }
}

/// With what tasks of this process become clients of their cluster; `None` if this process is no worker.
pub(crate) fn task_client_ticket() -> Option<&'static str> {
    TASK_CLIENT_TICKET.get().map(String::as_str)
}

fn serve(summons: Summons) -> Result<(), Problem> {
    die_with(summons.driver)?;
    let mut pipe = take_stdin().map_err(|error| Problem::new(format!("cannot use standard input: {error}")))?;
    if !summons.is_understood() {
        return Err(Problem::new(format!("the driver starts workers in another way ({summons})"))
            .with_hint("build the worker program and the driver with the same version of quiltwork"));
    }
    let kit = StartKit::receive(&mut pipe)
        .map_err(|error| Problem::new(format!("cannot read the start kit from the driver: {error}")))?;
    watch_driver(pipe).map_err(|error| Problem::new(format!("cannot watch the driver: {error}")))?;
    write_log_to_stderr();
    TASK_CLIENT_TICKET.get_or_init(|| kit.client_ticket);
    let config = WorkerConfig {
        master: kit.master,
        identity: kit.identity,
        slots: kit.slots,
        memory: kit.memory,
        named: kit.named,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        store: Some(Share { folder: kit.area, limit: kit.area_share, spill_limit: kit.spill_share }),
    };
    quiltwork_worker::run(config).map_err(|error| Problem::new(error.to_string()))
}

/// Has the system kill this process when the driver ends. Asked for first, looked at then: a driver that ended in
/// between is seen by one of the two.
fn die_with(driver: u32) -> Result<(), Problem> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| Problem::new(format!("cannot tie this process to the driver's life: {error}")))?;
    if std::os::unix::process::parent_id() == driver {
        return Ok(());
    }
    Err(Problem::new(format!("the driver (process {driver}) is gone, or is not this process's parent"))
        .with_hint("a script given as worker program must `exec` the program"))
}

/// The pipe from the driver, taken away from standard input: tasks, and what they start, shall find that empty.
fn take_stdin() -> io::Result<File> {
    let pipe = io::stdin().as_fd().try_clone_to_owned()?;
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(File::from(pipe))
}

/// Kills this process when the pipe ends: then nobody is there any more to tell it anything. What its tasks have started
/// stands in the group its supervisor made for it, and goes as well.
fn watch_driver(mut pipe: File) -> io::Result<()> {
    let watch = move || {
        let mut nothing = [0; 16];
        loop {
            match pipe.read(&mut nothing) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                Ok(_) | Err(_) => {}
            }
        }
        let _ = killpg(getpgrp(), Signal::SIGKILL);
    };
    thread::Builder::new().name("quiltwork-driver-watch".into()).spawn(watch).map(drop)
}

fn write_log_to_stderr() {
    let filter = EnvFilter::try_from_env("QUILTWORK_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    // It fails only if the program has set a subscriber of its own before `init()`: then that one is right.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false).try_init();
}
