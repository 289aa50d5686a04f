//! Builds what a worker is sent for one attempt out of the task's record and the places of its inputs; it decides
//! nothing.
use crate::orders::DISPATCH_PAYLOADS;
use crate::payloads::{Payloads, StoredArgument, TaskRecord, share};
use bytes::Bytes;
use quiltwork_protocol::master_to_worker::{Assignment, Duty, Input, InputValue, Place};
use quiltwork_protocol::{Holder, INLINE_LIMIT};
use quiltwork_scheduler::{InputSource, Supply};
use quiltwork_types::{AttemptId, TaskId, ValueId, WorkerId};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Small inputs travel with the attempt up to this many bytes in all; beyond it they are fetched from the master.
const INLINE_BUDGET: usize = 8 << 20;
/// A task that mentions more inputs is told of one holder each, so that its message stays under the frame's limit.
const MANY_INPUTS: usize = 4096;
/// Holders named for each input otherwise: enough to spread fetches and to survive a loss.
const HOLDERS: usize = 4;

/// Builds the assignment of `attempt`, a call of `actor` if there is one, and the payloads it refers to. `supplies` are the places of the task's inputs in
/// the order in which its arguments first mention them.
pub(crate) fn assignment(
    attempt: AttemptId,
    actor: Option<TaskId>,
    record: &TaskRecord,
    supplies: &[Supply],
    payloads: &Payloads,
    way: impl Fn(WorkerId) -> Option<Way>,
) -> (Assignment, Vec<Bytes>) {
    let holders = if record.mentions() > MANY_INPUTS { 1 } else { HOLDERS };
    let literals = record.arguments.iter().filter(|argument| matches!(argument, StoredArgument::Literal(..))).count();
    let mut builder = Builder {
        supplies: Supplies::new(supplies),
        payloads,
        way,
        holders,
        inline_room: DISPATCH_PAYLOADS.saturating_sub(literals),
        inline_bytes: INLINE_BUDGET,
        out: Vec::with_capacity(record.arguments.len()),
    };
    let inputs = record.arguments.iter().map(|argument| builder.input(argument)).collect();
    let label = record.label.as_deref();
    let assignment = Assignment {
        attempt,
        function: record.function.expect("an upload is never dispatched"),
        inputs,
        slots: record.slots,
        name: label.and_then(|label| label.name.clone()),
        partition: label.and_then(|label| label.partition),
        duty: match (actor, label.and_then(|label| label.max_concurrency)) {
            (Some(actor), _) => Duty::Call { actor },
            (None, Some(max_concurrency)) => Duty::Actor { max_concurrency },
            (None, None) => Duty::Task,
        },
        time_limit: label.and_then(|label| label.time_limit),
        plain: record.plain,
    };
    (assignment, builder.out)
}

/// How somebody reaches a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Where it serves values.
    pub(crate) address: SocketAddr,
    /// Whether it is on the same node, so that its values need not travel.
    pub(crate) is_near: bool,
}

/// Names up to `limit` of the places where a value is, near ones first; the master itself if no worker has it.
pub(crate) fn holders(source: &InputSource, limit: usize, way: impl Fn(WorkerId) -> Option<Way>) -> Vec<Holder> {
    if source.workers.is_empty() {
        return vec![Holder::Master];
    }
    let ways: Vec<_> = source.workers.iter().filter_map(|worker| Some((*worker, way(*worker)?))).collect();
    let (near, far): (Vec<_>, Vec<_>) = ways.into_iter().partition(|(_, way)| way.is_near);
    let nearest = near.into_iter().chain(far).take(limit);
    nearest.map(|(worker, Way { address, .. })| Holder::Worker { worker, address }).collect()
}

struct Builder<'a, F> {
    supplies: Supplies<'a>,
    payloads: &'a Payloads,
    way: F,
    holders: usize,
    inline_room: usize,
    inline_bytes: usize,
    out: Vec<Bytes>,
}

