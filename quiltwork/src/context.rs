//! What a task's own code can ask about itself, and how waiting inside a task lends its slots.
pub use quiltwork_worker::TaskContext;

use quiltwork_worker::{Lent, lend};
use std::task::Poll;

/// Held by every future that waits for the cluster: inside a task, its slots are lent while it waits.
#[derive(Default)]
pub(crate) struct Waiting(Option<Lent>);

impl Waiting {
    /// Lends when the first poll finds nothing, takes back when there is something.
    pub(crate) fn during<T>(&mut self, poll: Poll<T>) -> Poll<T> {
        match &poll {
            Poll::Pending if self.0.is_none() => self.0 = lend(),
            Poll::Pending => {}
            Poll::Ready(_) => self.0 = None,
        }
        poll
    }
}
