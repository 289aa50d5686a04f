//! A distributed task runtime: split the work into patches, let many processes sew them, get one whole back.
//!
//! Mark functions as tasks, connect them to a graph, and run it: on this machine as real processes, on many machines with the
//! same code. What a failed worker held is done again elsewhere; every result is published once.
//!
//! ```no_run
//! use quiltwork::prelude::*;
//!
//! #[quiltwork::task]
//! fn count_words(path: String) -> std::io::Result<usize> {
//!     Ok(std::fs::read_to_string(path)?.split_whitespace().count())
//! }
//!
//! #[quiltwork::task]
//! fn sum(parts: Vec<usize>) -> usize {
//!     parts.iter().sum()
//! }
//!
//! #[quiltwork::main]
//! async fn main() -> quiltwork::Result<()> {
//!     let cluster = LocalCluster::builder().workers(2).start().await?;
//!     let mut graph = Graph::new();
//!     let parts: Vec<Value<usize>> = ["a.txt", "b.txt"].map(|path| graph.add(count_words(path))).into();
//!     let total = graph.add(sum(parts).named("total"));
//!     println!("{} words", cluster.client().run(graph, total).await?);
//!     Ok(())
//! }
//! ```
//!
//! | you want | look at |
//! |---|---|
//! | a function that workers can run | [`#[quiltwork::task]`](macro@task), [`TaskCall`] for its options |
//! | many tasks that use each other's results | [`Graph`], [`Client::run`] |
//! | one task now | [`Client::submit`], [`Handle`] |
//! | results as they come | [`as_completed()`] |
//! | a program without async | [`blocking::Client`], [`Handle::wait`] |
//! | a cluster on this machine | [`LocalCluster`], [`#[quiltwork::main]`](macro@main) |
//! | a cluster elsewhere | [`Client::connect`], [`Ticket`] |
//! | to know where a task runs, or tell how far it is | [`TaskContext`] |
//! | tasks that submit tasks | [`Client::current`] |
//! | state that lives in a worker and is called | [`#[quiltwork::actor]`](macro@actor), [`Actor`], [`Client::actor`] |
//! | to pass large arrays without copying them | [`Blob`], [`Array`] |
//! | to call functions in Python | [`python`], [`LocalClusterBuilder::python_workers`] |
//! | one value for many tasks | [`Client::put`], [`Client::scatter`], [`Client::broadcast`] |
//! | a value that survives the loss of machines | [`Handle::replicate`] |
//! | a task on a certain worker | [`TaskCall::on_worker`], [`Client::workers`], [`Client::who_has`] |
//! | to train a model by parameter averaging | [`train`] |
//! | to map, group, join and sort records | [`#[quiltwork::pipeline]`](macro@pipeline), [`data`] |
//! | to go through a folder of files | [`data::files`] |
//! | to decide what to do about a failure | [`Error::kind`], [`Error::is_retryable`], [`Error::hint`] |
//!
//! # Testing
//!
//! A task is tested without a cluster by calling the plain function: `assert_eq!(sum::call(vec![1, 2]), 3)`.
//!
//! A test with a cluster starts itself again for the workers, which the usual test harness would take for another run
//! of all tests. It needs a `main` of its own:
//!
//! ```toml
//! [[test]] # tests/cluster.rs
//! name = "cluster"
//! harness = false
//! ```
//!
//! In it `#[quiltwork::main]` stands above `main`, which runs the tests one after the other, or hands them to a crate
//! such as `libtest-mimic` after [`init()`]. Where that is not possible,
//! [`worker_program`](LocalClusterBuilder::worker_program) names a program with the same tasks, for example
//! `env!("CARGO_BIN_EXE_…")`; both must take the tasks from one library.
//!
//! # Speed
//!
//! Large values are encoded and sent about twenty times as fast with `--release`. A little optimization makes most of the
//! difference in debug builds too:
//!
//! ```toml
//! [profile.dev]
//! opt-level = 1
//! ```

// The macros name this crate by its name, also in here.
extern crate self as quiltwork;

mod actor;
mod argument;
mod array;
#[doc(hidden)]
pub mod bindings;
mod blob;
mod blob_reader;
mod call;
mod client;
mod context;
pub mod data;
mod encoding;
mod error;
mod graph;
mod init;
mod local;
pub mod prelude;
mod python;
mod size;
pub mod train;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[doc(hidden)]
pub use actor::Callee;
pub use actor::{Actor, ActorType, Actors, Creation};
pub use argument::{IntoArgument, Portable};
pub use array::{Array, ArrayItem};
pub use blob::{Blob, BlobItem};
pub use blob_reader::{BlobReader, BlobReaders};
pub use call::TaskCall;
pub use client::{AsCompleted, Client, Handle, HandleFuture, Outputs, Story, Ticket, as_completed, blocking};
pub use context::TaskContext;
pub use encoding::{append_value, from_bytes, take_value, to_bytes};
pub use error::{Error, ErrorKind, FailedTask, Problem, Result};
pub use graph::{Graph, Value};
pub use init::init;
pub use local::{LineSink, LocalCluster, LocalClusterBuilder, WorkerLog};
pub use python::{PythonArgument, PythonArguments, PythonFunction, python};
pub use quiltwork_macros::{actor, main, pipeline, task};
pub use quiltwork_protocol::Run;
pub use quiltwork_types::{
    AttemptId, Chapter, FailureKind, JobId, NamedResource, NodeId, Resources, StoryEntry, TaskFailure, TaskId,
    TaskState, Time, WorkerId, WorkerInfo,
};
pub use size::ByteSize;
