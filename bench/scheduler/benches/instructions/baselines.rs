//! The file of committed numbers: read, compared, written. Knows nothing of how they come about.
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const HEAD: &str =
    "# Instructions on x86_64, release profile, written by QUILTWORK_BLESS=1 cargo bench --bench instructions\n";
/// More than this share is a failure.
const TOLERANCE: f64 = 0.05;

/// Instructions by name.
pub(crate) struct Baselines(BTreeMap<String, u64>);

impl Baselines {
    /// What was committed; nothing if there is no file yet.
    pub(crate) fn read() -> Result<Self> {
        if !Path::new(PATH).exists() {
            return Ok(Self(BTreeMap::new()));
        }
        let text = std::fs::read_to_string(PATH)?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = lines.map(|line| {
            let (name, count) =
                line.rsplit_once(' ').with_context(|| format!("{PATH}: not a name and a number: {line}"))?;
            Ok((name.trim_end().to_owned(), count.parse()?))
        });
        Ok(Self(read.collect::<Result<_>>()?))
    }

    /// Commits to these.
    pub(crate) fn write(counts: &BTreeMap<&'static str, u64>) -> Result<()> {
        let mut text = HEAD.to_owned();
        for (name, count) in counts {
            writeln!(text, "{name:<50} {count}")?;
        }
        Ok(std::fs::write(PATH, text)?)
    }

    /// A line for people.
    pub(crate) fn compared(&self, name: &str, count: u64) -> String {
        match self.0.get(name) {
            Some(&before) => format!("{name:<50} {count:>8}, {:+.1} %", 100.0 * growth(before, count)),
            None => format!("{name:<50} {count:>8}, new"),
        }
    }

    /// What has grown too much or has no baseline, and baselines of what is not counted any more.
    pub(crate) fn complaints(&self, counts: &BTreeMap<&'static str, u64>) -> Vec<String> {
        let grown = counts.iter().filter_map(|(name, &count)| match self.0.get(*name) {
            Some(&before) if growth(before, count) <= TOLERANCE => None,
            Some(before) => Some(format!("{name}: {count} instructions instead of {before}")),
            None => Some(format!("{name}: there is no baseline")),
        });
        let gone = self.0.keys().filter(|name| !counts.contains_key(name.as_str()));
        grown.chain(gone.map(|name| format!("{name}: there is a baseline of something else"))).collect()
    }
}

fn growth(before: u64, now: u64) -> f64 {
    now as f64 / before as f64 - 1.0
}
