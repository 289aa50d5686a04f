//! What one client is still to be told, as ids only, and the making of its next messages; it sends nothing itself.
//!
//! Policy for a client that reads slowly or not at all: one delivery of about [`DELIVERY_BYTES`] is on its way at a
//! time. Whatever happens meanwhile waits here as ids and outcomes, one entry per task the client keeps, and becomes
//! bytes only when the link has taken the delivery before. So a client that sleeps costs the master nothing beyond the
//! records of its tasks, and no other client waits for it.
use bytes::Bytes;
use quiltwork_protocol::master_to_client::{Answer, End, TaskEnd};
use quiltwork_protocol::{MasterToClient, Parcel, client_to_master::Question};
use quiltwork_scheduler::Outcome;
use quiltwork_types::{FailureKind, TaskId, WorkerId};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of one delivery, roughly: enough to keep a fast reader busy, little enough to have for every client.
const DELIVERY_BYTES: usize = 256 * 1024;
/// Ends and reports of one delivery; each carries at most one payload and the frame counts them in 16 bits.
const DELIVERY_ITEMS: usize = 16 * 1024;
/// Answers of one delivery: one about a thousand workers takes a hundred kilobytes.
const DELIVERY_ANSWERS: usize = 16;
/// Bytes an end takes beside its payload, roughly.
const END_BYTES: usize = 32;
/// Questions a client may have waiting; further ones mean that it asks without reading.
pub(crate) const QUESTIONS: usize = 1024;

/// Turns what waits into what is sent; implemented by whoever has the payloads, at the moment of sending.
pub(crate) trait Materialize {
    /// How a task ended, as it is told to the client; `None` if the task is gone, so that nobody waits to hear it.
    fn end(&self, task: TaskId, outcome: Outcome) -> Option<(End, Option<Bytes>)>;
    /// What there is to say to a question.
    fn answer(&self, question: Question) -> Answer;
}

/// Ends that may wait before they are searched for those nobody waits for any more.
const STALE_ENDS: usize = 4096;

/// What waits for one client.
#[derive(Default)]
pub(crate) struct Outbox {
    ends: VecDeque<(TaskId, Outcome)>,
    ends_after_pruning: usize,
    progress: BTreeMap<TaskId, (u64, u64)>,
    questions: VecDeque<(u64, Question)>,
    lost_workers: Vec<WorkerId>,
    delivering: bool,
}

impl Outbox {
    /// A task has ended.
    pub(crate) fn end(&mut self, task: TaskId, outcome: Outcome) {
        self.ends.push_back((task, outcome));
    }

    /// How many ends wait.
    pub(crate) fn waiting_ends(&self) -> usize {
        self.ends.len()
    }

    /// Drops the ends of tasks that are not known any more, because a client that releases tasks without reading of
    /// their ends would let them pile up. Refusals stay: a refused task may never have been known. Cheap to call often:
    /// the list is searched when it has doubled.
    pub(crate) fn prune_ends(&mut self, is_known: impl Fn(TaskId) -> bool) {
        if self.ends.len() < 2 * self.ends_after_pruning + STALE_ENDS {
            return;
        }
        let is_refusal =
            |outcome: &Outcome| matches!(outcome, Outcome::Failed(failure) if failure.kind == FailureKind::Refused);
        self.ends.retain(|(task, outcome)| is_known(*task) || is_refusal(outcome));
        self.ends_after_pruning = self.ends.len();
    }

    /// A task is `done` of `total`; what was said before and not sent yet is replaced.
    pub(crate) fn progress(&mut self, task: TaskId, done: u64, total: u64) {
        self.progress.insert(task, (done, total));
    }

    /// A worker is gone; what the client fetches from it will not come.
    pub(crate) fn lose_worker(&mut self, worker: WorkerId) {
        self.lost_workers.push(worker);
    }

    /// The client asks something.
    ///
    /// # Errors
    /// If it has [`QUESTIONS`] waiting already.
    pub(crate) fn ask(&mut self, question: u64, about: Question) -> Result<(), ()> {
        if self.questions.len() >= QUESTIONS {
            return Err(());
        }
        self.questions.push_back((question, about));
        Ok(())
    }

    /// The link has taken the last delivery.
    pub(crate) const fn delivered(&mut self) {
        self.delivering = false;
    }

    /// The next delivery, if there is something to say and the last one was taken.
    pub(crate) fn next_delivery(&mut self, source: &impl Materialize) -> Option<Vec<Parcel<MasterToClient>>> {
        if self.delivering {
            return None;
        }
        let news = [self.take_lost_workers(), self.take_ends(source), self.take_progress()];
        let mut parcels: Vec<_> = news.into_iter().flatten().collect();
        let questions = self.questions.drain(..self.questions.len().min(DELIVERY_ANSWERS));
        parcels.extend(
            questions.map(|(question, about)| {
                Parcel::bare(MasterToClient::Answer { question, answer: source.answer(about) })
            }),
        );
        self.delivering = !parcels.is_empty();
        self.delivering.then_some(parcels)
    }

