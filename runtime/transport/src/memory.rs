//! A link between two ends in one process, for a client in its master's process and for tests: the same outboxes, limits and batching, but no sockets.
use crate::link::{Link, Source, Tap};
use crate::outbox::Outbox;
use quiltwork_protocol::Message;
use std::sync::Arc;

/// Both sides of a link that needs no endpoint and no running runtime.
///
/// The receiver drains its peer's outbox itself, so what was pushed counts against
/// [`OUTBOX_LIMIT`](crate::limits::OUTBOX_LIMIT) until it was received.
#[must_use]
pub fn memory_pair<A: Message, B: Message>() -> (Link<A, B>, Link<B, A>) {
    let (left, right) = (Arc::new(Outbox::new()), Arc::new(Outbox::new()));
    (Link::new(left.clone(), tap(&right)), Link::new(right, tap(&left)))
}

fn tap(outbox: &Arc<Outbox>) -> Source {
    Source::Memory(Tap { outbox: outbox.clone(), taken: Vec::new(), read: 0 })
}
