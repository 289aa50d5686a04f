//! The tasks the workers of these tests run.
use quiltwork::Blob;
use quiltwork::prelude::*;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

#[quiltwork::task]
pub(crate) fn double(x: u64) -> u64 {
    2 * x
}

/// Runs longer than any test.
#[quiltwork::task]
pub(crate) fn sleep_long(_number: u64) {
    std::thread::sleep(Duration::from_secs(3600));
}

#[quiltwork::task]
pub(crate) fn sleep_millis(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

/// Says something and kills its worker.
#[quiltwork::task]
pub(crate) fn abort_after(words: String) {
    eprintln!("{words}");
    std::process::abort();
}

/// The worker it runs on, by the number of its process.
#[quiltwork::task]
pub(crate) fn process() -> u32 {
    std::process::id()
}

/// Prints to standard output.
#[quiltwork::task]
pub(crate) fn print(words: String) {
    println!("{words}");
}

/// What a task finds on standard input.
#[quiltwork::task]
pub(crate) fn read_stdin() -> String {
    let mut text = String::new();
    match std::io::stdin().read_to_string(&mut text) {
        Ok(_) => text,
        Err(error) => format!("error: {error}"),
    }
}

/// What becomes of a task that starts a cluster.
#[quiltwork::task]
pub(crate) fn start_cluster() -> String {
    match LocalCluster::builder().workers(1).start_blocking() {
        Ok(_) => "it started".into(),
        Err(error) => error.to_string(),
    }
}

/// Starts this program in the given role, as a task may start any program, and says what it printed.
#[quiltwork::task]
pub(crate) fn start_program(role: String) -> String {
    let program = std::env::current_exe().expect("there is a program");
    let output = Command::new(program).arg(role).stderr(Stdio::null()).output().expect("it can be started");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Starts a process, does not wait for it, and says its process id.
#[quiltwork::task]
pub(crate) fn leave_process() -> u32 {
    Command::new("sleep").arg("3600").stdin(Stdio::null()).spawn().expect("sleep is everywhere").id()
}

/// Numbers from 0, as a blob of that many bytes.
#[quiltwork::task]
pub(crate) fn numbers(bytes: usize) -> Blob {
    let numbers: Vec<u64> = (0..bytes as u64 / 8).collect();
    Blob::from_slice_of(&numbers)
}

/// Their sum, and how many payload bytes this worker has copied so far.
#[quiltwork::task]
pub(crate) fn sum_in_place(numbers: Blob) -> quiltwork::Result<(u64, u64)> {
    Ok((numbers.as_slice_of::<u64>()?.iter().sum(), quiltwork::__private::copied_bytes()))
}

/// Takes half a millisecond.
#[quiltwork::task]
pub(crate) fn add_slowly(left: u64, right: u64) -> u64 {
    std::thread::sleep(Duration::from_micros(500));
    left + right
}

#[quiltwork::task]
pub(crate) fn fail_after(millis: u64) -> Result<u64, String> {
    std::thread::sleep(Duration::from_millis(millis));
    Err("it failed as it was told".to_owned())
}
