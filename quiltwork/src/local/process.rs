//! One worker process from its start to its grave: how it is started, waited for and described; when to start another
//! is not decided here.
use super::builder::Command as Program;
use super::kit::{Summons, VARIABLE};
use super::output::{Output, WorkerLog};
use super::roster::as_pid;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use std::ffi::OsString;
use std::io::{self, PipeWriter, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// How to start a worker; the same for all of a node that run one program.
pub(super) struct Recipe {
    program: PathBuf,
    arguments: Vec<OsString>,
    kit: Vec<u8>,
    log: WorkerLog,
}

impl Recipe {
    /// Workers run `command`, a program with its arguments, or else this very program again; each is handed `kit`.
    ///
    /// This program is started through `/proc/self/exe`: that is what runs here, even if its file was replaced or
    /// deleted by a build meanwhile. It gets this process's arguments, so that a `main` without `init()` takes the
    /// same way to the cluster's start, where it is told what is missing.
    pub(super) fn new(command: Option<Program>, kit: Vec<u8>, log: WorkerLog) -> Self {
        let this =
            || Program { program: PathBuf::from("/proc/self/exe"), arguments: std::env::args_os().skip(1).collect() };
        let Program { program, arguments } = command.unwrap_or_else(this);
        Self { program, arguments, kit, log }
    }

    /// What is run, as people know it.
    pub(super) fn program(&self) -> PathBuf {
        std::env::current_exe().ok().filter(|_| self.is_this_program()).unwrap_or_else(|| self.program.clone())
    }

    fn is_this_program(&self) -> bool {
        self.program == Path::new("/proc/self/exe")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if self.is_this_program() {
            command.arg0(self.program());
        }
        // A group of its own: Ctrl-C reaches only the driver, and what tasks start dies with the worker.
        command.process_group(0);
        command
    }
}

/// A worker process that was started and not yet reaped.
pub(super) struct WorkerProcess {
    child: Child,
    started: Instant,
    output: Output,
    /// The worker takes the end of this pipe for the end of the driver: it must live as long as the worker.
    _lifeline: PipeWriter,
}

/// How a worker process ended.
pub(super) struct Ended {
    /// What the system says.
    pub(super) status: ExitStatus,
    /// How long it ran.
    pub(super) lasted: Duration,
    /// The last lines it printed.
    pub(super) last_lines: Vec<String>,
}

impl WorkerProcess {
    /// Starts worker number `number` and hands it its kit. The calling thread must outlive the process: the system
    /// kills the process when this very thread ends.
    pub(super) fn start(recipe: &Recipe, number: usize) -> io::Result<Self> {
        let (stdin, mut lifeline) = io::pipe()?;
        let (printed, output) = io::pipe()?;
        let summons = Summons::through(&lifeline)?;
        let started = Instant::now();
        let mut child = recipe
            .command()
            .env(VARIABLE, summons.to_string())
            .stdin(stdin)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        let output = Output::forward(printed, &recipe.log, number, child.id());
        let output = output.inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        // A process that ends before it has read its kit says why by its end.
        let _ = lifeline.write_all(&recipe.kit);
        Ok(Self { child, started, output, _lifeline: lifeline })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended, without reaping it: its process id stays its own.
    pub(super) fn wait_for_end(&self) {
        while waitid(Id::Pid(as_pid(self.pid())), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    }

    /// Reaps it after it has ended, and kills what its tasks have left running in its group.
    pub(super) fn reap(mut self) -> io::Result<Ended> {
        // Before the process is reaped: until then nobody else can have its group's number.
        let _ = killpg(as_pid(self.pid()), Signal::SIGKILL);
        let status = self.child.wait()?;
        Ok(Ended { status, lasted: self.started.elapsed(), last_lines: self.output.last_lines() })
    }
}

impl Ended {
    /// How it ended, in words, with its last lines below.
    pub(super) fn describe(&self) -> String {
        let mut text = describe_status(self.status);
        if !self.last_lines.is_empty() {
            text.push_str("; last lines:");
        }
        for line in &self.last_lines {
            text.push_str("\n    ");
            text.push_str(line);
        }
        text
    }
}

fn describe_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("signal {number} ({signal})"),
            Err(_) => format!("signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Ended {
        let command = Program { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] };
        let recipe = Recipe::new(Some(command), b"kit\n".to_vec(), WorkerLog::Null);
        let process = WorkerProcess::start(&recipe, 1).expect("a shell is everywhere");
        process.wait_for_end();
        process.reap().expect("it is our child")
    }

    #[test]
    fn an_end_is_described_with_its_last_words() {
        assert_eq!(run("exit 3").describe(), "exit status 3");
        assert_eq!(run("kill -9 $$").describe(), "signal 9 (SIGKILL)");
        let words = run("echo first; echo second >&2; kill -ABRT $$").describe();
        assert_eq!(words, "signal 6 (SIGABRT); last lines:\n    first\n    second");
    }

    #[test]
    fn it_is_handed_its_kit_and_a_summons_for_its_standard_input() {
        let ended = run("read kit; echo $kit; echo $QUILTWORK_START; stat -L -c %i /proc/self/fd/0");
        let [kit, summons, inode] = ended.last_lines.as_slice() else { panic!("{:?}", ended.last_lines) };
        assert_eq!(kit, "kit");
        assert_eq!(*summons, format!("1:{}:{inode}", std::process::id()));
    }

    #[test]
    fn what_it_left_running_in_its_group_dies_with_it() {
        let ended = run("sleep 600 & echo $!");
        let left: i32 = ended.last_lines[0].parse().expect("a process id");
        // It was killed before its parent was reaped; the system may take a moment to clear it away.
        let deadline = Instant::now() + Duration::from_secs(30);
        while is_running(left) {
            assert!(Instant::now() < deadline, "process {left} still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_running(pid: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }
}
