//! Pipelines over partitioned data on real workers: the same as in one thread, also while workers are killed.
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::data::{DataError, FilePartition, Partitioned, Single, files, from_iter};
use quiltwork::prelude::*;
use quiltwork::{ErrorKind, FailureKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_pipeline_makes_the_same_on_a_cluster_while_workers_are_killed", kills_change_nothing),
        trial("files_are_joined_and_written_while_workers_are_killed", files_through_kills),
        trial("ranges_travel_between_nodes_while_workers_are_killed", ranges_between_nodes),
        trial("what_is_made_is_used_before_more_is_made", consumers_first),
        trial("what_is_persisted_outlives_its_worker", persisted),
        trial("a_step_that_fails_says_where_and_why", failures),
    ]
}

/// Takes long enough, in every partition, that a kill meets running tasks.
fn slowly<T: 'static>(records: Partitioned<T>) -> Partitioned<T> {
    records.map_partitions(|part| {
        std::thread::sleep(Duration::from_millis(40));
        part
    })
}

type Everything = (Partitioned<(u64, Vec<u64>)>, Partitioned<(u64, String)>, Single<u64>);

#[quiltwork::pipeline]
fn everything(numbers: Partitioned<u64>, seed: u64) -> Everything {
    let mixed = slowly(numbers).map(move |n| (crate::tasks::mix(n ^ seed) % 97, n)).persist();
    let groups = mixed.clone().group_by_key();
    let sums = mixed.clone().reduce_by_key(u64::wrapping_add);
    let named = slowly(groups.clone()).join(sums).map(|(key, (group, sum))| (key, format!("{}: {sum}", group.len())));
    let sorted = named.sort_by_key(|(key, _)| *key);
    (groups, sorted, mixed.filter(|(key, _)| key % 2 == 0).count())
}

#[quiltwork::pipeline]
fn hits_by_owner(
    visits: Partitioned<FilePartition>,
    owners: Partitioned<FilePartition>,
    folder: PathBuf,
) -> (Single<Vec<PathBuf>>, Single<u64>) {
    let pair = |line: String| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let visits = slowly(visits.lines().flat_map(pair)).map_values(|_| 1_u64).reduce_by_key(|a, b| a + b);
    let owned =
        visits.join(owners.lines().flat_map(pair)).map(|(host, (hits, owner))| format!("{host} {owner} {hits}"));
    let sorted = slowly(owned).sort_by_key(Clone::clone).persist();
    (slowly(sorted.clone()).write_text(folder), sorted.count())
}

#[quiltwork::pipeline]
fn squares(numbers: Partitioned<u64>) -> Partitioned<u64> {
    numbers.map(|n| n * n)
}

#[quiltwork::pipeline]
fn sum(numbers: Partitioned<u64>) -> Single<Option<u64>> {
    numbers.reduce(|a, b| a + b)
}

#[quiltwork::pipeline]
fn parsed(lines: Partitioned<String>) -> Partitioned<u64> {
    lines.try_map(|line| line.parse::<u64>().map_err(|error| format!("`{line}`: {error}")))
}

/// Kills a worker every now and then while `work` goes on.
async fn amid_kills<T>(cluster: &LocalCluster, work: impl Future<Output = T>) -> Result<T> {
    let mut work = std::pin::pin!(work);
    let mut kills = 0;
    loop {
        tokio::select! {
            result = &mut work => {
                ensure!(kills > 0, "it was over before the first kill");
                return Ok(result);
            }
            () = tokio::time::sleep(Duration::from_millis(70)), if kills < 6 => {
                let pids = cluster.worker_pids();
                if let Some(pid) = pids.get(kills % pids.len().max(1)) {
                    // It may have died a moment ago; then the next one is tried.
                    kills += usize::from(cluster.kill_worker(*pid).is_ok());
                }
            }
        }
    }
}

async fn kills_change_nothing() -> Result<()> {
    let numbers = from_iter(0..20_000_u64, 12)?;
    let expected = everything(&numbers, 7).run_serially()?;
    for workers in [1, 3] {
        let cluster = LocalCluster::builder().workers(workers).max_worker_deaths(1000).start().await?;
        let found = amid_kills(&cluster, everything(&numbers, 7).run(cluster.client())).await??;
        ensure!(found == expected, "another result with {workers} workers");
        cluster.shutdown().await;
    }
    Ok(())
}

