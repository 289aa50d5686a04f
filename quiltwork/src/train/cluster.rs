//! A team made of a cluster: partitions stay as values with the workers that made them, training goes to them as tasks.
use super::error::Result;
use super::parameters::Parameters;
use super::round::{Absence, Assignment, Reply, Update};
use super::team::Team;
use crate::{AsCompleted, Client, Handle, TaskCall, as_completed};

/// Trains on a cluster. The partitions are the results of tasks that loaded them: each stays with the worker that made
/// it, the tasks that train on it are placed there, and one that is lost with its worker is loaded again elsewhere.
pub struct ClusterTeam<P, F> {
    client: Client,
    partitions: Vec<Handle<P>>,
    step: F,
    outstanding: Outstanding,
}

/// What a round is waiting for.
struct Outstanding {
    partitions: Vec<u32>,
    handles: Vec<Handle<Update>>,
    completed: AsCompleted<Update>,
}

impl Outstanding {
    fn nothing() -> Self {
        Self { partitions: Vec::new(), handles: Vec::new(), completed: as_completed(Vec::new()) }
    }
}

impl<P, F> ClusterTeam<P, F>
where
    F: FnMut(&Assignment, &Handle<Parameters>, &Handle<P>) -> TaskCall<Update> + Send,
{
    /// A team over loaded partitions. `step` makes the task that trains one of them for one round.
    pub fn new(client: &Client, partitions: Vec<Handle<P>>, step: F) -> Self {
        Self { client: client.clone(), partitions, step, outstanding: Outstanding::nothing() }
    }
}

impl<P, F> Team for ClusterTeam<P, F>
where
    F: FnMut(&Assignment, &Handle<Parameters>, &Handle<P>) -> TaskCall<Update> + Send,
{
    fn partitions(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    fn start(&mut self, parameters: &Parameters, assignments: &[Assignment]) -> Result<()> {
        let model = self.client.put(parameters)?;
        let mut handles = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let data = &self.partitions[assignment.partition as usize];
            let call = (self.step)(assignment, &model, data).partition(assignment.partition);
            handles.push(self.client.submit(call));
        }
        self.outstanding = Outstanding {
            partitions: assignments.iter().map(|assignment| assignment.partition).collect(),
            completed: as_completed(handles.clone()),
            handles,
        };
        Ok(())
    }

    async fn reply(&mut self) -> Reply {
        let next = self.outstanding.completed.next().await;
        let (index, handle) = next.expect("a reply is asked for only while some are outstanding");
        let result = handle.await.map_err(|error: crate::Error| Absence::Failed {
            message: error.to_string(),
            retryable: error.is_retryable(),
        });
        Reply { partition: self.outstanding.partitions[index], result }
    }

    fn abandon(&mut self) {
        for handle in std::mem::replace(&mut self.outstanding, Outstanding::nothing()).handles {
            if !handle.is_done() {
                handle.cancel();
            }
        }
    }
}
