//! What the master says to a worker.
use crate::parcel::Message;
use crate::peer::Holder;
use quiltwork_types::{AttemptId, Encoding, FunctionId, JobId, TaskId, ValueId, WorkerId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A message to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MasterToWorker {
    /// From now on `function` means `name` on this link.
    DefineFunction {
        /// The number, chosen by the master.
        function: FunctionId,
        /// The registered name.
        name: String,
    },
    /// Run these. Payloads: every [`Input::Literal`] and [`Place::Inline`], in order.
    Dispatch {
        /// What to run, in this order.
        assignments: Vec<Assignment>,
    },
    /// Give these back if their functions have not been entered.
    Recall {
        /// Which attempts.
        attempts: Vec<AttemptId>,
    },
    /// Nobody wants these any more: unstarted ones end at once, running ones are told.
    Cancel {
        /// Which attempts.
        attempts: Vec<AttemptId>,
    },
    /// These completions changed nothing; what they made may be dropped.
    Superseded {
        /// Which attempts.
        attempts: Vec<AttemptId>,
    },
    /// These values are not needed any more; one that is an actor ends.
    Free {
        /// Which values.
        values: Vec<ValueId>,
    },
    /// From now on `heir` holds these values of a lost worker of this node. Every worker of the node hears it before it
    /// is told to read one from the heir; the heir also clears away what else the lost one has left.
    Inherit {
        /// Who is lost.
        from: WorkerId,
        /// Who holds them now; of this node, perhaps this worker.
        heir: WorkerId,
        /// Which values.
        values: Vec<ValueId>,
    },
    /// Make these values your own. It is answered for each: it is reported as copied, or as not adopted.
    Adopt {
        /// Which values.
        values: Vec<Orphan>,
    },
    /// Remove from the area of this node what the clients of these jobs have written there: they are gone.
    ClearAway {
        /// Which jobs.
        jobs: Vec<JobId>,
    },
    /// These workers are gone: nothing will come from them any more.
    WorkersLost {
        /// Who.
        workers: Vec<WorkerId>,
    },
    /// End the process in good order.
    Shutdown,
}

/// A value in the area of the worker's node that is no worker's there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Which value. It is under the name of its job's client, or of one of `formerly`.
    pub value: ValueId,
    /// Its size in bytes.
    pub size: u64,
    /// Workers that are gone and held it or were to adopt it.
    pub formerly: Vec<WorkerId>,
}

/// One attempt, with all it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Which attempt.
    pub attempt: AttemptId,
    /// What runs.
    pub function: FunctionId,
    /// One per parameter of the function.
    pub inputs: Vec<Input>,
    /// How many of the worker's slots it occupies while it runs; 0 for one that only waits.
    pub slots: u32,
    /// What people call the task, if not by its function.
    pub name: Option<Box<str>>,
    /// Which partition of a data set it works on.
    pub partition: Option<u32>,
    /// Whether the result is wanted as plain data.
    pub plain: bool,
    /// How long it may run.
    pub time_limit: Option<Duration>,
    /// What becomes of it here.
    pub duty: Duty,
}

/// How a worker runs an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duty {
    /// In slots; what it makes is its value.
    Task,
    /// In slots; what it makes lives on as an actor, until its value is freed.
    Actor {
        /// Calls that may run at a time.
        max_concurrency: u32,
    },
    /// By an actor that lives here, in the order in which its calls were dispatched; no slot is occupied.
    Call {
        /// Which.
        actor: TaskId,
    },
}

/// One parameter of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// The bytes are the next payload.
    Literal(Encoding),
    /// The result of another task.
    Value(InputValue),
    /// A list made of the results of other tasks.
    Values(Vec<InputValue>),
    /// The result of another task, of which the function reads what it needs.
    Reference(InputValue),
    /// A list made of the results of other tasks, of which the function reads what it needs.
    References(Vec<InputValue>),
}

/// The result of another task and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InputValue {
    /// Which value.
    pub value: ValueId,
    /// Where it is.
    pub place: Place,
}

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Place {
    /// The bytes are the next payload.
    Inline {
        /// How to read it.
        encoding: Encoding,
    },
    /// To be fetched, unless this worker is among the holders or only reads parts of it.
    Stored {
        /// How to read it.
        encoding: Encoding,
        /// Its size in bytes.
        size: u64,
        /// Who has it.
        holders: Vec<Holder>,
    },
    /// This attempt makes it, which the same worker was given before. If it makes none here, or its value is not at hand
    /// any more, what waits for it is returned.
    Coming {
        /// Which.
        attempt: AttemptId,
    },
}

impl Input {
    /// The values among the inputs: none, one or many.
    #[must_use]
    pub fn values(&self) -> &[InputValue] {
        match self {
            Self::Literal(_) => &[],
            Self::Value(value) | Self::Reference(value) => std::slice::from_ref(value),
            Self::Values(values) | Self::References(values) => values,
        }
    }

    fn payloads(&self) -> usize {
        match self {
            Self::Literal(_) => 1,
            _ => self.values().iter().filter(|value| matches!(value.place, Place::Inline { .. })).count(),
        }
    }
}

impl Assignment {
    /// How many payloads stand beside it.
    #[must_use]
    pub fn payloads(&self) -> usize {
        self.inputs.iter().map(Input::payloads).sum()
    }
}

impl Message for MasterToWorker {
    fn payloads(&self) -> usize {
        match self {
            Self::Dispatch { assignments } => assignments.iter().map(Assignment::payloads).sum(),
            _ => 0,
        }
    }
}
