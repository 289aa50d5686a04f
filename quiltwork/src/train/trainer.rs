//! The round loop and its settings: plan, train, merge, report, until it ends; who trains is a team's matter.
use super::average::mean_metrics;
use super::checkpoint::{Checkpoint, Checkpoints, Newest, RunIdentity};
use super::early_stop::{EarlyStop, Ending};
use super::error::{Error, Result};
use super::observer::{Observer, Start};
use super::parameters::Parameters;
use super::round::{Metrics, Reply, Round, RoundReport};
use super::strategy::{Strategy, WeightedAverage};
use super::team::{Patience, Team, carry_out};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

type Evaluate<'a> = Box<dyn FnMut(&Parameters) -> Result<Metrics, String> + Send + 'a>;

/// A training to be carried out, with everything about it that is not a matter of where it runs.
pub struct Trainer<'a> {
    initial: Parameters,
    strategy: Box<dyn Strategy + 'a>,
    rounds: u32,
    seed: u64,
    patience: Patience,
    stops: Vec<EarlyStop>,
    evaluate: Evaluate<'a>,
    observers: Vec<Box<dyn Observer + 'a>>,
    checkpoints: Option<Checkpoints>,
    resume: Option<PathBuf>,
}

/// What a training ended with.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The parameters after the last round.
    pub parameters: Parameters,
    /// One report per round, also of the rounds before a resume.
    pub history: Vec<RoundReport>,
    /// Why it ended.
    pub ending: Ending,
    /// The round whose checkpoint it went on from.
    pub resumed_from: Option<u32>,
}

impl<'a> Trainer<'a> {
    /// A training from these parameters: one round, seed 0, weighted averaging, everyone in the quorum, no deadline.
    #[must_use]
    pub fn new(initial: Parameters) -> Self {
        Self {
            initial,
            strategy: Box::new(WeightedAverage),
            rounds: 1,
            seed: 0,
            patience: Patience::default(),
            stops: Vec::new(),
            evaluate: Box::new(|_| Ok(Metrics::new())),
            observers: Vec::new(),
            checkpoints: None,
            resume: None,
        }
    }

    /// How many rounds at most.
    #[must_use]
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// The seed all assignments' seeds come from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The algorithm.
    #[must_use]
    pub fn strategy(mut self, strategy: impl Strategy + 'a) -> Self {
        self.strategy = Box::new(strategy);
        self
    }

