//! The pure state machine that decides which task runs where: events in, actions out; no clock, no bytes, no sockets.
#![no_std]
extern crate alloc;

mod action;
mod config;
mod event;

pub use action::{Action, InputSource, Outcome};
pub use config::Config;
pub use event::Event;