impl<F: Fn(WorkerId) -> Option<Way>> Builder<'_, F> {
    fn input(&mut self, argument: &StoredArgument) -> Input {
        match argument {
            StoredArgument::Literal(encoding, bytes) => {
                self.out.push(share(bytes));
                Input::Literal(*encoding)
            }
            StoredArgument::Value(value) => Input::Value(self.value(*value)),
            StoredArgument::Values(values) => Input::Values(self.values(values)),
            StoredArgument::Reference(value) => Input::Reference(self.value(*value)),
            StoredArgument::References(values) => Input::References(self.values(values)),
        }
    }

    fn values(&mut self, values: &[ValueId]) -> Vec<InputValue> {
        values.iter().map(|value| self.value(*value)).collect()
    }

    fn value(&mut self, value: ValueId) -> InputValue {
        let place = match self.supplies.find(value) {
            Supply::Coming(attempt) => Place::Coming { attempt: *attempt },
            Supply::Published(source) => self.published(source),
        };
        InputValue { value, place }
    }

    fn published(&mut self, source: &InputSource) -> Place {
        let encoding = self.payloads.encoding(source.value).expect("what is published has its encoding");
        if self.inline(source.value) {
            return Place::Inline { encoding };
        }
        Place::Stored { encoding, size: source.size, holders: holders(source, self.holders, &self.way) }
    }

    /// Puts the value's bytes beside the message if the master has them and they are small.
    fn inline(&mut self, value: ValueId) -> bool {
        let Some((_, bytes)) = self.payloads.held(value) else { return false };
        if bytes.len() > INLINE_LIMIT.min(self.inline_bytes) || self.inline_room == 0 {
            return false;
        }
        self.inline_room -= 1;
        self.inline_bytes -= bytes.len();
        self.out.push(bytes.to_bytes());
        true
    }
}

/// Finds where each value comes from that a task mentions. First mentions come in the order of the supplies, which costs
/// one comparison; only a task that mentions a value again pays for a table.
struct Supplies<'a> {
    list: &'a [Supply],
    next: usize,
    again: Option<HashMap<ValueId, &'a Supply>>,
}

impl<'a> Supplies<'a> {
    const fn new(list: &'a [Supply]) -> Self {
        Self { list, next: 0, again: None }
    }

    fn find(&mut self, value: ValueId) -> &'a Supply {
        if let Some(supply) = self.list.get(self.next)
            && supplied(supply) == value
        {
            self.next += 1;
            return supply;
        }
        let list = self.list;
        let table = self.again.get_or_insert_with(|| list.iter().map(|supply| (supplied(supply), supply)).collect());
        table.get(&value).expect("every value a task mentions is among its inputs")
    }
}

