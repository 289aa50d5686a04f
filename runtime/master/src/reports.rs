//! Checks what a worker says and turns it into events; it keeps nothing and sends nothing.
use bytes::Bytes;
use quiltwork_protocol::worker_to_master::{AttemptEnd, AttemptOutcome, Made};
use quiltwork_protocol::{INLINE_LIMIT, Parcel, WorkerToMaster};
use quiltwork_scheduler::Event;
use quiltwork_types::{AttemptId, Encoding, Epoch, TaskFailure, TaskId, WorkerId};
use std::time::Duration;

/// The longest message or hint of a failure that is kept, in bytes.
const TEXT_LIMIT: usize = 16 * 1024;
/// Lines under a failure's message that are kept.
const DETAIL_LINES: usize = 64;
/// The longest of these lines that is kept, in bytes.
const DETAIL_LIMIT: usize = 1024;

/// One thing a worker said, with what stands beside the event.
#[derive(Debug, PartialEq)]
pub(crate) enum Report {
    /// Something that is all event.
    Event(Event),
    /// An attempt made its value.
    Finished(Finished),
    /// A running task is so far.
    Progress {
        /// Which.
        task: TaskId,
        /// In the task's own unit.
        done: u64,
        /// In the same unit.
        total: u64,
    },
    /// It ends, because it used more memory than it may. Nothing it said after that counts.
    OutOfMemory {
        /// Its newest attempt.
        attempt: AttemptId,
        /// In bytes.
        used: u64,
        /// In bytes.
        limit: u64,
    },
}

/// An attempt that made its value.
#[derive(Debug, PartialEq)]
pub(crate) struct Finished {
    /// Which.
    pub(crate) attempt: AttemptId,
    /// The epoch in which it was dispatched.
    pub(crate) epoch: Epoch,
    /// How to read the value.
    pub(crate) encoding: Encoding,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its bytes, if they came along.
    pub(crate) bytes: Option<Bytes>,
    /// How long the function ran.
    pub(crate) ran: Duration,
}

/// Turns the parcels of `worker` into reports, in order.
///
/// # Errors
/// What the worker did that it must not do; none of the batch counts then.
pub(crate) fn translate(
    worker: WorkerId,
    value_limit: u64,
    parcels: impl Iterator<Item = Parcel<WorkerToMaster>>,
) -> Result<Vec<Report>, String> {
    let mut reports = Vec::new();
    for Parcel { message, payloads } in parcels {
        match message {
            WorkerToMaster::Ended { epoch, ends } => {
                let mut payloads = payloads.into_iter();
                for end in ends {
                    reports.push(ended(worker, value_limit, epoch, end, &mut payloads)?);
                }
            }
            WorkerToMaster::Progress { reports: latest } => {
                let latest = latest.into_iter();
                reports.extend(latest.map(|(attempt, done, total)| Report::Progress {
                    task: attempt.task,
                    done,
                    total,
                }));
            }
            WorkerToMaster::OutOfMemory { attempt, used, limit } => {
                reports.push(Report::OutOfMemory { attempt, used, limit });
                break;
            }
            other => plain(worker, other, |event| reports.push(Report::Event(event))),
        }
    }
    Ok(reports)
}

/// The messages that are nothing but events.
fn plain(worker: WorkerId, message: WorkerToMaster, mut tell: impl FnMut(Event)) {
    match message {
        WorkerToMaster::Started { attempts } => {
            attempts.into_iter().for_each(|attempt| tell(Event::AttemptStarted { worker, attempt }));
        }
        WorkerToMaster::Returned { attempts } => {
            attempts.into_iter().for_each(|attempt| tell(Event::AttemptReturned { worker, attempt }));
        }
        WorkerToMaster::InputsMissing { attempt, missing } => tell(Event::InputsMissing { worker, attempt, missing }),
        WorkerToMaster::Copied { values } => {
            values.into_iter().for_each(|value| tell(Event::ValueCopied { value, worker }));
        }
        WorkerToMaster::NotInherited { values } => {
            values.into_iter().for_each(|value| tell(Event::ValueMissing { value, holder: worker }));
        }
        WorkerToMaster::NotAdopted { value, failure } => {
            tell(Event::AdoptionFailed { worker, value, failure: Box::new(clipped(failure)) });
        }
        WorkerToMaster::Lent { attempt } => tell(Event::SlotLent { worker, attempt }),
        WorkerToMaster::Reclaimed { attempt } => tell(Event::SlotReclaimed { worker, attempt }),
        WorkerToMaster::Pressed => tell(Event::WorkerPressed { worker }),
        WorkerToMaster::Relieved => tell(Event::WorkerRelieved { worker }),
        WorkerToMaster::Ended { .. } | WorkerToMaster::Progress { .. } | WorkerToMaster::OutOfMemory { .. } => {
            unreachable!("translated by the caller: they are more than events")
        }
    }
}

