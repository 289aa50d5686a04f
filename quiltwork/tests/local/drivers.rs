//! Programs that start a cluster and then come to their end in one way or another.
use crate::census::{all_end, areas, areas_in, children_of, files_in, sockets_of, udp_sockets, until};
use crate::spill::fill_disk;
use crate::tasks::{double, numbers, sleep_long};
use anyhow::{Context, Result, ensure};
use quiltwork::prelude::*;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use tempfile::TempDir;

/// A program whose `main` never calls `init()`.
pub(crate) const FORGETFUL: &str = "driver:forgetful";
/// A driver whose tasks run for ever.
pub(crate) const BUSY: &str = "driver:busy";
/// A driver that leaves by `std::process::exit` while tasks run.
pub(crate) const EXITING: &str = "driver:exiting";
/// A driver that panics while tasks run.
pub(crate) const PANICKING: &str = "driver:panicking";
/// A driver that runs one task and says its result.
pub(crate) const SHORT: &str = "driver:short";

/// A driver that makes values until its disk is full, with the folder for them as its argument.
pub(crate) const FULL_DISK: &str = "driver:full-disk";

/// A driver that finds no shared memory.
pub(crate) const WITHOUT_MEMORY: &str = "driver:without-memory";

/// Starts a cluster without `init()`, as a beginner might, and says what came of it.
pub(crate) fn run_forgetful() -> ExitCode {
    match LocalCluster::builder().workers(2).start_blocking() {
        Ok(_) => println!("it started"),
        Err(error) => println!("{:?}: {error}", error.kind()),
    }
    ExitCode::SUCCESS
}

/// Runs the driver of this name, if there is one.
pub(crate) fn run(role: &str) -> Option<ExitCode> {
    let drive = match role {
        BUSY => || loop {
            std::thread::park();
        },
        EXITING => || std::process::exit(0),
        PANICKING => || panic!("as the test wants it"),
        SHORT => {
            let cluster = LocalCluster::builder().workers(1).start_blocking().expect("it starts");
            println!("{}", cluster.client().submit(double(21)).wait().expect("it runs"));
            return Some(ExitCode::SUCCESS);
        }
        FULL_DISK => return Some(fill_disk()),
        WITHOUT_MEMORY => {
            let builder = LocalCluster::builder().workers(1).shared_memory("/proc");
            drop(builder.start_blocking().expect("it starts"));
            return Some(ExitCode::SUCCESS);
        }
        _ => return None,
    };
    let cluster = LocalCluster::builder().workers(2).store_limit("2MiB").start_blocking().expect("it starts");
    let spilled = cluster.client().map([1 << 20; 4], numbers);
    spilled.iter().for_each(|made| drop(made.wait().expect("there is room on disk")));
    let _running = cluster.client().map(0..2, sleep_long);
    let pids: Vec<String> = cluster.worker_pids().iter().map(u32::to_string).collect();
    println!("{}", pids.join(" "));
    std::io::stdout().flush().expect("the test reads it");
    // The census of a driver that ends must be taken before: the test says when.
    std::io::stdin().read_line(&mut String::new()).expect("the test closes it");
    drive()
}

/// A driver on its way, in a process group of its own as a shell would start it, and its workers. It does not outlive this.
pub(crate) struct Driver {
    process: Child,
    pub(crate) workers: Vec<u32>,
    /// The UDP sockets of all of them.
    sockets: BTreeSet<String>,
    /// Where it runs and keeps its temporary files.
    folder: TempDir,
    /// The areas there were before.
    areas: BTreeSet<PathBuf>,
}

impl Driver {
    /// Starts the driver of this name and waits until its cluster runs.
    pub(crate) fn start(role: &str) -> Result<Self> {
        let (folder, areas) = (TempDir::new()?, areas());
        let mut command = command(role)?;
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let process = command.current_dir(&folder).env("TMPDIR", folder.path()).spawn()?;
        let mut driver = Self { process, workers: Vec::new(), sockets: BTreeSet::new(), folder, areas };
        driver.take_census()?;
        // Closed now: it goes on to its end.
        driver.process.stdin = None;
        Ok(driver)
    }

    /// Waits until the driver names its workers, and notes what there is.
    fn take_census(&mut self) -> Result<()> {
        let mut line = String::new();
        BufReader::new(self.process.stdout.as_mut().context("it is piped")?).read_line(&mut line)?;
        self.workers = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        ensure!(self.workers.len() == 2, "the driver said {line:?}");
        self.sockets = self.workers.iter().chain([&self.pid()]).flat_map(|pid| sockets_of(*pid)).collect();
        let sockets = &self.sockets;
        ensure!(!areas().is_subset(&self.areas), "the census does not see its area");
        let spilled = areas_in(self.folder.path()).iter().flat_map(|folder| files_in(&folder.join("0"))).count();
        ensure!(spilled > 0, "the census does not see what it has spilled");
        ensure!(sockets.len() >= 4, "a master, a client and two workers have a socket each, not {sockets:?}");
        Ok(())
    }

    /// Its process id, which is that of its group as well.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The processes it has started beside its workers.
    pub(crate) fn children_but_workers(&self) -> Vec<u32> {
        children_of(self.pid()).into_iter().filter(|pid| !self.workers.contains(pid)).collect()
    }

    /// Waits for its end and that of its workers, and says what it has left on disk.
    pub(crate) fn ends(&mut self) -> Result<Vec<PathBuf>> {
        self.process.wait()?;
        all_end(&self.workers)?;
        Ok(areas_in(self.folder.path()))
    }

    /// Waits for its end and that of its workers, and takes the census: no socket, no file, no shared memory.
    pub(crate) async fn leaves_nothing(mut self) -> Result<()> {
        self.process.wait()?;
        all_end(&self.workers)?;
        until("its sockets are gone", || self.sockets.is_disjoint(&udp_sockets())).await?;
        until("its files are gone", || files_in(self.folder.path()).is_empty()).await?;
        until("its shared memory is gone", || areas().is_subset(&self.areas)).await?;
        Ok(())
    }
}

impl Drop for Driver {
    /// Whatever became of its test. It has ended already if all went well.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// This program in another role, which Ctrl-C ends: a program started in the background of a script inherits that it is ignored.
pub(crate) fn command(role: &str) -> Result<Command> {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(std::env::current_exe()?).arg(role);
    Ok(command)
}
