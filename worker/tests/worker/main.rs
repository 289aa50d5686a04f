//! Real workers in threads of this process, obeying a master that does exactly what each test says.
mod actors;
mod driving;
mod following;
mod languages;
mod lending;
mod master;
mod memory;
mod queue;
mod running;
mod session;
mod tasks;
mod transfer;
mod values;
