//! The clock for attempts that may not run for ever; what becomes of one whose time is over is the desk's business.
use crate::desk::Desk;
use crate::error::WorkerError;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// How long a function may take to end after it was told that its time is over.
const GRACE: Duration = Duration::from_secs(1);

/// How many functions that do not end may hold threads and memory before the process, which alone can end them, must.
const MOST_ABANDONED: usize = 16;

/// Watches until too many functions go on although nobody waits for them any more.
pub(crate) async fn watch(desk: &Desk) -> WorkerError {
    loop {
        match desk.next_deadline() {
            None => desk.deadline_set().await,
            Some(due) => drop(timeout_at(due.into(), desk.deadline_set()).await),
        }
        let count = desk.on_due(Instant::now(), GRACE);
        if count > MOST_ABANDONED {
            return WorkerError::Stuck { count };
        }
    }
}
