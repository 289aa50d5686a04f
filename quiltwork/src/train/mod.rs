//! Distributed training by parameter averaging, on top of nothing but the public client.
//!
//! Each partition of the training set is loaded once, by a task, and stays with the worker that made it. A round sends
//! the parameters to every partition, trains there for a while, and merges what comes back:
//!
//! ```no_run
//! use quiltwork::prelude::*;
//! use quiltwork::train::{self, Assignment, ClusterTeam, Metrics, Parameters, Progress, Tensor, Trainer, Update};
//!
//! #[quiltwork::task]
//! fn load(partition: u32) -> Vec<f64> {
//!     (0..1000).map(|i| f64::from(partition * 1000 + i)).collect()
//! }
//!
//! #[quiltwork::task]
//! fn step(model: Parameters, numbers: Vec<f64>, assignment: Assignment) -> train::Result<Update> {
//!     let mut parameters = model;
//!     let rate = 0.5 / f64::from(assignment.round);
//!     let mean = &mut parameters.slice_mut::<f64>("mean")?[0];
//!     *mean += rate * (numbers.iter().sum::<f64>() / numbers.len() as f64 - *mean);
//!     Ok(Update::new(parameters, numbers.len() as u64, Metrics::new()))
//! }
//!
//! #[quiltwork::main]
//! async fn main() -> train::Result<()> {
//!     let cluster = LocalCluster::builder().workers(2).start().await?;
//!     let client = cluster.client();
//!     let model = [("mean".to_owned(), Tensor::new([1], vec![0.0_f64])?)].into_iter().collect();
//!     let team = ClusterTeam::new(client, client.map(0..8, load), |assignment, model, numbers| {
//!         step(model, numbers, assignment.clone()).retries(2)
//!     });
//!     let outcome = Trainer::new(model).rounds(20).observe(Progress::new()).fit(team).await?;
//!     println!("{:?}", outcome.parameters.slice::<f64>("mean")?);
//!     Ok(())
//! }
//! ```
//!
//! **The model depends on the seed alone.** Averages are taken in partition order, in `f64`, so it is bit-identical
//! whatever arrives first, however many workers there are and whoever dies on the way, as long as each round's
//! partitions all train ([`Trainer::deadline`] says when they may not). [`serial`] runs the same rounds in one process.
//!
//! [`WeightedAverage`] is the default of several strategies. [`ServerOptimizer`] follows the average with momentum or Adam;
//! [`FedProx`] and [`Scaffold`] help where partitions are unlike each other; [`CoordinateMedian`], [`TrimmedMean`] and [`Krum`]
//! bear partitions whose updates are nonsense.
//!
//! The round loop, [`Trainer::fit`], is short; [`Strategy`] and [`Team`] are its two seams: what is done with the
//! replies, and who makes them.

mod average;
mod checkpoint;
mod cluster;
mod columns;
mod coordinate_median;
mod early_stop;
mod error;
mod fed_prox;
mod files;
mod krum;
mod numbers;
mod observer;
mod parameters;
mod round;
mod scaffold;
mod serial;
mod server_optimizer;
mod strategy;
mod team;
mod tensor;
mod trainer;
mod trimmed_mean;
mod updates;

pub use average::average;
pub use checkpoint::{Checkpoint, Checkpoints, Newest, RunIdentity};
pub use cluster::ClusterTeam;
pub use coordinate_median::CoordinateMedian;
pub use early_stop::{Better, EarlyStop, Ending};
pub use error::{Error, Result};
pub use fed_prox::FedProx;
pub use krum::Krum;
pub use observer::{Observer, Progress, Start};
pub use parameters::{Digest, Parameters};
pub use round::{Absence, Assignment, Metrics, Plan, Reply, Round, RoundReport, Update};
pub use scaffold::Scaffold;
pub use serial::serial;
pub use server_optimizer::ServerOptimizer;
pub use strategy::{Strategy, WeightedAverage};
pub use team::Team;
pub use tensor::{Dtype, Element, Tensor};
pub use trainer::{Outcome, Trainer};
pub use trimmed_mean::TrimmedMean;
