//! What an algorithm of distributed training is: a pure plan of a round and a pure merge of its replies.
use super::average::average;
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::round::{Plan, Reply, Round};
use std::fmt::Display;

/// An algorithm of distributed training. It is pure: no clock, no randomness but the round's seed, no input or output.
/// Given the same replies it must merge them to the same parameters bit for bit, in whatever order they stand.
///
/// ```
/// use quiltwork::train::{Parameters, Plan, Reply, Result, Round, Strategy, average};
///
/// /// Half of the partitions train in each round, by turns.
/// struct ByTurns;
///
/// impl Strategy for ByTurns {
///     fn name(&self) -> &str {
///         "by turns"
///     }
///
///     fn plan(&self, round: &Round<'_>) -> Plan {
///         let turn = (0..round.partitions).filter(|partition| partition % 2 == round.number % 2);
///         Plan { assignments: turn.map(|partition| round.assign(partition)).collect() }
///     }
///
///     fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
///         average(round, replies)
///     }
/// }
/// ```
pub trait Strategy: Send {
    /// What people call it; a checkpoint is resumed only by the strategy that made it.
    fn name(&self) -> &str;

    /// Whether it can train so many partitions with its settings; asked once, before the first round.
    ///
    /// # Errors
    /// If not; says which setting makes no sense.
    fn check(&self, _partitions: u32) -> Result<()> {
        Ok(())
    }

    /// Which partitions train in this round, and with which settings. Everyone, unless told otherwise.
    fn plan(&self, round: &Round<'_>) -> Plan {
        round.everyone()
    }

    /// The parameters after the round. `replies` has one reply for each assignment, failures included; it is called
    /// only if the quorum is met.
    ///
    /// # Errors
    /// If nothing sensible can be made of the replies; ends the training.
    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters>;

    /// What the strategy must remember from one round to the next (a momentum, control variates), for the checkpoint.
    fn state(&self) -> Parameters {
        Parameters::new()
    }

    /// Takes up what [`state`](Self::state) said when the checkpoint was made; `model` has the parameters of that moment.
    ///
    /// # Errors
    /// If this is not such a state.
    fn restore(&mut self, _model: &Parameters, state: Parameters) -> Result<()> {
        state.check_layout(&Parameters::new(), "the strategy's state")
    }
}

impl<S: Strategy + ?Sized> Strategy for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn check(&self, partitions: u32) -> Result<()> {
        (**self).check(partitions)
    }

    fn plan(&self, round: &Round<'_>) -> Plan {
        (**self).plan(round)
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        (**self).merge(round, replies)
    }

    fn state(&self) -> Parameters {
        (**self).state()
    }

    fn restore(&mut self, model: &Parameters, state: Parameters) -> Result<()> {
        (**self).restore(model, state)
    }
}

/// Refuses a setting that is not sound, and says what it should be.
pub(super) fn demand(sound: bool, what: &str, found: impl Display, range: impl Display) -> Result<()> {
    if sound {
        return Ok(());
    }
    Err(Error::Setup(format!("{what} of {found} makes no sense\n  hint: it is {range}")))
}

/// Parameter averaging weighted by sample count (FedAvg: McMahan, Moore, Ramage, Hampson and Agüera y Arcas,
/// *Communication-Efficient Learning of Deep Networks from Decentralized Data*, AISTATS 2017). The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightedAverage;

impl Strategy for WeightedAverage {
    fn name(&self) -> &'static str {
        "weighted average"
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        average(round, replies)
    }
}
