//! Sorts more data than its workers may hold in memory, and checks the result as `gensort` and `valsort` do.
//!
//! Run it: `cargo run --release --example sort_records -- --size 2GB --memory 512MiB`. It writes files of random records
//! of 100 bytes, whose first ten are the key, to a temporary folder, sorts them into another one, and then reads what was
//! written: every record must be there once, in order.
//!
//! `--kill` kills a worker while sorted pieces are read and merged: what it had written others of its machine read on, so
//! that nothing but what it was working on is done again. `--json` prints JSON only.
//!
//! Expected output (the figures are yours):
//!
//! ```text
//! sorted 640000 records of 100 bytes in 16 partitions with 2 workers in 0.19 s: 328.4 MB/s
//! all records are there and in order, checksum 4e29c1d4aae150ad17615
//! 0 workers lost, 0 of 16 partitions sorted again
//! worker 29631 used 47.5 MiB at most, 0.37 of its limit
//! worker 29632 used 47.7 MiB at most, 0.37 of its limit
//! ```
use anyhow::{Context, Result, ensure};
use clap::Parser;
use quiltwork::ByteSize;
use quiltwork::data::{self, FilePartition, FixedRecord, Partitioned, Single};
use quiltwork::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, Instant};

/// Sort random records, more than fit into memory.
#[derive(Parser)]
struct Options {
    /// How much to sort, such as `2GB`.
    #[arg(long, default_value = "64MB")]
    size: String,
    /// How much memory each worker may use, such as `512MiB`.
    #[arg(long, default_value = "128MiB")]
    memory: String,
    /// Worker processes, one slot each.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Another seed, other records.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the files are written; a temporary folder unless told otherwise.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Kill a worker while sorted pieces are merged.
    #[arg(long)]
    kill: bool,
    /// Print nothing but a JSON summary.
    #[arg(long)]
    json: bool,
}

const LENGTH: usize = 100;
type Record = FixedRecord<LENGTH>;
type Key = [u8; 10];

fn key(record: &Record) -> Key {
    record.part(0)
}

/// The record of that number: a random key, the number in hexadecimal, and letters.
fn record(number: u64, seed: u64) -> Record {
    let high = mix(mix(seed) ^ number);
    let mut record = FixedRecord([b'A' + (number % 26) as u8; LENGTH]);
    record[..8].copy_from_slice(&high.to_be_bytes());
    record[8..10].copy_from_slice(&mix(high).to_be_bytes()[..2]);
    record[12..28].copy_from_slice(format!("{number:016x}").as_bytes());
    record[98..].copy_from_slice(b"\r\n");
    record
}

/// Spreads a number over all 64 bits (the end of SplitMix64).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// What is known of records that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Finding {
    records: u64,
    /// The sum of a hash of each: the same for the same records, whatever their order.
    checksum: u128,
    first: Option<Key>,
    last: Option<Key>,
    /// How often a key was smaller than the one before it.
    disorders: u64,
}

impl Finding {
    fn add(mut self, record: Record) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&record[..]);
        self.records += 1;
        self.checksum += u128::from(hasher.finish());
        let key = key(&record);
        self.disorders += u64::from(self.last.is_some_and(|last| last > key));
        self.first = self.first.or(Some(key));
        self.last = Some(key);
        self
    }

    fn join(self, next: Self) -> Self {
        let torn = matches!((self.last, next.first), (Some(last), Some(first)) if last > first);
        Self {
            records: self.records + next.records,
            checksum: self.checksum + next.checksum,
            first: self.first.or(next.first),
            last: next.last.or(self.last),
            disorders: self.disorders + next.disorders + u64::from(torn),
        }
    }
}

#[quiltwork::pipeline]
fn generated(numbers: Partitioned<(u64, u64)>, seed: u64, folder: PathBuf) -> (Single<Vec<PathBuf>>, Single<Finding>) {
    // Cheap to make: it is made twice rather than kept.
    let records = numbers.flat_map(move |(first, end)| (first..end).map(move |number| record(number, seed)));
    (records.clone().write_fixed_records(folder), records.fold(Finding::default(), Finding::add, Finding::join))
}

