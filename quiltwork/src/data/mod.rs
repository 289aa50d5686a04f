//! Partitioned data: files and records in partitions, steps over them, and pipelines that run on a cluster or in one
//! thread.
//!
//! A **pipeline** is a function that describes steps over [`Partitioned`] data. Its closures run where the data is:
//!
//! ```no_run
//! use quiltwork::data::{self, FilePartition, Partitioned};
//! use quiltwork::prelude::*;
//!
//! #[quiltwork::pipeline]
//! fn frequent_words(texts: Partitioned<FilePartition>, least: u64) -> Partitioned<(String, u64)> {
//!     texts
//!         .lines()
//!         .flat_map(|line| line.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
//!         .map(|word| (word, 1))
//!         .reduce_by_key(|a, b| a + b)
//!         .filter(move |(_, count)| *count >= least)
//!         .sort_by_key(|(word, _)| word.clone())
//! }
//!
//! #[quiltwork::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let cluster = LocalCluster::builder().workers(2).start().await?;
//!     let texts = data::files("corpus").extensions(["txt", "md"]).list()?.partitions(16);
//!     for (word, count) in frequent_words(texts, 100).progress().run(cluster.client()).await? {
//!         println!("{count:>8}  {word}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! **Nothing runs before it is asked for**, and what nobody needs never runs. Steps that look at one record at a time
//! are fused into the task that makes or reads the partition; a step that brings records together (by key, by order)
//! begins a new stage. [`Pipeline`] displays as its stages.
//!
//! | you have | you write |
//! |---|---|
//! | anything that can be iterated | [`from_iter`], which makes a [`Dataset`] to be given to a pipeline |
//! | files of lines, JSON lines, CSV | [`files`], [`lines`](Partitioned::lines), [`json_lines`](Partitioned::json_lines), [`csv`](Partitioned::csv) |
//! | files of records of so many bytes | [`fixed_records`](Partitioned::fixed_records), [`write_fixed_records`](Partitioned::write_fixed_records) |
//! | records by themselves | [`map`](Partitioned::map), [`try_map`](Partitioned::try_map), [`filter`](Partitioned::filter), [`flat_map`](Partitioned::flat_map), [`map_partitions`](Partitioned::map_partitions), [`sample`](Partitioned::sample) |
//! | a question about all of them | [`count`](Partitioned::count), [`reduce`](Partitioned::reduce), [`fold`](Partitioned::fold), [`take`](Partitioned::take), [`collect`](Partitioned::collect) |
//! | records with keys | [`key_by`](Partitioned::key_by), [`reduce_by_key`](Partitioned::reduce_by_key), [`group_by_key`](Partitioned::group_by_key), [`distinct`](Partitioned::distinct), [`join`](Partitioned::join), [`left_join`](Partitioned::left_join), [`full_join`](Partitioned::full_join), [`semi_join`](Partitioned::semi_join) |
//! | an order | [`sort_by_key`](Partitioned::sort_by_key), [`zip`](Partitioned::zip), [`windows`](Partitioned::windows), [`repartition`](Partitioned::repartition) |
//! | a result to keep | [`persist`](Partitioned::persist) within a pipeline, [`Pipeline::persist`] between pipelines, [`write_text`](Partitioned::write_text), [`write_json_lines`](Partitioned::write_json_lines), [`write_csv`](Partitioned::write_csv) |
//!
//! **The result depends on the data alone**: not on how many workers there are, which of them finishes first or dies.
//! Keys are placed by a fixed hash, and everything is joined in the order of the partitions.
//!
//! **Memory** is needed for a partition and what is made of it, never for the whole data: tasks read of each other what
//! they need, piece by piece, and what does not fit into the shared memory of a machine spills to disk. So cut the data
//! into partitions that are small against the memory of a worker, a thirtieth of it, say. A partition as a whole is held
//! where a step needs it: to sort it, and in [`map_partitions`](Partitioned::map_partitions) and
//! [`windows`](Partitioned::windows). A group of [`group_by_key`](Partitioned::group_by_key) is one record and cannot be
//! split. In a join the right is held as far as a task's records of the left meet it: put the larger data set on the left.
//!
//! # Tasks of your own
//!
//! Files can be cut into partitions and merged by key with nothing but tasks, where that is quicker or clearer:
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
mod binary;
mod dataset;
mod error;
mod fixed;
mod flow;
mod join;
mod keyed;
mod listing;
mod merge;
mod order;
mod parameter;
mod partition;
mod partitioned;
mod piece;
mod pipeline;
mod plan;
mod read;
mod record;
mod registry;
mod runs;
mod seen;
mod shares;
mod single;
mod sort;
mod stages;
mod text;
mod write;

pub use dataset::{Dataset, from_iter};
pub use error::DataError;
pub use fixed::FixedRecord;
pub use keyed::Key;
pub use listing::{Files, ListedFile, Listing, Skipped, files};
pub use merge::{merge_by_key, tree_reduce};
pub use parameter::{IntoParameter, Output, Parameter};
pub use partition::{FilePartition, FileSlice};
pub use partitioned::Partitioned;
pub use pipeline::Pipeline;
pub use record::Record;
pub use single::Single;

#[doc(hidden)]
pub use parameter::{Blueprint, Given, Givens};
#[doc(hidden)]
pub use registry::PipelineEntry;
pub(crate) use stages::make_piece;