fn ended(
    worker: WorkerId,
    value_limit: u64,
    epoch: Epoch,
    AttemptEnd { attempt, end }: AttemptEnd,
    payloads: &mut impl Iterator<Item = Bytes>,
) -> Result<Report, String> {
    let (encoding, size, made, ran_nanos) = match end {
        AttemptOutcome::Finished { encoding, size, made, ran_nanos } => (encoding, size, made, ran_nanos),
        AttemptOutcome::Failed(failure) => {
            let failure = Box::new(clipped(failure));
            return Ok(Report::Event(Event::AttemptFailed { worker, attempt, epoch, failure }));
        }
    };
    let bytes = match made {
        Made::Inline => Some(payloads.next().expect("the codec checked that there is a payload for each")),
        Made::Stored => None,
    };
    if let Some(bytes) = &bytes
        && (bytes.len() as u64 != size || bytes.len() > INLINE_LIMIT)
    {
        return Err(format!("{attempt} sent {} bytes as an inline value of {size} bytes", bytes.len()));
    }
    if size > value_limit {
        return Err(format!("{attempt} made a value of {size} bytes, over the limit of {value_limit}"));
    }
    let ran = Duration::from_nanos(ran_nanos);
    Ok(Report::Finished(Finished { attempt, epoch, encoding, size, bytes, ran }))
}

/// A failure whose texts are kept and copied for every task that needs the failed one: not without a limit.
fn clipped(mut failure: TaskFailure) -> TaskFailure {
    clip(&mut failure.name, DETAIL_LIMIT);
    clip(&mut failure.message, TEXT_LIMIT);
    if let Some(hint) = &mut failure.hint {
        clip(hint, TEXT_LIMIT);
    }
    let left_out = failure.details.len().saturating_sub(DETAIL_LINES);
    failure.details.truncate(DETAIL_LINES);
    failure.details.iter_mut().for_each(|line| clip(line, DETAIL_LIMIT));
    if left_out > 0 {
        failure.details.push(format!("… {left_out} more lines"));
    }
    failure.details.shrink_to_fit();
    // Half of an encoding is worth nothing; the texts tell the rest.
    failure.original.take_if(|original| original.len() > TaskFailure::ORIGINAL_LIMIT);
    failure
}

fn clip(text: &mut String, limit: usize) {
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit));
        text.push('…');
    }
    text.shrink_to_fit();
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::{FailureKind, JobId};

    const WORKER: WorkerId = WorkerId(4);

    fn attempt(index: u32) -> AttemptId {
        AttemptId { task: TaskId { job: JobId(1), index }, number: 1 }
    }

    fn finished(index: u32, size: u64, made: Made) -> AttemptEnd {
        let end = AttemptOutcome::Finished { encoding: Encoding::Raw, size, made, ran_nanos: 5 };
        AttemptEnd { attempt: attempt(index), end }
    }

    fn translate_ends(ends: Vec<AttemptEnd>, payloads: Vec<Bytes>) -> Result<Vec<Report>, String> {
        let parcel = Parcel::new(WorkerToMaster::Ended { epoch: Epoch(1), ends }, payloads);
        translate(WORKER, 100_000, [parcel].into_iter())
    }

    #[test]
    fn payloads_go_to_the_ends_that_announce_them() {
        let ends = vec![finished(0, 9000, Made::Stored), finished(1, 3, Made::Inline)];
        let reports = translate_ends(ends, vec![Bytes::from_static(b"abc")]).unwrap();
        let bytes: Vec<_> = reports
            .iter()
            .map(|report| match report {
                Report::Finished(finished) => finished.bytes.as_deref(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(bytes, [None, Some(&b"abc"[..])]);
    }

    #[test]
    fn lies_about_sizes_are_found() {
        assert!(translate_ends(vec![finished(0, 4, Made::Inline)], vec![Bytes::from_static(b"abc")]).is_err());
        assert!(translate_ends(vec![finished(0, 100_001, Made::Stored)], Vec::new()).is_err());
        let large = Bytes::from(vec![0; INLINE_LIMIT + 1]);
        assert!(translate_ends(vec![finished(0, large.len() as u64, Made::Inline)], vec![large]).is_err());
    }

    #[test]
    fn a_failure_of_any_length_becomes_a_short_one() {
        let mut failure = TaskFailure::new(FailureKind::Error, attempt(0).task, "ä".repeat(1 << 20));
        failure.details = vec!["x".repeat(1 << 20); 1000];
        failure.original = Some(vec![0; TaskFailure::ORIGINAL_LIMIT + 1].into());
        let ends = vec![AttemptEnd { attempt: attempt(0), end: AttemptOutcome::Failed(failure) }];
        let reports = translate_ends(ends, Vec::new()).unwrap();
        let Report::Event(Event::AttemptFailed { failure, .. }) = &reports[0] else { panic!("{reports:?}") };
        assert!(failure.message.len() < TEXT_LIMIT + 4);
        assert_eq!(failure.details.len(), DETAIL_LINES + 1);
        assert!(failure.details.iter().all(|line| line.len() < DETAIL_LIMIT + 4));
        assert_eq!(failure.original, None);
    }
}