#[quiltwork::pipeline]
fn sorted(files: Partitioned<FilePartition>, folder: PathBuf, runs: PathBuf) -> Single<Vec<PathBuf>> {
    let noted = files.try_map(move |partition| note_run(&runs, partition.index()).map(|()| partition));
    noted.fixed_records().sort_by_key(key).write_fixed_records(folder)
}

#[quiltwork::pipeline]
fn found(files: Partitioned<FilePartition>) -> Single<Finding> {
    files.fixed_records().fold(Finding::default(), Finding::add, Finding::join)
}

/// Leaves a file for each time a partition is sorted.
fn note_run(runs: &Path, partition: u32) -> std::io::Result<()> {
    let attempt = TaskContext::current().map_or(1, |context| context.attempt_number());
    fs::write(runs.join(format!("{partition}.{attempt}.{}", std::process::id())), [])
}

/// How the work is cut.
struct Plan {
    records: u64,
    partitions: u64,
    /// Bytes of memory of each worker.
    memory: u64,
}

/// A task holds a partition as records and as the bytes it makes of them, and much else must fit into memory beside it.
const PARTITIONS_IN_MEMORY: u64 = 32;

impl Plan {
    fn new(options: &Options) -> Result<Self> {
        let size = options.size.as_str().in_bytes()?;
        let memory = options.memory.as_str().in_bytes()?;
        let records = size / LENGTH as u64;
        ensure!(records > 0, "{size} bytes are less than one record\n  hint: sort at least 100 bytes");
        let least = (options.workers as u64).min(records);
        let partitions = size.div_ceil((memory / PARTITIONS_IN_MEMORY).max(1)).clamp(least, records);
        Ok(Self { records, partitions, memory })
    }

    /// How many partitions there are, for those who count in memory.
    fn count(&self) -> usize {
        usize::try_from(self.partitions).expect("a partition takes more than a byte of memory")
    }

    /// The numbers of the records in each input file.
    fn numbers(&self) -> Vec<(u64, u64)> {
        let border = |file: u64| self.records * file / self.partitions;
        (0..self.partitions).map(|file| (border(file), border(file + 1))).collect()
    }
}

#[quiltwork::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let plan = Plan::new(&options)?;
    let folder = match &options.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let summary = {
        let cluster = LocalCluster::builder().workers(options.workers).memory_limit(plan.memory).start().await?;
        let mut peaks = Peaks::default();
        let mut run = pin!(generate_sort_and_find(&cluster, &plan, &options, folder.path()));
        let outcome = loop {
            tokio::select! {
                outcome = &mut run => break outcome,
                () = tokio::time::sleep(Duration::from_millis(20)) => peaks.sample(&cluster),
            }
        };
        peaks.sample(&cluster);
        let (seconds, expected, found) = outcome?;
        let runs = fs::read_dir(folder.path().join("runs"))?.count() as u64;
        Summary::new(&plan, seconds, &expected, &found, cluster.workers_lost(), runs, &peaks)
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        summary.print(options.workers);
    }
    ensure!(summary.valid, "what was written is not what was to be sorted");
    Ok(())
}