/// What comes from there.
fn supplied(supply: &Supply) -> ValueId {
    match supply {
        Supply::Published(source) => source.value,
        Supply::Coming(attempt) => ValueId::of(attempt.task),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payloads::StoredValue;
    use quiltwork_protocol::Kept;
    use quiltwork_types::{Encoding, FunctionId, JobId};

    const JOB: JobId = JobId(1);

    fn value(index: u32) -> ValueId {
        ValueId::of(TaskId { job: JOB, index })
    }

    fn record(arguments: Vec<StoredArgument>) -> TaskRecord {
        TaskRecord {
            function: Some(FunctionId(0)),
            slots: 1,
            plain: false,
            arguments: arguments.into(),
            label: None,
            value: StoredValue::Awaited,
        }
    }

    fn with_values(held: Vec<StoredValue>) -> Payloads {
        let mut payloads = Payloads::new(0);
        payloads.open_job(JOB);
        for (index, value) in (0..).zip(held) {
            let task = TaskId { job: JOB, index };
            payloads.insert(task, record(Vec::new())).unwrap();
            payloads.set_value(task, value);
        }
        payloads
    }

    fn source(index: u32, workers: &[u32]) -> InputSource {
        InputSource {
            value: value(index),
            size: 1000 + u64::from(index),
            workers: workers.iter().copied().map(WorkerId).collect(),
        }
    }

    fn address(worker: WorkerId) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 4000 + u16::try_from(worker.0).unwrap()))
    }

    /// Workers below 10 are there; of these, those from 8 on are near.
    fn way(worker: WorkerId) -> Option<Way> {
        (worker.0 < 10).then(|| Way { address: address(worker), is_near: worker.0 >= 8 })
    }

    #[test]
    fn those_on_the_same_node_are_named_first() {
        let held = source(0, &[1, 2, 77, 8, 3, 9]);
        let named: Vec<_> = holders(&held, 4, way)
            .into_iter()
            .map(|holder| match holder {
                Holder::Worker { worker, .. } => worker.0,
                Holder::Master => panic!("the master does not hold it"),
            })
            .collect();
        assert_eq!(named, [8, 9, 1, 2]);
    }

    const ATTEMPT: AttemptId = AttemptId { task: TaskId { job: JOB, index: 99 }, number: 2 };

    #[test]
    fn each_argument_names_where_its_value_is() {
        let payloads = with_values(vec![
            StoredValue::Here(Encoding::Raw, Kept::copied(b"small")),
            StoredValue::AtWorkers(Encoding::Raw),
            StoredValue::Here(Encoding::Raw, Kept::copied(&[7; INLINE_LIMIT + 1])),
        ]);
        let record = record(vec![
            StoredArgument::Value(value(1)),
            StoredArgument::Literal(Encoding::Raw, Bytes::from_static(b"literal")),
            StoredArgument::Values([value(0), value(2), value(0)].into()),
        ]);
        let supplies = [source(1, &[3, 77]), source(0, &[]), source(2, &[])].map(Supply::Published);
        let (assignment, out) = assignment(ATTEMPT, None, &record, &supplies, &payloads, way);

        let holders = vec![Holder::Worker { worker: WorkerId(3), address: address(WorkerId(3)) }];
        assert_eq!(
            assignment.inputs[0].values()[0].place,
            Place::Stored { encoding: Encoding::Raw, size: 1001, holders }
        );
        let places: Vec<_> = assignment.inputs[2].values().iter().map(|input| input.place.clone()).collect();
        let at_master = Place::Stored { encoding: Encoding::Raw, size: 1002, holders: vec![Holder::Master] };
        let inline = Place::Inline { encoding: Encoding::Raw };
        assert_eq!(places, [inline.clone(), at_master, inline]);
        assert_eq!(out, [&b"literal"[..], b"small", b"small"]);
        assert_eq!(assignment.payloads(), out.len());
    }

    #[test]
    fn what_is_still_being_made_is_said_to_come() {
        let payloads = with_values(vec![StoredValue::Awaited]);
        let record = record(vec![StoredArgument::Value(value(0)), StoredArgument::Reference(value(0))]);
        let leader = AttemptId { task: value(0).task, number: 3 };
        let (assignment, out) = assignment(ATTEMPT, None, &record, &[Supply::Coming(leader)], &payloads, way);
        let places: Vec<_> = assignment.inputs.iter().map(|input| input.values()[0].place.clone()).collect();
        assert_eq!(places, [Place::Coming { attempt: leader }, Place::Coming { attempt: leader }]);
        assert_eq!((assignment.payloads(), out.len()), (0, 0));
    }

    #[test]
    fn more_small_inputs_than_a_frame_holds_are_fetched_from_the_master() {
        let count = u32::try_from(DISPATCH_PAYLOADS).unwrap() + 5;
        let held = || StoredValue::Here(Encoding::Raw, Kept::copied(b"x"));
        let payloads = with_values((0..count).map(|_| held()).collect());
        let record = record(vec![
            StoredArgument::Literal(Encoding::Raw, Bytes::from_static(b"literal")),
            StoredArgument::Values((0..count).map(value).collect()),
        ]);
        let supplies: Vec<_> = (0..count).map(|index| Supply::Published(source(index, &[]))).collect();
        let (assignment, out) = assignment(ATTEMPT, None, &record, &supplies, &payloads, way);
        assert_eq!(out.len(), DISPATCH_PAYLOADS);
        let stored =
            assignment.inputs[1].values().iter().filter(|input| !matches!(input.place, Place::Inline { .. })).count();
        assert_eq!(stored, 6);
    }
}
