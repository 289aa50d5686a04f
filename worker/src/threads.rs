//! Slot threads: each runs one attempt after the other until the desk has no more use for it.
use crate::desk::Desk;
use std::io;
use std::sync::Arc;
use std::thread::Builder;

/// Bytes of stack a task has: as much as a main thread usually has, so that what worked there works here.
const STACK: usize = 8 << 20;

/// Starts one more thread for a desk, which has counted it already.
///
/// # Errors
/// If the system gives no more threads.
pub(crate) fn start(desk: Arc<Desk>) -> io::Result<()> {
    Builder::new()
        .name("quiltwork-slot".into())
        .stack_size(STACK)
        .spawn(move || desk.host(&mut || run(&desk)))
        .map(drop)
}

fn run(desk: &Desk) {
    let mut next = desk.first_job();
    while let Some(job) = next {
        let attempt = job.attempt.id;
        let end = desk.run(job);
        next = desk.next_job(attempt, end);
    }
}