/// How long sorting took, what was to be sorted, and what was found in the end.
async fn generate_sort_and_find(
    cluster: &LocalCluster,
    plan: &Plan,
    options: &Options,
    folder: &Path,
) -> Result<(f64, Finding, Finding)> {
    let client = cluster.client();
    let (input, output, runs) = (folder.join("input"), folder.join("output"), folder.join("runs"));
    fs::create_dir(&runs)?;
    let partitions = u32::try_from(plan.partitions).context("that many partitions cannot be numbered")?;
    let numbers = data::from_iter(plan.numbers(), partitions)?;
    let (_, expected) = generated(numbers, options.seed, input.clone()).progress().run(client).await?;

    let files = data::files(&input).list()?.partitions(plan.count());
    let began = Instant::now();
    {
        let mut run = pin!(sorted(files, output.clone(), runs).progress().run(client));
        tokio::select! {
            result = &mut run => drop(result?),
            killed = kill_one(cluster, &output), if options.kill => {
                killed?;
                run.await?;
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    fs::remove_dir_all(&input)?;

    let files = data::files(&output).whole().list()?.partitions(plan.count());
    let found = found(files).progress().run(client).await?;
    Ok((seconds, expected, found))
}

/// Kills a worker when the first sorted file is there: the others are being merged.
async fn kill_one(cluster: &LocalCluster, output: &Path) -> Result<()> {
    let is_part = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("part-");
    while !fs::read_dir(output).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_part(&entry)))) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let pid = *cluster.worker_pids().first().context("no worker is left to kill")?;
    cluster.kill_worker(pid)?;
    eprintln!("killed worker process {pid}");
    Ok(())
}

/// The most memory each worker process was seen to use, in bytes.
#[derive(Default)]
struct Peaks(BTreeMap<u32, u64>);

impl Peaks {
    /// The system keeps the peak of a process as long as that lives.
    fn sample(&mut self, cluster: &LocalCluster) {
        for pid in cluster.worker_pids() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
            if let Some(Ok(kilobytes)) = kilobytes.map(|number| number.trim().parse::<u64>()) {
                self.0.insert(pid, 1024 * kilobytes);
            }
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Summary {
    records: u64,
    bytes: u64,
    partitions: u64,
    seconds: f64,
    mb_per_second: f64,
    /// Whether what was written is what was to be sorted, in order.
    valid: bool,
    disorders: u64,
    checksum: String,
    workers_lost: u64,
    /// How many partitions were sorted again because a worker was lost.
    sorted_again: u64,
    memory_limit: u64,
    workers: Vec<Peak>,
}

/// The memory of one worker process.
#[derive(Serialize)]
struct Peak {
    pid: u32,
    /// The most it used.
    bytes: u64,
    /// As a part of the limit.
    share: f64,
}

impl Summary {
    fn new(
        plan: &Plan,
        seconds: f64,
        expected: &Finding,
        found: &Finding,
        workers_lost: u64,
        runs: u64,
        Peaks(peaks): &Peaks,
    ) -> Self {
        let peak = |(&pid, &bytes): (&u32, &u64)| Peak { pid, bytes, share: bytes as f64 / plan.memory as f64 };
        let bytes = plan.records * LENGTH as u64;
        Self {
            records: found.records,
            bytes,
            partitions: plan.partitions,
            seconds,
            mb_per_second: bytes as f64 / 1e6 / seconds,
            valid: found.disorders == 0
                && found.records == plan.records
                && (found.records, found.checksum) == (expected.records, expected.checksum),
            disorders: found.disorders,
            checksum: format!("{:x}", found.checksum),
            workers_lost,
            sorted_again: runs - plan.partitions,
            memory_limit: plan.memory,
            workers: peaks.iter().map(peak).collect(),
        }
    }

    fn print(&self, workers: usize) {
        let Self { records, partitions, seconds, mb_per_second, .. } = self;
        println!(
            "sorted {records} records of {LENGTH} bytes in {partitions} partitions with {workers} workers in \
             {seconds:.2} s: {mb_per_second:.1} MB/s"
        );
        let verdict = if self.valid { "all records are there and in order" } else { "the result is WRONG" };
        println!("{verdict}, checksum {}", self.checksum);
        println!("{} workers lost, {} of {partitions} partitions sorted again", self.workers_lost, self.sorted_again);
        for Peak { pid, bytes, share } in &self.workers {
            println!(
                "worker {pid} used {:.1} MiB at most, {share:.2} of its limit",
                *bytes as f64 / f64::from(1 << 20)
            );
        }
    }
}
