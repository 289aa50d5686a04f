//! What is to be told to the master: collected as it happens, taken in one batch; it neither sends nor waits.
use crate::executor::Ending;
use quiltwork_protocol::Parcel;
use quiltwork_protocol::worker_to_master::{AttemptEnd, WorkerToMaster};
use quiltwork_types::{AttemptId, Epoch, TaskFailure, ValueId, WorkerId};
use std::collections::{HashMap, HashSet};

/// The most ends in one message: with the longest failure texts it stays below the limit of a message head.
const ENDS_PER_MESSAGE: usize = 256;

/// Everything that happened since the last batch was taken.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    started: Vec<AttemptId>,
    lendings: Vec<(AttemptId, Lending)>,
    copied: Vec<ValueId>,
    not_inherited: Vec<ValueId>,
    not_adopted: Vec<(ValueId, TaskFailure)>,
    ended: Vec<(AttemptId, Ending)>,
    returned: Vec<AttemptId>,
    lacking: Vec<(AttemptId, Vec<(ValueId, WorkerId)>)>,
    progress: HashMap<AttemptId, (u64, u64)>,
    pressed: Option<bool>,
}

/// Which way an attempt's slots went.
#[derive(Clone, Copy, Debug)]
enum Lending {
    Lent,
    Reclaimed,
}

impl Reports {
    pub(crate) fn started(&mut self, attempt: AttemptId) {
        self.started.push(attempt);
    }

    pub(crate) fn lent(&mut self, attempt: AttemptId) {
        self.lendings.push((attempt, Lending::Lent));
    }

    pub(crate) fn reclaimed(&mut self, attempt: AttemptId) {
        self.lendings.push((attempt, Lending::Reclaimed));
    }

    pub(crate) fn copied(&mut self, value: ValueId) {
        self.copied.push(value);
    }

    pub(crate) fn not_inherited(&mut self, values: Vec<ValueId>) {
        self.not_inherited.extend(values);
    }

    pub(crate) fn not_adopted(&mut self, value: ValueId, failure: TaskFailure) {
        self.not_adopted.push((value, failure));
    }

    pub(crate) fn ended(&mut self, attempt: AttemptId, ending: Ending) {
        self.ended.push((attempt, ending));
    }

    pub(crate) fn returned(&mut self, attempt: AttemptId) {
        self.returned.push(attempt);
    }

    pub(crate) fn lacking(&mut self, attempt: AttemptId, missing: Vec<(ValueId, WorkerId)>) {
        self.lacking.push((attempt, missing));
    }

    pub(crate) fn progress(&mut self, attempt: AttemptId, done: u64, total: u64) {
        self.progress.insert(attempt, (done, total));
    }

