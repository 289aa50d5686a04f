//! Who carries out a round's plan, and how long a round waits for them; what is done with the replies is not known here.
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::round::{Absence, Assignment, Plan, Reply, Round};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Whoever holds the partitions and trains on them: a cluster, one process, or what you write.
pub trait Team: Send {
    /// How many partitions there are.
    fn partitions(&self) -> u32;

    /// Starts every assignment from these parameters. The replies come out of [`reply`](Self::reply).
    ///
    /// # Errors
    /// If the round cannot be started at all; ends the training.
    fn start(&mut self, parameters: &Parameters, assignments: &[Assignment]) -> Result<()>;

    /// The next reply, as they come; asked for only while some are outstanding. The future may be dropped at the round's
    /// deadline; no other reply of the round is asked for then.
    fn reply(&mut self) -> impl Future<Output = Reply> + Send;

    /// The round is over: gives up the assignments that have not been answered.
    fn abandon(&mut self);
}

/// How long a round waits, and for how many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    pub(super) deadline: Option<Duration>,
    /// `None`: everyone in the plan.
    pub(super) quorum: Option<usize>,
}

/// Carries out one round: one reply per assignment, in partition order; who failed or was late is told by its reply.
pub(super) async fn carry_out<T: Team>(
    team: &mut T,
    round: &Round<'_>,
    plan: &Plan,
    patience: Patience,
) -> Result<Vec<Reply>> {
    let Round { number: round, parameters, partitions, .. } = *round;
    let mut outstanding = check(plan, round, partitions)?;
    let quorum = patience.quorum.unwrap_or(outstanding.len()).min(outstanding.len());
    let until = patience.deadline.map(|deadline| Instant::now() + deadline);
    team.start(parameters, &plan.assignments)?;

    let mut results = BTreeMap::new();
    let mut trained = 0;
    let mut absence = Absence::Abandoned;
    while !outstanding.is_empty() && trained + outstanding.len() >= quorum {
        let Some(Reply { partition, result }) = before(until, team.reply()).await else {
            absence = Absence::Late;
            break;
        };
        if !outstanding.remove(&partition) {
            return Err(Error::Strategy {
                round,
                reason: format!("nobody waits for a reply of partition {partition}"),
            });
        }
        trained += usize::from(result.is_ok());
        results.insert(partition, result);
    }
    team.abandon();
    results.extend(outstanding.into_iter().map(|partition| (partition, Err(absence.clone()))));
    if trained < quorum {
        let absences = results.into_iter().filter_map(|(partition, result)| Some((partition, result.err()?))).collect();
        return Err(Error::Quorum { round, trained, quorum, absences });
    }
    Ok(results.into_iter().map(|(partition, result)| Reply { partition, result }).collect())
}

/// The partitions of a plan, if it is one.
fn check(plan: &Plan, round: u32, partitions: u32) -> Result<BTreeSet<u32>> {
    let refused = |reason: String| Error::Strategy { round, reason };
    let mut planned = BTreeSet::new();
    for Assignment { partition, .. } in &plan.assignments {
        if *partition >= partitions {
            return Err(refused(format!("the plan names partition {partition}, but there are {partitions}")));
        }
        if !planned.insert(*partition) {
            return Err(refused(format!("the plan names partition {partition} twice")));
        }
    }
    if planned.is_empty() {
        return Err(refused("the plan lets nobody train".to_owned()));
    }
    Ok(planned)
}

async fn before<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}
