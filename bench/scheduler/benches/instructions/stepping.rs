//! Counts instructions by letting a process take one at a time. Needs no tool but the system's own tracing of processes.
use crate::MEASURED;
use anyhow::{Context, Result, bail};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// What the measured process sends to itself before and after what is counted.
pub(crate) const BEGIN: Signal = Signal::SIGUSR1;
pub(crate) const END: Signal = Signal::SIGUSR2;

/// The C library chooses its copying functions by the processor. With these switched off, all choose the same.
const PLAIN_PROCESSOR: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-BMI2,-EVEX");

/// What was counted.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) instructions: u64,
    /// How often counting began and ended.
    pub(crate) sections: u64,
}

/// The instructions of one job, run in a process of its own.
pub(crate) fn count(job: &str) -> Result<Count> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([MEASURED, job])
        .env(PLAIN_PROCESSOR.0, PLAIN_PROCESSOR.1)
        .stdin(Stdio::piped())
        .spawn()?;
    let counted = count_in(&mut child);
    if counted.is_err() {
        // It waits for its input, or stands still.
        let _ = child.kill();
    }
    let _ = child.wait();
    counted
}

fn count_in(child: &mut Child) -> Result<Count> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    ptrace::seize(pid, ptrace::Options::PTRACE_O_EXITKILL)?;
    child.stdin.take().context("it was piped")?.write_all(b"\n")?;
    let mut count = Count::default();
    loop {
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, BEGIN) => {
                count.instructions += step_to_the_end(pid)?;
                count.sections += 1;
                ptrace::cont(pid, None)?;
            }
            WaitStatus::Exited(_, 0) if count.sections > 0 => return Ok(count),
            other => bail!("the measured process did not do its job: {other:?}"),
        }
    }
}

fn step_to_the_end(pid: Pid) -> Result<u64> {
    let mut instructions = 0;
    loop {
        ptrace::step(pid, None)?;
        match waitpid(pid, None)? {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => instructions += 1,
            WaitStatus::Stopped(_, END) => return Ok(instructions),
            other => bail!("the measured process stopped on its way: {other:?}"),
        }
    }
}
