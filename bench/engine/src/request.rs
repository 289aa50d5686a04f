//! What the measuring side asks and is answered: lines of JSON. Knows no measurement.
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

/// The figures of one run, by their keys.
pub(crate) type Figures = BTreeMap<&'static str, f64>;

/// One measurement that is asked for.
#[derive(Deserialize)]
pub(crate) struct Request {
    /// Its name.
    pub(crate) measurement: String,
    /// Where prepared files are.
    pub(crate) folder: PathBuf,
    sizes: Map<String, Value>,
}

impl Request {
    /// How much is to be done, by the name the measurement gives to it.
    pub(crate) fn size(&self, name: &str) -> Result<usize> {
        let size = self.sizes.get(name).and_then(Value::as_u64).with_context(|| format!("{name} is not said"))?;
        Ok(usize::try_from(size)?)
    }
}

/// Something that is measured.
pub(crate) trait Contender {
    /// Starts what the measurement needs, if that is not to be measured.
    async fn start(&mut self, request: &Request) -> Result<()>;

    /// Measures once; nothing if it has nothing of the kind.
    async fn run(&mut self, request: &Request) -> Result<Option<Figures>>;

    /// Ends what was started.
    async fn stop(self);
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Ready { ready: bool },
    Measured { figures: Figures, seconds: f64 },
    Absent { absent: &'static str },
    Failed { failed: String },
}

/// Answers until there are no more requests.
pub(crate) async fn serve(mut contender: impl Contender) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let answer = answer(&mut contender, &request).await.unwrap_or_else(|error| {
            eprintln!("{}: {error:?}", request.measurement);
            Answer::Failed { failed: error.to_string() }
        });
        say(&answer)?;
    }
    contender.stop().await;
    Ok(())
}

fn say(answer: &Answer) -> Result<()> {
    let mut out = std::io::stdout();
    serde_json::to_writer(&mut out, answer)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

async fn answer(contender: &mut impl Contender, request: &Request) -> Result<Answer> {
    contender.start(request).await?;
    say(&Answer::Ready { ready: true })?;
    let began = Instant::now();
    let figures = contender.run(request).await?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(match figures {
        Some(figures) => Answer::Measured { figures, seconds },
        None => Answer::Absent { absent: "nothing of the kind" },
    })
}

/// The value below which so many percent of them are. Sorts them.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * percent / 100]
}

/// The percentiles of round trips, in microseconds.
pub(crate) fn trip_figures(mut trips: Vec<f64>) -> Figures {
    [("p50", 50), ("p95", 95), ("p99", 99)].into_iter().map(|(key, p)| (key, percentile(&mut trips, p))).collect()
}