    /// How long a round may take. Then it goes on without those who have not answered if the quorum is met, and ends
    /// the training if not. Who is late is a matter of luck: only rounds without late partitions are reproducible.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.patience.deadline = Some(deadline);
        self
    }

    /// How many partitions must have trained for a round to count; all in the round's plan unless told otherwise. A
    /// round does not end early because its quorum is met: without a deadline it waits until everyone has answered or
    /// failed.
    #[must_use]
    pub fn quorum(mut self, partitions: usize) -> Self {
        self.patience.quorum = Some(partitions);
        self
    }

    /// Adds a reason to stop before the last round.
    #[must_use]
    pub fn stop(mut self, stop: EarlyStop) -> Self {
        self.stops.push(stop);
        self
    }

    /// Measures the parameters after each round, here in the driver's thread.
    #[must_use]
    pub fn evaluate<E: Display>(
        mut self,
        mut evaluate: impl FnMut(&Parameters) -> Result<Metrics, E> + Send + 'a,
    ) -> Self {
        self.evaluate = Box::new(move |parameters| evaluate(parameters).map_err(|e| e.to_string()));
        self
    }

    /// Adds somebody who is told how it goes: a closure over each round's report, or a [`Progress`](super::Progress).
    #[must_use]
    pub fn observe(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Makes checkpoints.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Goes on from the newest whole checkpoint in this directory, bit for bit as if the run had never stopped; from
    /// the start if there is none.
    #[must_use]
    pub fn resume_from(mut self, directory: impl Into<PathBuf>) -> Self {
        self.resume = Some(directory.into());
        self
    }

    pub(super) fn without_deadline(mut self) -> Self {
        self.patience.deadline = None;
        self
    }

    /// Trains, round by round.
    ///
    /// # Errors
    /// If the settings make no sense, a round misses its quorum, the strategy or the evaluation fails, or a checkpoint
    /// cannot be written, read or resumed.
    pub async fn fit<T: Team>(mut self, mut team: T) -> Result<Outcome> {
        let mut run = self.begin(team.partitions())?;
        let resumed_from = (run.round() > 0).then(|| run.round());
        let ending = loop {
            if let Some(ending) = self.ending(&run.history)? {
                break ending;
            }
            let started = Instant::now();
            let round = Round {
                number: run.round() + 1,
                parameters: &run.parameters,
                partitions: team.partitions(),
                seed: self.seed,
            };
            let plan = self.strategy.plan(&round);
            let replies = carry_out(&mut team, &round, &plan, self.patience).await?;
            let merged = self.strategy.merge(&round, &replies)?;
            let report = self.report(&round, &replies, &merged, started)?;
            run.parameters = merged;
            run.history.push(report);
            self.keep(&mut run)?;
        };
        self.observers.iter_mut().for_each(|observer| observer.on_ended(&ending));
        Ok(Outcome { parameters: run.parameters, history: run.history, ending, resumed_from })
    }

    /// The run as it stands before its next round: afresh, or as its newest checkpoint left it.
    fn begin(&mut self, partitions: u32) -> Result<Checkpoint> {
        self.check(partitions)?;
        let run = RunIdentity { seed: self.seed, partitions, strategy: self.strategy.name().to_owned() };
        let fresh = Checkpoint {
            parameters: self.initial.clone(),
            strategy: self.strategy.state(),
            history: Vec::new(),
            run: run.clone(),
        };
        let resumed = self.resumed(&run)?;
        if let Some(checkpoints) = &self.checkpoints {
            checkpoints.claim(self.resume.as_deref())?;
        }
        let checkpoint = resumed.unwrap_or(fresh);
        let resumed_from = (checkpoint.round() > 0).then(|| checkpoint.round());
        let start = Start { rounds: self.rounds, partitions, resumed_from };
        self.observers.iter_mut().for_each(|observer| observer.on_started(&start));
        Ok(checkpoint)
    }

    fn check(&self, partitions: u32) -> Result<()> {
        let refuse = |reason: String| Err(Error::Setup(reason));
        match self.patience.quorum {
            _ if partitions == 0 => refuse("there are no partitions".to_owned()),
            _ if self.initial.is_empty() => refuse("the model has no parameters".to_owned()),
            Some(0) => refuse("a quorum of 0 partitions leaves nothing to average".to_owned()),
            Some(quorum) if quorum > partitions as usize => {
                refuse(format!("a quorum of {quorum} cannot be met by {partitions} partitions"))
            }
            _ => self.initial.check_finite("the initial model"),
        }?;
        self.strategy.check(partitions)
    }

    /// The newest whole checkpoint, taken up by the strategy, if a resume is asked for and there is one.
    fn resumed(&mut self, run: &RunIdentity) -> Result<Option<Checkpoint>> {
        let Some(directory) = self.resume.clone() else { return Ok(None) };
        let Newest { found, skipped } = Checkpoint::newest(&directory)?;
        for reason in skipped {
            self.notice(&format!("passed over a checkpoint: {reason}"));
        }
        let Some((path, mut checkpoint)) = found else {
            self.notice(&format!("no checkpoint to resume in {}; starting afresh", directory.display()));
            return Ok(None);
        };
        if checkpoint.run != *run {
            return Err(Error::OtherRun { path, found: checkpoint.run.to_string(), expected: run.to_string() });
        }
        checkpoint.parameters.check_layout(&self.initial, &format!("the checkpoint {}", path.display()))?;
        self.strategy.restore(&checkpoint.parameters, std::mem::take(&mut checkpoint.strategy))?;
        Ok(Some(checkpoint))
    }

    fn notice(&mut self, notice: &str) {
        tracing::warn!("{notice}");
        self.observers.iter_mut().for_each(|observer| observer.on_notice(notice));
    }

    /// Whether training is over. Decided from the history alone, so that a resumed run decides the same.
    fn ending(&self, history: &[RoundReport]) -> Result<Option<Ending>> {
        if history.is_empty() {
            return Ok((self.rounds == 0).then_some(Ending::AllRounds));
        }
        for stop in &self.stops {
            if let Some(ending) = stop.ending(history)? {
                return Ok(Some(ending));
            }
        }
        let done = history.last().map_or(0, |report| report.round);
        Ok((done >= self.rounds).then_some(Ending::AllRounds))
    }

    fn report(
        &mut self,
        round: &Round<'_>,
        replies: &[Reply],
        merged: &Parameters,
        started: Instant,
    ) -> Result<RoundReport> {
        let whose = format!("the model after round {}", round.number);
        merged.check_layout(round.parameters, &whose)?;
        merged.check_finite(&whose)?;
        let evaluation = (self.evaluate)(merged).map_err(|reason| Error::Evaluation { round: round.number, reason })?;
        let (training, samples) = mean_metrics(replies);
        let absences: BTreeMap<_, _> =
            replies.iter().filter_map(|reply| Some((reply.partition, reply.result.as_ref().err()?.clone()))).collect();
        Ok(RoundReport {
            round: round.number,
            training,
            evaluation,
            samples,
            trained: replies.len() - absences.len(),
            absences,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Makes the round durable if a checkpoint is due, and only then tells anybody that it is done.
    fn keep(&mut self, run: &mut Checkpoint) -> Result<()> {
        if let Some(checkpoints) = self.checkpoints.as_ref().filter(|checkpoints| checkpoints.is_due(run.round())) {
            run.strategy = self.strategy.state();
            checkpoints.write(run)?;
        }
        let report = run.history.last().expect("a round has just been reported");
        self.observers.iter_mut().for_each(|observer| observer.on_round(report));
        Ok(())
    }
}
