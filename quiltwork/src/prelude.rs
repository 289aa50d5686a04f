//! What most programs need: `use quiltwork::prelude::*;`.
pub use crate::{Actor, Client, Graph, Handle, LocalCluster, TaskCall, TaskContext, Value, as_completed, blocking};
