//! The actors of a master process: they connect links to the scheduler and decide nothing themselves.
//!
//! ```text
//! bytes ─> link ─> WorkerLink ─> Event ─┐                                      ┌─> Action ─> WorkerLink ─> bytes
//!                                       ├─> Master: scheduler.handle(event) ─┤
//! bytes ─> link ─> ClientLink ─> Event ─┘                                      └─> Action ─> ClientLink ─> bytes
//! ```
//! One `Master` actor owns the scheduler, the clock, the payloads and the names of functions; one `WorkerLink` per worker
//! and one `ClientLink` per client own a connection each. All live on one thread. Nothing queues without a limit:
//!
//! - A link is read on when the master has handled what was read, so it has one batch at a time with the master.
//! - The master sends a link one message per batch. A worker's orders are bounded by what the scheduler gives it; a
//!   client's news wait as ids until its link has taken the news before.
//! - A link that does not keep up is closed: the worker is lost, the client gone.

mod abilities;
mod assignment;
mod bulk;
mod client_link;
mod config;
mod delivery;
mod departed;
mod doorway;
mod functions;
mod handle;
mod intake;
mod listener;
mod master;
mod notices;
mod orders;
mod outbox;
mod payloads;
mod reports;
mod submission;
mod values;
mod worker_link;

pub use config::MasterConfig;
pub use doorway::{Doorway, Ear, Left};
pub use handle::{MasterHandle, StartError, start};
