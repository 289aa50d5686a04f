//! The tasks these tests run: small arithmetic that takes time, makes big values, or misbehaves on purpose.
use quiltwork::prelude::*;
use std::time::Duration;

/// Values above the inline limit stay at the worker that made them: this many words are 32 KiB.
const WORDS: u64 = 4096;

/// A step of a fixed pseudo-random sequence (SplitMix64).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A small value that takes `millis` to make.
#[quiltwork::task]
pub(crate) fn small(seed: u64, inputs: Vec<u64>, millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    inputs.into_iter().fold(mix(seed), |sum, input| mix(sum ^ input))
}

/// A value too big to travel with messages: [`WORDS`] words grown from a seed and small inputs.
#[quiltwork::task]
pub(crate) fn big(seed: u64, inputs: Vec<u64>, millis: u64) -> Vec<u64> {
    let start = small::call(seed, inputs, millis);
    (0..WORDS).map(|i| mix(start.wrapping_add(i))).collect()
}

/// Folds big values into a small one.
#[quiltwork::task]
pub(crate) fn fold(seed: u64, inputs: Vec<Vec<u64>>, millis: u64) -> u64 {
    let sums = inputs.iter().map(|words| words.iter().fold(0, |sum, word| mix(sum ^ word))).collect();
    small::call(seed, sums, millis)
}

/// Adds one, at once.
#[quiltwork::task]
pub(crate) fn increment(number: u64) -> u64 {
    number + 1
}

/// Takes the whole worker with it.
#[quiltwork::task]
pub(crate) fn poison() -> u64 {
    eprintln!("these are my last words");
    std::process::abort()
}

/// Panics with a message.
#[quiltwork::task]
pub(crate) fn panics(number: u64) -> u64 {
    panic!("number {number} is bad luck")
}

/// Fails with an error that has a cause.
#[quiltwork::task]
pub(crate) fn reads(path: String) -> Result<u64, std::io::Error> {
    std::fs::read(path).map(|bytes| bytes.len() as u64)
}

/// Fails until its third attempt.
#[quiltwork::task]
pub(crate) fn third_time_lucky() -> Result<u32, String> {
    let attempt = TaskContext::current().expect("a task runs").attempt_number();
    if attempt < 3 { Err(format!("attempt {attempt} is too early")) } else { Ok(attempt) }
}

/// Sleeps, in pieces, until it is cancelled; says how it ended by the file it leaves.
#[quiltwork::task]
pub(crate) fn sleeps_until_cancelled(mark: String) -> u64 {
    let context = TaskContext::current().expect("a task runs");
    std::fs::write(format!("{mark}.started"), "").expect("a writable folder");
    while !context.is_cancelled() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::write(format!("{mark}.cancelled"), "").expect("a writable folder");
    0
}

/// Fibonacci by tasks that submit tasks and wait for them.
#[quiltwork::task]
pub(crate) async fn fibonacci(n: u64) -> Result<u64, quiltwork::Error> {
    if n < 2 {
        return Ok(n);
    }
    let client = Client::current()?;
    let (left, right) = (client.submit(fibonacci(n - 1)), client.submit(fibonacci(n - 2)));
    Ok(left.await? + right.await?)
}

/// Sums increments it submits itself, waiting in plain blocking code.
#[quiltwork::task]
pub(crate) fn sums_children(count: u64) -> Result<u64, quiltwork::Error> {
    let client = quiltwork::blocking::Client::current()?;
    let children: Vec<Handle<u64>> = (0..count).map(|i| client.submit(increment(i))).collect();
    children.into_iter().map(|child| child.wait()).sum()
}
