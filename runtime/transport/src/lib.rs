//! QUIC endpoints, identities, typed links and bulk streams: bytes between processes, nothing about what they mean.
//!
//! ```text
//! Endpoint ── accept / connect ──> Connection ── join / meet ──> Link       (first stream: small messages, batched)
//!                                           └── fetch / upload / accept_bulk  (a stream of its own for each value)
//! ```
//! Everything works inside any tokio runtime with time and io enabled; a current-thread runtime is the fastest place.

mod arriving;
mod bulk;
mod connection;
mod endpoint;
mod error;
mod frame;
mod handshake;
mod identity;
pub mod limits;
mod link;
mod memory;
mod outbox;
mod pool;
mod tls;

pub use arriving::Arriving;
pub use bulk::{Fetched, IncomingBulk, Outgoing, UploadDone};
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use error::{BulkError, ConnectError, EndpointError, IdentityError, JoinError, LinkError, MeetError, PushError};
pub use handshake::{Guest, join, meet};
pub use identity::{Authority, Identity, Role};
pub use link::{Link, LinkReceiver, LinkSender};
pub use memory::memory_pair;
pub use pool::WorkerPool;
