//! State × event → actions: one table per rule of the scheduler, each told as given, when, then.
mod adopting;
mod ahead;
mod binding;
mod calling;
mod cancelling;
mod inheriting;
mod losing;
mod placing;
mod pressing;
mod publishing;
mod referencing;
mod scaling;
mod stage;
mod submitting;
mod suspecting;
mod timing;
