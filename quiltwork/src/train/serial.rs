//! The same rounds in one process, without any cluster: the reference a distributed run is compared with.
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Absence, Assignment, Reply, Update};
use super::team::Team;
use super::trainer::{Outcome, Trainer};
use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Trains on `partitions` in this thread: the same plan, step, merge, checkpoints and early stop as on a cluster, and
/// the same parameters bit for bit if `step` does what the task there does. A deadline is not waited for: nobody is
/// late in one thread.
///
/// # Errors
/// As [`Trainer::fit`].
///
/// ```
/// use quiltwork::train::{self, Metrics, Parameters, Tensor, Trainer, Update};
/// // Each partition is one number; the mean of all of them is what one step and one average find.
/// let model: Parameters = [("mean".to_owned(), Tensor::new([1], vec![0.0_f64])?)].into_iter().collect();
/// let outcome = train::serial(Trainer::new(model).rounds(1), &[1.0, 2.0, 6.0], |_, model, number| {
///     let mut parameters = model.clone();
///     parameters.slice_mut::<f64>("mean")?[0] = *number;
///     Ok::<_, train::Error>(Update::new(parameters, 1, Metrics::new()))
/// })?;
/// assert_eq!(outcome.parameters.slice::<f64>("mean")?, [3.0]);
/// # Ok::<(), train::Error>(())
/// ```
pub fn serial<P, E, F>(trainer: Trainer<'_>, partitions: &[P], step: F) -> Result<Outcome>
where
    P: Sync,
    E: Display,
    F: FnMut(&Assignment, &Parameters, &P) -> Result<Update, E> + Send,
{
    let team = Alone { partitions, step, parameters: Parameters::new(), waiting: VecDeque::new() };
    let mut fit = pin!(trainer.without_deadline().fit(team));
    match fit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => unreachable!("a team of one thread answers at once, and nothing else is awaited"),
    }
}

/// A team of one thread: it trains when it is asked for a reply.
struct Alone<'p, P, F> {
    partitions: &'p [P],
    step: F,
    parameters: Parameters,
    waiting: VecDeque<Assignment>,
}

impl<P, E, F> Team for Alone<'_, P, F>
where
    P: Sync,
    E: Display,
    F: FnMut(&Assignment, &Parameters, &P) -> Result<Update, E> + Send,
{
    fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    fn start(&mut self, parameters: &Parameters, assignments: &[Assignment]) -> Result<()> {
        self.parameters = parameters.clone();
        self.waiting = assignments.iter().cloned().collect();
        Ok(())
    }

    async fn reply(&mut self) -> Reply {
        let assignment = self.waiting.pop_front().expect("a reply is asked for only while some are outstanding");
        let partition = &self.partitions[assignment.partition as usize];
        let result = (self.step)(&assignment, &self.parameters, partition)
            .map_err(|error| Absence::Failed { message: error.to_string(), retryable: true });
        Reply { partition: assignment.partition, result }
    }

    fn abandon(&mut self) {
        self.waiting.clear();
    }
}
