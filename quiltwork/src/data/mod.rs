//! Data sets of files: list them, cut them into partitions, read a partition inside a task, merge by key. The tasks are yours.
//!
//! A data set becomes tasks in three steps, each of which is plain data and plain functions:
//!
//! ```no_run
//! use quiltwork::prelude::*;
//! use quiltwork::data::{self, FilePartition};
//!
//! type Counts = Vec<(String, u64)>;
//!
//! #[quiltwork::task]
//! fn count(partition: FilePartition) -> Result<Counts, data::DataError> {
//!     let mut lengths = Vec::new();
//!     partition.for_each_line(|line| lengths.push((format!("{} bytes", line.len()), 1)))?;
//!     Ok(data::merge_by_key([lengths], |a, b| *a += b))
//! }
//!
//! #[quiltwork::task]
//! fn merge(parts: Vec<Counts>) -> Counts {
//!     data::merge_by_key(parts, |a, b| *a += b)
//! }
//!
//! # async fn run(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
//! let partitions = data::files("corpus").extensions(["txt", "md"]).list()?.partitions(16);
//! let counts = client.map(partitions, count);
//! let total = data::tree_reduce(counts, 4, |parts| client.submit(merge(parts))).expect("there are files");
//! println!("{:?}", total.await?);
//! # Ok(())
//! # }
//! ```
//!
//! Everything happens in a fixed order: the same files give the same partitions and the same tree of merges, however
//! many workers there are and whichever of them finishes first.
mod error;
mod listing;
mod merge;
mod partition;
mod read;

pub use error::DataError;
pub use listing::{Files, ListedFile, Listing, Skipped, files};
pub use merge::{merge_by_key, tree_reduce};
pub use partition::{FilePartition, FileSlice};
