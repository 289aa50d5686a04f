//! The process that runs tasks: it joins a master, takes attempts, runs the functions it was built with, and serves
//! what they made to others; which attempt runs where is not its business.
//!
//! ```text
//!   master ──link──▶ session ──orders──▶ desk ──jobs──▶ slot threads ──▶ functions
//!          ◀─reports──────────────────── desk ◀─ends──────────┘
//!                       │                                     │
//!   peers  ◀──bulk──▶ peers, serving ──────▶ store ◀──values──┘
//! ```
//! Actors have threads of their own beside the slots, and mailboxes in which their calls wait.
//! Whichever of these threads waits for work drives the session meanwhile; the wheel says which of them does.
//!
//! The desk holds the slot machine, which alone knows what waits, runs or lends; everything around it carries. Beside
//! them the memory watch looks at what all of it uses.

mod area;
mod arguments;
mod block_on;
mod config;
mod context;
mod copies;
mod deadlines;
mod desk;
mod error;
mod executor;
mod failure;
mod inputs;
mod instance;
mod lending;
mod mailbox;
mod memory;
mod panics;
mod peers;
mod reader;
mod registry;
mod reports;
mod serving;
mod session;
mod slots;
mod store;
mod threads;
mod wheel;

pub use area::{Area, Upload};
pub use arguments::{Argument, Arguments, Output};
pub use block_on::block_on;
pub use config::{Share, WorkerConfig};
pub use context::{Entered, TaskContext};
pub use copies::{copied_bytes, note_copy, sent_bytes};
pub use error::WorkerError;
pub use executor::{Executor, Product};
pub use failure::{FullPlace, TaskError};
pub use instance::{Call, Calls, Instance, Reply};
pub use lending::{Lent, lend};
pub use memory::own_memory;
pub use reader::{ValueGone, ValueReader};
pub use registry::{ActorEntry, TaskEntry, registry_hash};

use executor::{Bilingual, Registered};
use quiltwork_protocol::Repertoire;
use registry::Registry;
use std::panic::resume_unwind;
use std::sync::Arc;
use tokio::runtime::Builder;
use wheel::{Engine, Wheel};

/// Works for a master, on this thread and the slot threads it starts, until the master says that it is enough.
///
/// Tasks that still run then are waited for only a moment: the process should end when this returns, and they with it.
///
/// # Errors
/// If the worker cannot join, or loses the master.
///
/// # Panics
/// If two tasks are registered under one name, or this thread runs a tokio runtime already.
pub fn run(config: WorkerConfig) -> Result<(), WorkerError> {
    let registry = Registry::of_program();
    work(config, Box::new(Registered(registry)), repertoire(registry, false))
}

/// Like [`run`], but it runs functions of Python's as well, by this executor.
///
/// # Errors
/// As for [`run`].
///
/// # Panics
/// As for [`run`].
pub fn run_with(config: WorkerConfig, executor: Box<dyn Executor>) -> Result<(), WorkerError> {
    let own = Registry::of_program();
    work(config, Box::new(Bilingual { own, other: executor }), repertoire(own, true))
}

fn repertoire(registry: &Registry, any_python: bool) -> Repertoire {
    Repertoire { functions: registry.names().map(ToOwned::to_owned).collect(), any_python }
}

fn work(config: WorkerConfig, executor: Box<dyn Executor>, repertoire: Repertoire) -> Result<(), WorkerError> {
    panics::install_hook();
    // What is still written to disk when it ends goes on, or ends with the process; nobody waits for it.
    let engine = Engine::new(Builder::new_current_thread().enable_all().build()?);
    let wheel = Wheel::new(&engine);
    let session = session::run(config, executor, repertoire, Arc::clone(&wheel));
    wheel.stand_by(&engine, session).unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))
}