    fn take_ends(&mut self, source: &impl Materialize) -> Option<Parcel<MasterToClient>> {
        let (mut ends, mut payloads, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < DELIVERY_BYTES && ends.len() < DELIVERY_ITEMS {
            let Some((task, outcome)) = self.ends.pop_front() else { break };
            let Some((end, payload)) = source.end(task, outcome) else { continue };
            self.progress.remove(&task);
            bytes += END_BYTES + payload.as_ref().map_or(0, Bytes::len) + words(&end);
            ends.push(TaskEnd { task, end });
            payloads.extend(payload);
        }
        (!ends.is_empty()).then(|| Parcel::new(MasterToClient::Ended { ends }, payloads))
    }

    fn take_lost_workers(&mut self) -> Option<Parcel<MasterToClient>> {
        let workers = std::mem::take(&mut self.lost_workers);
        (!workers.is_empty()).then(|| Parcel::bare(MasterToClient::WorkersLost { workers }))
    }

    fn take_progress(&mut self) -> Option<Parcel<MasterToClient>> {
        if self.progress.is_empty() {
            return None;
        }
        let now: Vec<TaskId> = self.progress.keys().copied().take(DELIVERY_ITEMS).collect();
        let reports = now.into_iter().filter_map(|task| {
            let (done, total) = self.progress.remove(&task)?;
            Some((task, done, total))
        });
        Some(Parcel::bare(MasterToClient::Progress { reports: reports.collect() }))
    }
}

/// Bytes of the texts of a failure.
fn words(end: &End) -> usize {
    let End::Failed(failure) = end else { return 0 };
    let texts = failure.name.len() + failure.message.len() + failure.details.iter().map(String::len).sum::<usize>();
    texts + failure.original.as_ref().map_or(0, |original| original.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_scheduler::InputSource;
    use quiltwork_types::{Encoding, JobId, ValueId};

    /// Values of 1 KiB; tasks above 900,000 are gone.
    struct Source;

    impl Materialize for Source {
        fn end(&self, task: TaskId, _outcome: Outcome) -> Option<(End, Option<Bytes>)> {
            (task.index < 900_000).then(|| (End::Inline(Encoding::Raw), Some(Bytes::from_static(&[0; 1024]))))
        }

        fn answer(&self, _question: Question) -> Answer {
            Answer::Workers(Vec::new())
        }
    }

    fn task(index: u32) -> TaskId {
        TaskId { job: JobId(1), index }
    }

    fn finished(index: u32) -> Outcome {
        Outcome::Finished(InputSource { value: ValueId::of(task(index)), size: 1024, workers: Vec::new() })
    }

    fn ended(parcels: &[Parcel<MasterToClient>]) -> Vec<u32> {
        let ends = parcels.iter().filter_map(|parcel| match &parcel.message {
            MasterToClient::Ended { ends } => Some(ends.iter().map(|end| end.task.index)),
            _ => None,
        });
        ends.flatten().collect()
    }

    #[test]
    fn only_one_bounded_delivery_is_on_its_way() {
        let mut outbox = Outbox::default();
        for index in 0..2000 {
            outbox.end(task(index), finished(index));
        }
        let first = outbox.next_delivery(&Source).unwrap();
        let size: usize = first.iter().flat_map(|parcel| &parcel.payloads).map(Bytes::len).sum();
        assert!(size <= DELIVERY_BYTES + 1024);
        assert!(outbox.next_delivery(&Source).is_none(), "the first is not taken yet");

        let mut all = ended(&first);
        outbox.delivered();
        while let Some(parcels) = outbox.next_delivery(&Source) {
            all.extend(ended(&parcels));
            outbox.delivered();
        }
        assert_eq!(all, (0..2000).collect::<Vec<_>>());
    }

    #[test]
    fn a_task_that_is_gone_is_not_told_and_does_not_block() {
        let mut outbox = Outbox::default();
        outbox.end(task(900_000), finished(900_000));
        assert!(outbox.next_delivery(&Source).is_none());
        outbox.end(task(1), finished(1));
        assert_eq!(ended(&outbox.next_delivery(&Source).unwrap()), [1]);
    }

    #[test]
    fn ends_of_released_tasks_do_not_pile_up() {
        let mut outbox = Outbox::default();
        for index in 0..100_000 {
            outbox.end(task(index), finished(index));
            outbox.prune_ends(|task| task.index < 10);
        }
        assert!(outbox.waiting_ends() < 2 * STALE_ENDS);
        assert_eq!(ended(&outbox.next_delivery(&Source).unwrap())[..10], (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn progress_is_the_latest_and_ends_with_the_task() {
        let mut outbox = Outbox::default();
        outbox.progress(task(1), 1, 10);
        outbox.progress(task(1), 2, 10);
        outbox.progress(task(2), 5, 10);
        outbox.end(task(2), finished(2));
        let parcels = outbox.next_delivery(&Source).unwrap();
        assert_eq!(parcels[1].message, MasterToClient::Progress { reports: vec![(task(1), 2, 10)] });
    }

    #[test]
    fn questions_have_a_limit() {
        let mut outbox = Outbox::default();
        for question in 0..QUESTIONS as u64 {
            outbox.ask(question, Question::Workers).unwrap();
        }
        assert_eq!(outbox.ask(0, Question::Workers), Err(()));
    }
}
