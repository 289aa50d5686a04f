//! What a confused or hostile peer might say, and who has said what.
use crate::client::Client;
use crate::dice::Dice;
use crate::worker::EPOCH;
use quiltwork_scheduler::Event;
use quiltwork_types::{
    AttemptId, Epoch, FailureKind, LossReason, NodeId, Resources, TaskFailure, TaskId, ValueId, WorkerId,
};
use std::time::Duration;

/// An event that nobody has reason to send, about things that may well exist.
pub(crate) fn nonsense(dice: &mut Dice, client: &Client, worker: WorkerId, joined: u32) -> Event {
    let task = client.any_task(dice);
    let attempt = AttemptId { task, number: dice.below(4) };
    let unheard_of = AttemptId { number: attempt.number + 1_000, ..attempt };
    let value = ValueId { task, output: u16::from(dice.chance(10)) };
    let worker = if dice.chance(20) { WorkerId(dice.below(90)) } else { worker };
    let epoch = if dice.chance(50) { EPOCH } else { Epoch(u64::from(dice.below(9))) };
    let failure = || Box::new(TaskFailure::new(FailureKind::Error, task, "nonsense"));
    match dice.below(19) {
        0 => Event::AttemptStarted { worker, attempt },
        1 => Event::AttemptFinished { worker, attempt, epoch, size: 1, inline: false, ran: Duration::ZERO },
        2 => Event::AttemptFinished { worker, attempt, epoch, size: 2, inline: true, ran: Duration::MAX },
        3 => Event::AttemptFailed { worker, attempt, epoch, failure: failure() },
        4 => Event::AttemptReturned { worker, attempt },
        5 => Event::InputsMissing { worker, attempt, missing: vec![(value, worker)] },
        6 => Event::ValueMissing { value, holder: worker },
        7 => Event::SlotReclaimed { worker, attempt: unheard_of },
        8 => Event::SlotLent { worker, attempt: unheard_of },
        9 => Event::WorkerJoined { worker: WorkerId(dice.below(joined)), capacity: Resources::slots(3), node: None },
        10 => Event::WorkerLost { worker: WorkerId(1_000 + worker.0), reason: LossReason::Silent },
        12 => Event::AdoptionFailed { worker, value, failure: failure() },
        13 => Event::UploadFailed { task, failure: failure() },
        14 => Event::ValueWritten { task, size: 3, node: NodeId(u64::from(dice.below(3))) },
        15 => Event::ValueCopied { value, worker },
        11 => Event::ValueUploaded { task: TaskId { index: task.index + 5_000, ..task }, size: 3 },
        16 => Event::WorkerPressed { worker },
        17 => Event::WorkerRelieved { worker },
        _ => Event::TimePassed,
    }
}

/// Whether an event is a message of this worker.
pub(crate) fn is_from(event: &Event, id: WorkerId) -> bool {
    match event {
        Event::AttemptStarted { worker, .. }
        | Event::AttemptFinished { worker, .. }
        | Event::AttemptFailed { worker, .. }
        | Event::AttemptReturned { worker, .. }
        | Event::InputsMissing { worker, .. }
        | Event::ValueCopied { worker, .. }
        | Event::AdoptionFailed { worker, .. }
        | Event::SlotLent { worker, .. }
        | Event::SlotReclaimed { worker, .. }
        | Event::WorkerPressed { worker }
        | Event::WorkerRelieved { worker } => *worker == id,
        _ => false,
    }
}