/// Every task reads ranges of what others hold, and some of these die meanwhile.
async fn ranges_between_nodes() -> Result<()> {
    let numbers = from_iter(0..20_000_u64, 6)?;
    let expected = everything(&numbers, 5).run_serially()?;
    let cluster = LocalCluster::builder().workers(3).nodes(3).max_worker_deaths(1000).start().await?;
    ensure!(everything(&numbers, 5).run(cluster.client()).await? == expected, "another result without a kill");
    let found = amid_kills(&cluster, everything(&numbers, 5).run(cluster.client())).await??;
    ensure!(found == expected, "another result after kills");
    cluster.shutdown().await;
    Ok(())
}

/// Partitions that were made and not used up, in the worker's process.
static LIVE: AtomicU64 = AtomicU64::new(0);

/// Each record is how many partitions were there when its own was made.
#[quiltwork::pipeline]
fn live_partitions(numbers: Partitioned<u64>) -> Partitioned<u64> {
    let pause = || std::thread::sleep(Duration::from_millis(10));
    let made = numbers.map_partitions(move |part| {
        pause();
        let live = LIVE.fetch_add(1, Ordering::Relaxed) + 1;
        part.into_iter().map(move |_| live)
    });
    let used = made.persist().map_partitions(move |part| {
        pause();
        LIVE.fetch_sub(1, Ordering::Relaxed);
        part
    });
    used.persist().map(|live| live)
}

async fn consumers_first() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let live = live_partitions(from_iter(0..16_u64, 16)?).run(cluster.client()).await?;
    let most = live.iter().max().copied();
    // One is being made, one is used, one was sent ahead.
    ensure!(live.len() == 16 && most <= Some(3), "partitions pile up: {live:?}");
    cluster.shutdown().await;
    Ok(())
}

/// Lines `host anything` in several files, and who owns each host.
fn logs(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder.join("visits"))?;
    fs::create_dir_all(folder.join("owners"))?;
    for file in 0..4 {
        let lines: Vec<_> = (0..3000).map(|n| format!("host{} /page/{n}", (n * 7 + file) % 50)).collect();
        fs::write(folder.join(format!("visits/{file}.log")), lines.join("\n"))?;
    }
    let owners: Vec<_> = (0..40).map(|host| format!("host{host} owner{}", host % 6)).collect();
    Ok(fs::write(folder.join("owners/all.txt"), owners.join("\n"))?)
}

async fn files_through_kills() -> Result<()> {
    let folder = tempfile::tempdir()?;
    logs(folder.path())?;
    let list = |name: &str, partitions| -> Result<_, DataError> {
        Ok(files(folder.path().join(name)).list()?.partitions(partitions))
    };
    let pipeline = |out: &str| -> Result<_, DataError> {
        Ok(hits_by_owner(list("visits", 9)?, list("owners", 2)?, folder.path().join(out)))
    };
    let read = |paths: &[PathBuf]| -> Result<Vec<String>> {
        Ok(paths.iter().map(fs::read_to_string).collect::<Result<_, _>>()?)
    };
    let (expected, count) = pipeline("serial")?.run_serially()?;
    ensure!(count == 40, "{count} hosts have owners and hits");

    let cluster = LocalCluster::builder().workers(2).max_worker_deaths(1000).start().await?;
    let run = pipeline("cluster")?.progress().run(cluster.client());
    let (found, count) = amid_kills(&cluster, run).await??;
    ensure!(count == 40 && read(&found)? == read(&expected)?, "the files differ");
    let names = fs::read_dir(folder.path().join("cluster"))?.count();
    ensure!(names == found.len(), "{names} files, but {} parts", found.len());
    cluster.shutdown().await;
    Ok(())
}

async fn persisted() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let squares = squares(from_iter(0..100_000, 6)?).persist(client).await?;
    ensure!(squares.partitions() == 6);
    let expected: u64 = (0..100_000_u64).map(|n| n * n).sum();
    ensure!(sum(&squares).run(client).await? == Some(expected));
    cluster.kill_worker(*cluster.worker_pids().first().context("there are workers")?)?;
    ensure!(sum(&squares).run(client).await? == Some(expected), "after a kill it is another one");
    drop(squares);
    for _ in 0..2000 {
        let held: u64 = client.workers().await?.iter().map(|worker| worker.held_bytes).sum();
        if held == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("a dropped data set is still held")
}

async fn failures() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let lines = from_iter(["1", "2", "many", "4"].map(str::to_owned), 2)?;
    let error = parsed(&lines).run(cluster.client()).await.err().context("`many` was parsed")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::Error), "wrong kind: {error}");
    let text = error.to_string();
    ensure!(
        text.contains("parsed: read → try_map → keep of partition 1") && text.contains("`many`: invalid digit"),
        "{text}"
    );
    let error = parsed(&lines).persist(cluster.client()).await.err().context("`many` was persisted")?;
    ensure!(error.to_string().contains("`many`: invalid digit"), "{error}");
    cluster.shutdown().await;
    Ok(())
}
