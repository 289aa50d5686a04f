//! A training as the package describes it, run by the engine's trainer; who trains, and how exceptions travel, stands elsewhere.
use crate::buffers::Payload;
use crate::errors::{from_training, raised};
use crate::model::{Described, Model};
use crate::strategy::Strategy;
use crate::team::{Outstanding, Raised, Tasks, step_here};
use crate::waiting::wait_by_clock;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use quiltwork::train::{
    self, Absence, Better, Checkpoints, EarlyStop, Ending, Metrics, Outcome, Parameters, Progress, RoundReport, Trainer,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the package says of a training.
#[derive(FromPyObject)]
pub(crate) struct Training<'py> {
    model: Vec<Described<'py>>,
    partitions: u32,
    rounds: u32,
    seed: u64,
    strategy: PyRef<'py, Strategy>,
    quorum: Option<usize>,
    /// In seconds.
    deadline: Option<f64>,
    stops: Vec<Stop>,
    /// Where, every how many rounds, and how many stay.
    checkpoints: Option<(PathBuf, u32, usize)>,
    resume: Option<PathBuf>,
    /// `evaluate(model)` measures the parameters after a round.
    evaluate: Option<Py<PyAny>>,
    /// `on_round(report)` hears of a round.
    on_round: Option<Py<PyAny>>,
    progress: bool,
}

/// A metric, whether more of it is better, and the target or the number of rounds.
type Stop = (String, bool, Option<f64>, Option<u32>);

/// What is remembered of a round: its number, the metrics of the training and of the evaluation, samples, how many trained,
/// why others did not, and seconds.
type Report = (u32, Metrics, Metrics, u64, usize, BTreeMap<u32, String>, f64);

/// What a training ended with: leaves, digest, reports, why and by which metric, and the round it went on from.
type Ended = (Vec<Payload>, String, Vec<Report>, &'static str, Option<String>, Option<u32>);

/// Trains by tasks: `start(model, assignments)` submits one for each assignment and returns their handles.
#[pyfunction]
pub(crate) fn train_by_tasks(py: Python<'_>, training: Training<'_>, start: Py<PyAny>) -> PyResult<Ended> {
    let (partitions, raised) = (training.partitions, Raised::default());
    let (model, trainer) = training.begin(&raised)?;
    let team = Tasks {
        partitions,
        start,
        model: Arc::clone(&model),
        raised: raised.clone(),
        outstanding: Outstanding::nothing(),
    };
    let outcome = wait_by_clock(py, trainer.fit(team))?;
    end(py, &model, &raised, outcome)
}

/// Trains in this process: `step(model, assignment)` makes the packed update of one partition.
#[pyfunction]
pub(crate) fn train_here(py: Python<'_>, training: Training<'_>, step: Py<PyAny>) -> PyResult<Ended> {
    let (partitions, raised) = (vec![(); training.partitions as usize], Raised::default());
    let (model, trainer) = training.begin(&raised)?;
    let outcome = train::serial(trainer, &partitions, |assignment, parameters, ()| {
        step_here(&step, &model, &raised, assignment, parameters)
    });
    end(py, &model, &raised, outcome)
}

impl Training<'_> {
    fn begin(self, raised: &Raised) -> PyResult<(Arc<Model>, Trainer<'static>)> {
        let (model, parameters) = Model::read(self.model)?;
        let model = Arc::new(model);
        let mut trainer = Trainer::new(parameters).rounds(self.rounds).seed(self.seed).strategy(self.strategy.begun());
        if let Some(quorum) = self.quorum {
            trainer = trainer.quorum(quorum);
        }
        if let Some(seconds) = self.deadline {
            let deadline = Duration::try_from_secs_f64(seconds);
            trainer =
                trainer.deadline(deadline.map_err(|_| PyValueError::new_err("a deadline is a number of seconds"))?);
        }
        for (metric, higher, target, rounds) in self.stops {
            let better = if higher { Better::Higher } else { Better::Lower };
            trainer = trainer.stop(match target {
                Some(target) => EarlyStop::reaching(metric, better, target),
                None => EarlyStop::stalling(metric, better, rounds.unwrap_or(1)),
            });
        }
        if let Some((directory, every, keep)) = self.checkpoints {
            trainer = trainer.checkpoints(Checkpoints::new(directory).every(every).keep(keep));
        }
        if let Some(directory) = self.resume {
            trainer = trainer.resume_from(directory);
        }
        if let Some(evaluate) = self.evaluate {
            trainer = trainer.evaluate(evaluation(evaluate, Arc::clone(&model), raised.clone()));
        }
        if let Some(on_round) = self.on_round {
            trainer = trainer.observe(listener(on_round, raised.clone()));
        }
        if self.progress {
            trainer = trainer.observe(Progress::new());
        }
        Ok((model, trainer))
    }
}

/// Asks Python what the parameters are worth; an exception ends the training.
fn evaluation(
    evaluate: Py<PyAny>,
    model: Arc<Model>,
    raised: Raised,
) -> impl FnMut(&Parameters) -> Result<Metrics, String> + Send {
    move |parameters| {
        Python::attach(|py| {
            let measured = evaluate.bind(py).call1((model.payloads(parameters),));
            measured.and_then(|metrics| metrics.extract()).map_err(|error| raised.end_by(py, error))
        })
    }
}

/// Tells Python of each round; an exception ends the training before the next one.
fn listener(on_round: Py<PyAny>, raised: Raised) -> impl FnMut(&RoundReport) + Send {
    move |told| {
        Python::attach(|py| {
            if let Err(error) = on_round.bind(py).call1((report(told),)) {
                raised.end_by(py, error);
            }
        });
    }
}

fn report(report: &RoundReport) -> Report {
    let absences = report.absences.iter().map(|(partition, absence)| (*partition, Absence::to_string(absence)));
    let RoundReport { round, training, evaluation, samples, trained, seconds, .. } = report.clone();
    (round, training, evaluation, samples, trained, absences.collect(), seconds)
}

fn end(py: Python<'_>, model: &Model, raised_here: &Raised, outcome: train::Result<Outcome>) -> PyResult<Ended> {
    let exceptions = std::mem::take(&mut *raised_here.exceptions());
    if let Some(fatal) = exceptions.fatal {
        return Err(fatal);
    }
    let Outcome { parameters, history, ending, resumed_from } = outcome.map_err(|error| match error {
        train::Error::Cluster(error) => raised(py, &error),
        error => {
            let exception = from_training(py, &error);
            // The first in the order of partitions, not in time: it is the same in every run.
            if let (train::Error::Quorum { .. }, Some((_, cause))) = (&error, exceptions.partitions.into_iter().next())
            {
                exception.set_cause(py, Some(cause));
            }
            exception
        }
    })?;
    let (ending, metric) = match ending {
        Ending::AllRounds => ("all rounds", None),
        Ending::Reached(metric) => ("reached", Some(metric)),
        Ending::Stalled(metric) => ("stalled", Some(metric)),
    };
    let digest = parameters.digest().to_string();
    Ok((model.payloads(&parameters), digest, history.iter().map(report).collect(), ending, metric, resumed_from))
}