    pub(crate) fn pressed(&mut self, is_pressed: bool) {
        self.pressed = Some(is_pressed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        let Self { started, lendings, copied, not_inherited, not_adopted, ended, returned, lacking, progress, pressed } =
            self;
        started.is_empty()
            && lendings.is_empty()
            && copied.is_empty()
            && not_inherited.is_empty()
            && not_adopted.is_empty()
            && ended.is_empty()
            && returned.is_empty()
            && lacking.is_empty()
            && progress.is_empty()
            && pressed.is_none()
    }

    /// Takes all there is, as messages in the order in which they must be sent: an attempt is said to run before it is
    /// said to lend, a copy is known before the attempt that needed it is forgotten, and what has ended before what followed
    /// it goes back. Of an attempt that has ended nothing but its end is said.
    pub(crate) fn take(&mut self, epoch: Epoch) -> Vec<Parcel<WorkerToMaster>> {
        let Self {
            mut started,
            lendings,
            copied,
            not_inherited,
            not_adopted,
            ended,
            returned,
            lacking,
            mut progress,
            pressed,
        } = std::mem::take(self);
        let gone: HashSet<AttemptId> = ended.iter().map(|(attempt, _)| *attempt).collect();
        started.retain(|attempt| !gone.contains(attempt));
        progress.retain(|attempt, _| !gone.contains(attempt));

        let mut parcels = Vec::new();
        if let Some(is_pressed) = pressed {
            parcels.push(if is_pressed { WorkerToMaster::Pressed } else { WorkerToMaster::Relieved }.into());
        }
        if !started.is_empty() {
            parcels.push(WorkerToMaster::Started { attempts: started }.into());
        }
        for (attempt, lending) in lendings.into_iter().filter(|(attempt, _)| !gone.contains(attempt)) {
            parcels.push(match lending {
                Lending::Lent => WorkerToMaster::Lent { attempt }.into(),
                Lending::Reclaimed => WorkerToMaster::Reclaimed { attempt }.into(),
            });
        }
        if !copied.is_empty() {
            parcels.push(WorkerToMaster::Copied { values: copied }.into());
        }
        if !not_inherited.is_empty() {
            parcels.push(WorkerToMaster::NotInherited { values: not_inherited }.into());
        }
        for (value, failure) in not_adopted {
            parcels.push(WorkerToMaster::NotAdopted { value, failure }.into());
        }
        push_ends(epoch, ended, &mut parcels);
        for (attempt, missing) in lacking {
            parcels.push(WorkerToMaster::InputsMissing { attempt, missing }.into());
        }
        if !returned.is_empty() {
            parcels.push(WorkerToMaster::Returned { attempts: returned }.into());
        }
        if !progress.is_empty() {
            let reports = progress.into_iter().map(|(attempt, (done, total))| (attempt, done, total)).collect();
            parcels.push(WorkerToMaster::Progress { reports }.into());
        }
        parcels
    }
}

fn push_ends(epoch: Epoch, ended: Vec<(AttemptId, Ending)>, parcels: &mut Vec<Parcel<WorkerToMaster>>) {
    let mut ended = ended.into_iter().peekable();
    while ended.peek().is_some() {
        let mut payloads = Vec::new();
        let ends = ended.by_ref().take(ENDS_PER_MESSAGE).map(|(attempt, Ending { outcome, inline })| {
            payloads.extend(inline);
            AttemptEnd { attempt, end: outcome }
        });
        let ends = ends.collect();
        parcels.push(Parcel::new(WorkerToMaster::Ended { epoch, ends }, payloads));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use quiltwork_protocol::worker_to_master::{AttemptOutcome, Made};
    use quiltwork_types::{Encoding, JobId, TaskId};

    fn attempt(index: u32) -> AttemptId {
        AttemptId { task: TaskId { job: JobId(1), index }, number: 1 }
    }

    fn ending() -> Ending {
        let outcome = AttemptOutcome::Finished { encoding: Encoding::Raw, size: 1, made: Made::Inline, ran_nanos: 0 };
        Ending { outcome, inline: Some(Bytes::from_static(b"x")) }
    }

    fn take(reports: &mut Reports) -> Vec<WorkerToMaster> {
        reports.take(Epoch(1)).into_iter().map(|parcel| parcel.message).collect()
    }

    #[test]
    fn of_an_attempt_that_ended_only_the_end_is_said() {
        let mut reports = Reports::default();
        for index in [1, 2] {
            reports.started(attempt(index));
            reports.lent(attempt(index));
            reports.progress(attempt(index), 1, 2);
        }
        reports.ended(attempt(1), ending());
        let said = take(&mut reports);
        assert_eq!(said[0], WorkerToMaster::Started { attempts: vec![attempt(2)] });
        assert_eq!(said[1], WorkerToMaster::Lent { attempt: attempt(2) });
        assert!(matches!(&said[2], WorkerToMaster::Ended { ends, .. } if ends[0].attempt == attempt(1)), "{said:?}");
        assert_eq!(said[3], WorkerToMaster::Progress { reports: vec![(attempt(2), 1, 2)] });
        assert_eq!(said.len(), 4);
    }

    #[test]
    fn lending_is_told_in_order_and_progress_only_once() {
        let mut reports = Reports::default();
        reports.lent(attempt(1));
        reports.reclaimed(attempt(1));
        reports.lent(attempt(1));
        reports.progress(attempt(1), 1, 9);
        reports.progress(attempt(1), 5, 9);
        let (lent, reclaimed) =
            (WorkerToMaster::Lent { attempt: attempt(1) }, WorkerToMaster::Reclaimed { attempt: attempt(1) });
        let progress = WorkerToMaster::Progress { reports: vec![(attempt(1), 5, 9)] };
        assert_eq!(take(&mut reports), [lent.clone(), reclaimed, lent, progress]);
        assert!(reports.is_empty() && take(&mut reports).is_empty());
    }

    #[test]
    fn many_ends_are_split_and_each_keeps_its_payload() {
        let mut reports = Reports::default();
        let count = ENDS_PER_MESSAGE + 1;
        (0..count).for_each(|index| reports.ended(attempt(u32::try_from(index).expect("few")), ending()));
        let parcels = reports.take(Epoch(1));
        let payloads: Vec<usize> = parcels.iter().map(|parcel| parcel.payloads.len()).collect();
        assert_eq!(payloads, [ENDS_PER_MESSAGE, 1]);
    }
}
