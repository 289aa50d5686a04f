//! Who trains: tasks of Python's on a cluster, or a function of Python's in this process; what is made of it is the engine's.
use crate::buffers::Payload;
use crate::errors::raised;
use crate::handle::Handle;
use crate::model::Model;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use quiltwork::bindings::Opaque;
use quiltwork::train::{self, Absence, Assignment, Metrics, Parameters, Reply, Update};
use quiltwork::{AsCompleted, as_completed};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What Python is told of an assignment: round, partition, seed, settings, and the leaves the strategy gives beside the
/// model's, if it does.
type Told = (u32, u32, u64, BTreeMap<String, f64>, Vec<Payload>);

/// An update as Python packs it: leaves, samples, metrics, and how far it walked.
type Packed<'py> = (Vec<Bound<'py, PyAny>>, u64, Metrics, Option<f64>);

/// What was raised in a training, kept until it ends.
#[derive(Clone, Default)]
pub(crate) struct Raised(Arc<Mutex<Exceptions>>);

#[derive(Default)]
pub(crate) struct Exceptions {
    /// By what the program itself has given, such as its evaluation: ends the training.
    pub(crate) fatal: Option<PyErr>,
    /// By the tasks of the last round.
    pub(crate) partitions: BTreeMap<u32, PyErr>,
}

impl Raised {
    /// Poison means nothing here: no change is made in more than one step.
    pub(crate) fn exceptions(&self) -> MutexGuard<'_, Exceptions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the first exception that ends the training; gives back its text for the engine.
    pub(crate) fn end_by(&self, py: Python<'_>, error: PyErr) -> String {
        let text = error.value(py).to_string();
        self.exceptions().fatal.get_or_insert(error);
        text
    }

    /// Refuses to go on if something has ended the training.
    pub(crate) fn check(&self) -> train::Result<()> {
        match &self.exceptions().fatal {
            Some(error) => Err(train::Error::Setup(error.to_string())),
            None => Ok(()),
        }
    }
}

/// Trains by tasks that a function of Python's submits.
pub(crate) struct Tasks {
    pub(crate) partitions: u32,
    /// `start(model, assignments)` submits one task for each and returns their handles.
    pub(crate) start: Py<PyAny>,
    pub(crate) model: Arc<Model>,
    pub(crate) raised: Raised,
    pub(crate) outstanding: Outstanding,
}

/// What a round is waiting for.
pub(crate) struct Outstanding {
    partitions: Vec<u32>,
    handles: Vec<quiltwork::Handle<Opaque>>,
    completed: AsCompleted<Opaque>,
}

impl Outstanding {
    pub(crate) fn nothing() -> Self {
        Self { partitions: Vec::new(), handles: Vec::new(), completed: as_completed(Vec::new()) }
    }
}

impl Tasks {
    fn submit(&self, parameters: &Parameters, assignments: &[Assignment]) -> PyResult<Vec<quiltwork::Handle<Opaque>>> {
        Python::attach(|py| {
            let told: Vec<Told> = assignments.iter().map(|assignment| tell(&self.model, assignment)).collect();
            let handles = self.start.bind(py).call1((self.model.payloads(parameters), told))?;
            let handles: Vec<PyRef<'_, Handle>> = handles.extract()?;
            handles.iter().map(|handle| handle.inner().cloned()).collect()
        })
    }

    fn read(&self, partition: u32, value: quiltwork::Result<Opaque>) -> Result<Update, Absence> {
        let value = value.map_err(|error| {
            let exception = Python::attach(|py| raised(py, &error));
            self.raised.exceptions().partitions.insert(partition, exception);
            Absence::Failed { message: error.to_string(), retryable: error.is_retryable() }
        })?;
        Python::attach(|py| {
            let read = unpickled(py, value).and_then(|packed| unpack(&self.model, &packed));
            read.map_err(|error| failed(&self.raised, partition, error))
        })
    }
}

impl train::Team for Tasks {
    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn start(&mut self, parameters: &Parameters, assignments: &[Assignment]) -> train::Result<()> {
        self.raised.check()?;
        self.raised.exceptions().partitions.clear();
        let submitted = self.submit(parameters, assignments);
        let handles =
            submitted.map_err(|error| train::Error::Setup(Python::attach(|py| self.raised.end_by(py, error))))?;
        self.outstanding = Outstanding {
            partitions: assignments.iter().map(|assignment| assignment.partition).collect(),
            completed: as_completed(handles.clone()),
            handles,
        };
        Ok(())
    }

    async fn reply(&mut self) -> Reply {
        let next = self.outstanding.completed.next().await;
        let (place, handle) = next.expect("a reply is asked for only while some are outstanding");
        let partition = self.outstanding.partitions[place];
        let value = handle.await;
        Reply { partition, result: self.read(partition, value) }
    }

    fn abandon(&mut self) {
        for handle in std::mem::replace(&mut self.outstanding, Outstanding::nothing()).handles {
            if !handle.is_done() {
                handle.cancel();
            }
        }
    }
}

impl Drop for Tasks {
    /// Whoever is interrupted while a round is under way wants nothing of it any more.
    fn drop(&mut self) {
        train::Team::abandon(self);
    }
}

/// One assignment, carried out in this process by `step(model, assignment)`.
pub(crate) fn step_here(
    step: &Py<PyAny>,
    model: &Model,
    raised: &Raised,
    assignment: &Assignment,
    parameters: &Parameters,
) -> train::Result<Update> {
    raised.check()?;
    let trained = Python::attach(|py| {
        let packed = step.bind(py).call1((model.payloads(parameters), tell(model, assignment)))?;
        unpack(model, &packed)
    });
    trained.map_err(|error| {
        let message = Python::attach(|py| {
            if error.is_instance_of::<PyException>(py) {
                return error.to_string();
            }
            raised.end_by(py, error.clone_ref(py))
        });
        raised.exceptions().partitions.insert(assignment.partition, error);
        train::Error::Setup(message)
    })
}

fn tell(model: &Model, assignment: &Assignment) -> Told {
    let Assignment { round, partition, seed, settings, extras } = assignment;
    (*round, *partition, *seed, settings.clone(), model.payloads(extras))
}

fn unpickled(py: Python<'_>, value: Opaque) -> PyResult<Bound<'_, PyAny>> {
    static LOAD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOAD.import(py, "quiltwork._pickled", "load")?.call1((Payload::new(value),))
}

fn unpack(model: &Model, packed: &Bound<'_, PyAny>) -> PyResult<Update> {
    let (leaves, samples, metrics, walked): Packed<'_> = packed.extract()?;
    let update = Update::new(model.parameters(&leaves)?, samples, metrics);
    Ok(match walked {
        Some(rates) => update.walked(rates),
        None => update,
    })
}

/// A partition's reply cannot be read: it will not be another one the next time.
fn failed(raised: &Raised, partition: u32, error: PyErr) -> Absence {
    let message = error.to_string();
    raised.exceptions().partitions.insert(partition, error);
    Absence::Failed { message, retryable: false }
}
