//! Task graphs, and a world without messages or clocks in which the scheduler runs them, for measuring it alone.
//!
//! ```
//! use quiltwork_scheduler_bench::{Graph, World};
//!
//! let graph = Graph::tree(1_000);
//! let history = World::new(2).run(&graph);
//! assert!(history.makespan >= graph.least_makespan(2));
//! ```
mod graph;
mod world;

pub use graph::Graph;
pub use world::{History, World, joined, submissions};
