//! What one worker is to be told after a batch of events, in order and in few messages; it sends nothing itself.
use bytes::Bytes;
use quiltwork_protocol::master_to_worker::{Assignment, Orphan};
use quiltwork_protocol::{MasterToWorker, Parcel};
use quiltwork_types::{AttemptId, FunctionId, JobId, ValueId, WorkerId};

/// A dispatch message is closed above this many bytes, so that the worker can begin before all of it has arrived.
const DISPATCH_BYTES: usize = 1 << 20;
/// Payloads of one dispatch message; the frame counts them in 16 bits.
pub(crate) const DISPATCH_PAYLOADS: usize = 60_000;
/// Bytes of the head one input takes at most, roughly.
const INPUT_BYTES: usize = 64;

/// The messages for one worker. What is said twice in a row becomes one message; the order is kept.
#[derive(Default)]
pub(crate) struct Orders {
    parcels: Vec<Parcel<MasterToWorker>>,
    dispatch_bytes: usize,
}

/// Appends one item to the last message if it is of the same kind, else begins a message of that kind.
macro_rules! append {
    ($self:ident, $kind:ident { $list:ident }, $item:expr) => {
        match $self.parcels.last_mut().map(|parcel| &mut parcel.message) {
            Some(MasterToWorker::$kind { $list }) => $list.push($item),
            _ => $self.parcels.push(Parcel::bare(MasterToWorker::$kind { $list: vec![$item] })),
        }
    };
}

impl Orders {
    /// Tells the name of a function; before the first dispatch of it.
    pub(crate) fn define(&mut self, function: FunctionId, name: String) {
        self.parcels.push(Parcel::bare(MasterToWorker::DefineFunction { function, name }));
    }

    /// Gives an attempt, with the payloads it refers to.
    pub(crate) fn dispatch(&mut self, assignment: Assignment, payloads: Vec<Bytes>) {
        let mentions: usize = assignment.inputs.iter().map(|input| 1 + input.values().len()).sum();
        let bytes = payloads.iter().map(Bytes::len).sum::<usize>() + mentions * INPUT_BYTES;
        if let Some(Parcel { message: MasterToWorker::Dispatch { assignments }, payloads: all }) =
            self.parcels.last_mut()
            && self.dispatch_bytes + bytes <= DISPATCH_BYTES
            && all.len() + payloads.len() <= DISPATCH_PAYLOADS
        {
            assignments.push(assignment);
            all.extend(payloads);
            self.dispatch_bytes += bytes;
            return;
        }
        self.parcels.push(Parcel::new(MasterToWorker::Dispatch { assignments: vec![assignment] }, payloads));
        self.dispatch_bytes = bytes;
    }

    /// Asks for an attempt back.
    pub(crate) fn recall(&mut self, attempt: AttemptId) {
        append!(self, Recall { attempts }, attempt);
    }

    /// Says that nobody wants an attempt any more.
    pub(crate) fn cancel(&mut self, attempt: AttemptId) {
        append!(self, Cancel { attempts }, attempt);
    }

    /// Says that a completion changed nothing.
    pub(crate) fn supersede(&mut self, attempt: AttemptId) {
        append!(self, Superseded { attempts }, attempt);
    }

    /// Says that a value is not needed any more.
    pub(crate) fn free(&mut self, value: ValueId) {
        append!(self, Free { values }, value);
    }

    /// Says who holds the values of a lost worker of its node now.
    pub(crate) fn inherit(&mut self, from: WorkerId, heir: WorkerId, values: Vec<ValueId>) {
        self.parcels.push(Parcel::bare(MasterToWorker::Inherit { from, heir, values }));
    }

    /// Asks to make a value the worker's own.
    pub(crate) fn adopt(&mut self, orphan: Orphan) {
        append!(self, Adopt { values }, orphan);
    }

    /// Asks to remove what a client has written.
    pub(crate) fn clear_away(&mut self, job: JobId) {
        append!(self, ClearAway { jobs }, job);
    }

    /// Says that another worker is gone.
    pub(crate) fn lose_worker(&mut self, worker: WorkerId) {
        append!(self, WorkersLost { workers }, worker);
    }

    /// Whether there is nothing to say.
    pub(crate) const fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Hands everything over, in order.
    pub(crate) fn take(&mut self) -> Vec<Parcel<MasterToWorker>> {
        self.dispatch_bytes = 0;
        std::mem::take(&mut self.parcels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_protocol::master_to_worker::{Duty, Input};
    use quiltwork_types::{Encoding, JobId, TaskId};

    fn attempt(index: u32) -> AttemptId {
        AttemptId { task: TaskId { job: JobId(1), index }, number: 1 }
    }

    fn assignment(index: u32) -> Assignment {
        Assignment {
            attempt: attempt(index),
            function: FunctionId(0),
            inputs: vec![Input::Literal(Encoding::Raw)],
            slots: 1,
            name: None,
            partition: None,
            duty: Duty::Task,
        }
    }

    #[test]
    fn neighbours_of_one_kind_share_a_message_and_the_order_is_kept() {
        let mut orders = Orders::default();
        orders.dispatch(assignment(0), vec![Bytes::from_static(b"0")]);
        orders.dispatch(assignment(1), vec![Bytes::from_static(b"1")]);
        orders.cancel(attempt(0));
        orders.cancel(attempt(1));
        orders.dispatch(assignment(2), vec![Bytes::from_static(b"2")]);

        let parcels = orders.take();
        assert_eq!(parcels[0].payloads, [Bytes::from_static(b"0"), Bytes::from_static(b"1")]);
        assert_eq!(parcels[1].message, MasterToWorker::Cancel { attempts: vec![attempt(0), attempt(1)] });
        assert!(matches!(&parcels[2].message, MasterToWorker::Dispatch { assignments } if assignments.len() == 1));
        assert!(orders.is_empty());
    }

    #[test]
    fn large_arguments_do_not_gather_in_one_message() {
        let mut orders = Orders::default();
        for index in 0..4 {
            orders.dispatch(assignment(index), vec![Bytes::from(vec![0; DISPATCH_BYTES / 2])]);
        }
        assert!(orders.take().len() >= 3);
    }
}
