//! Counts the instructions of the hot path and compares them with `bench/scheduler/instructions.txt`: 5 % more is a failure.
//!
//! Run it: `cargo bench -p quiltwork-scheduler-bench --bench instructions`; `QUILTWORK_BLESS=1` writes new baselines. Times
//! differ from run to run and from machine to machine, numbers of instructions hardly do.
mod baselines;
mod jobs;
mod stepping;

use anyhow::{Context, Result, bail};
use baselines::Baselines;
use std::collections::BTreeMap;

/// What this program is called with, before the name of a job, to be the process whose instructions are counted.
const MEASURED: &str = "measured";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, name] = &arguments[..]
        && word == MEASURED
    {
        return jobs::run(name);
    }
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        println!("not counted: the baselines are those of x86_64 Linux");
        return Ok(());
    }
    if let Err(reason) = stepping::count("nothing") {
        println!("not counted: this process may not trace another one: {reason:#}");
        return Ok(());
    }
    let counts = counts()?;
    let baselines = Baselines::read()?;
    for (name, count) in &counts {
        println!("{}", baselines.compared(name, *count));
    }
    if std::env::var_os("QUILTWORK_BLESS").is_some() {
        return Baselines::write(&counts);
    }
    let complaints = baselines.complaints(&counts);
    if complaints.is_empty() {
        return Ok(());
    }
    bail!("{}\nhint: if that is what it must cost, run it again with QUILTWORK_BLESS=1", complaints.join("\n"))
}

/// The instructions of each job, for one of what it does many times.
fn counts() -> Result<BTreeMap<&'static str, u64>> {
    let nothing = stepping::count("nothing")?.instructions;
    let mut counts = BTreeMap::new();
    for (name, times) in jobs::NAMES {
        let counted = stepping::count(name).with_context(|| format!("cannot count {name}"))?;
        anyhow::ensure!(counted.sections == *times, "{name}: {} times instead of {times}", counted.sections);
        counts.insert(*name, (counted.instructions - nothing * counted.sections) / times);
    }
    Ok(counts)
}
