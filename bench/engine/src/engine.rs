//! Quiltwork itself as a contender: a cluster of two workers, and which file measures what. Measures nothing itself.
use crate::request::{Contender, Figures, Request};
use crate::{actors, learning, life, moves, programs, small};
use anyhow::Result;
use quiltwork::{LocalCluster, WorkerId};

/// Workers of every cluster, one slot each.
pub(crate) const WORKERS: usize = 2;

/// Its clusters, started when they are needed.
#[derive(Default)]
pub(crate) struct Engine {
    near: Option<LocalCluster>,
    /// Of two nodes with one worker each.
    far: Option<LocalCluster>,
}

impl Contender for Engine {
    async fn start(&mut self, request: &Request) -> Result<()> {
        match request.measurement.as_str() {
            "start-up" | "memory" => {}
            "between-nodes" => {
                if self.far.is_none() {
                    self.far = Some(start(WORKERS).await?);
                }
            }
            _ => {
                if self.near.is_none() {
                    self.near = Some(start(1).await?);
                }
            }
        }
        Ok(())
    }

    async fn run(&mut self, request: &Request) -> Result<Option<Figures>> {
        match (request.measurement.as_str(), &self.near, &self.far) {
            ("start-up", ..) => life::start_up(request).map(Some),
            ("memory", ..) => life::memory(request).await.map(Some),
            ("between-nodes", _, Some(far)) => moves::between_nodes(far, request).await.map(Some),
            (_, Some(near), _) => measure(near, request).await,
            _ => Ok(None),
        }
    }

    async fn stop(self) {
        for cluster in [self.near, self.far].into_iter().flatten() {
            cluster.shutdown().await;
        }
    }
}

async fn measure(cluster: &LocalCluster, request: &Request) -> Result<Option<Figures>> {
    let client = cluster.client();
    let figures = match request.measurement.as_str() {
        name if name.starts_with("no-ops-") => small::no_ops(client, request).await,
        "chunked-map" => small::chunked_map(client, request).await,
        "round-trip" => small::round_trip(client, request).await,
        "chain" => small::chain(client, request).await,
        "tree" => small::tree(client, request).await,
        "shared-value" => moves::shared_value(client, request).await,
        "moves" => moves::between_workers(cluster, request).await,
        "client-moves" => moves::with_client(client, request).await,
        "actor-calls" => actors::calls(client, request).await,
        "undisturbed" => life::undisturbed(client, request).await,
        "kill-recovery" => life::kill_recovery(cluster, request).await,
        "averaging-digits" => learning::digits(client, request).await,
        "averaging-network" | "averaging-network-tuned" => learning::network(client, request).await,
        "word-count" => programs::word_count(client, request).await,
        "sort" => programs::sort(client, request).await,
        _ => return Ok(None),
    };
    figures.map(Some)
}

/// Starts a cluster on so many nodes.
pub(crate) async fn start(nodes: usize) -> Result<LocalCluster> {
    Ok(LocalCluster::builder().workers(WORKERS).nodes(nodes).store_limit("8GiB").start().await?)
}

/// The two workers of a cluster, with their processes.
pub(crate) async fn pair(cluster: &LocalCluster) -> Result<[(WorkerId, u32); 2]> {
    let workers = cluster.client().workers().await?;
    let found: Vec<_> = workers.iter().map(|worker| (worker.worker, worker.pid)).collect();
    found.try_into().map_err(|other: Vec<_>| anyhow::anyhow!("{} workers are there instead of two", other.len()))
}
