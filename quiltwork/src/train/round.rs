//! The plain data of one round: what is planned, what comes back, what is remembered; nothing here runs anything.
use super::parameters::Parameters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Numbers by name: loss, accuracy, whatever a step or an evaluation measures.
pub type Metrics = BTreeMap<String, f64>;

/// A round as a [`Strategy`](super::Strategy) sees it.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// The parameters it starts from.
    pub parameters: &'a Parameters,
    /// How many partitions the training set has.
    pub partitions: u32,
    /// The seed of the whole run.
    pub seed: u64,
}

impl Round<'_> {
    /// Lets one partition train in this round, with its own seed and no settings.
    #[must_use]
    pub fn assign(&self, partition: u32) -> Assignment {
        Assignment {
            round: self.number,
            partition,
            seed: mix(mix(mix(self.seed) ^ u64::from(self.number)) ^ u64::from(partition)),
            settings: BTreeMap::new(),
            extras: Parameters::new(),
        }
    }

    /// Lets every partition train.
    #[must_use]
    pub fn everyone(&self) -> Plan {
        Plan { assignments: (0..self.partitions).map(|partition| self.assign(partition)).collect() }
    }
}

/// What one partition shall do in one round; travels to the task that trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The round, from 1.
    pub round: u32,
    /// The partition, from 0.
    pub partition: u32,
    /// A seed for every random choice of the task: a function of the run's seed, the round and the partition, so
    /// that a repeated attempt repeats the same work.
    pub seed: u64,
    /// What the strategy wants the task to know (a learning rate, a number of steps).
    pub settings: BTreeMap<String, f64>,
    /// Tensors the strategy gives to this partition beside the parameters, such as a correction of its gradients.
    pub extras: Parameters,
}

/// Which partitions train in a round. Each partition at most once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What each of them shall do.
    pub assignments: Vec<Assignment>,
}

/// What a partition's training gives back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Update {
    /// The parameters after training.
    pub parameters: Parameters,
    /// The number of samples trained on: the weight of this update.
    pub samples: u64,
    /// What was measured meanwhile; averaged over the partitions with the same weights.
    pub metrics: Metrics,
    /// What the strategy asks for beside the parameters. Most ask for nothing.
    pub extras: Parameters,
}

impl Update {
    /// An update without extras.
    #[must_use]
    pub const fn new(parameters: Parameters, samples: u64, metrics: Metrics) -> Self {
        Self { parameters, samples, metrics, extras: Parameters::new() }
    }
}

/// The answer of one partition. A failure is data: the strategy decides what it means.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Who answers.
    pub partition: u32,
    /// What came back, or why nothing did.
    pub result: Result<Update, Absence>,
}

/// Why a partition has no part in a round's average.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Absence {
    /// Its task failed for good.
    Failed {
        /// What the task's failure says.
        message: String,
        /// Whether the same task may succeed if it is tried again.
        retryable: bool,
    },
    /// It had not answered by the deadline.
    Late,
    /// The round was given up before it answered.
    Abandoned,
}

impl Absence {
    /// Whether the same task may succeed if it is tried again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Failed { retryable, .. } => *retryable,
            Self::Late | Self::Abandoned => true,
        }
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { message, .. } => f.write_str(message),
            Self::Late => f.write_str("had not answered by the deadline"),
            Self::Abandoned => f.write_str("given up with the round"),
        }
    }
}

/// What is remembered of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundReport {
    /// The round, from 1.
    pub round: u32,
    /// What the partitions measured: means weighted by samples.
    pub training: Metrics,
    /// What the evaluation of the new parameters measured.
    pub evaluation: Metrics,
    /// Samples trained on.
    pub samples: u64,
    /// How many partitions are in the average.
    pub trained: usize,
    /// The partitions that are not, and why.
    pub absences: BTreeMap<u32, Absence>,
    /// How long the round took: training, merging and evaluation.
    pub seconds: f64,
}

impl RoundReport {
    /// A metric by its name; one of the evaluation hides one of the training.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.evaluation.get(name).or_else(|| self.training.get(name)).copied()
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood, 2014): neighbouring inputs give unrelated outputs.
const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
