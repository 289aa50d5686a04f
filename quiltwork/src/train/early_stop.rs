//! When training may end before its last round; decided from the reports alone, so a resumed run decides the same.
use super::error::{Error, Result};
use super::round::RoundReport;

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// More is better: accuracy.
    Higher,
    /// Less is better: loss.
    Lower,
}

impl Better {
    /// Whether `value` is strictly better than `than`. What is not finite is never better.
    fn is(self, value: f64, than: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Higher => value > than,
                Self::Lower => value < than,
            }
    }

    const fn worst(self) -> f64 {
        match self {
            Self::Higher => f64::NEG_INFINITY,
            Self::Lower => f64::INFINITY,
        }
    }
}

/// Why training ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its last round is done.
    AllRounds,
    /// A metric reached its target.
    Reached(String),
    /// A metric did not get better for as many rounds as allowed.
    Stalled(String),
}

/// A reason to stop early.
#[derive(Clone, Debug)]
pub struct EarlyStop {
    metric: String,
    better: Better,
    rule: Rule,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    Reaches(f64),
    StallsFor(u32),
}

impl EarlyStop {
    /// Stop as soon as the metric is `target` or better.
    #[must_use]
    pub fn reaching(metric: impl Into<String>, better: Better, target: f64) -> Self {
        Self { metric: metric.into(), better, rule: Rule::Reaches(target) }
    }

    /// Stop when the metric has not got better for this many rounds in a row (at least 1).
    #[must_use]
    pub fn stalling(metric: impl Into<String>, better: Better, rounds: u32) -> Self {
        Self { metric: metric.into(), better, rule: Rule::StallsFor(rounds.max(1)) }
    }

    /// Whether the reports so far are a reason to stop.
    pub(super) fn ending(&self, history: &[RoundReport]) -> Result<Option<Ending>> {
        let values = history.iter().map(|report| self.value(report)).collect::<Result<Vec<_>>>()?;
        Ok(match self.rule {
            Rule::Reaches(target) => {
                let reached = |&last: &f64| last.is_finite() && !self.better.is(target, last);
                values.last().is_some_and(reached).then(|| Ending::Reached(self.metric.clone()))
            }
            Rule::StallsFor(rounds) => {
                (self.rounds_since_best(&values) >= rounds as usize).then(|| Ending::Stalled(self.metric.clone()))
            }
        })
    }

    fn rounds_since_best(&self, values: &[f64]) -> usize {
        let mut best = (self.better.worst(), 0);
        for (index, &value) in values.iter().enumerate() {
            if self.better.is(value, best.0) {
                best = (value, index + 1);
            }
        }
        values.len() - best.1
    }

    fn value(&self, report: &RoundReport) -> Result<f64> {
        report.metric(&self.metric).ok_or_else(|| {
            let known: Vec<_> =
                report.evaluation.keys().chain(report.training.keys()).map(|k| format!("`{k}`")).collect();
            Error::Setup(format!(
                "an early stop watches the metric `{}`, which round {} does not have; it has {}",
                self.metric,
                report.round,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        })
    }
}
