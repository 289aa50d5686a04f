//! From the inputs of an assignment to the arguments of a function: what is here is taken, the rest is fetched, or made by
//! another attempt of this worker.
use crate::arguments::{Argument, Arguments, Output};
use crate::peers::Peers;
use crate::reader::{Absences, ValueReader, Way};
use crate::store::Origin;
use bytes::Bytes;
use quiltwork_protocol::Holder;
use quiltwork_protocol::master_to_worker::{Input, InputValue, Place};
use quiltwork_types::{AttemptId, TaskId, ValueId, WorkerId};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The inputs of an attempt.
#[derive(Debug)]
pub(crate) enum Inputs {
    /// All are here.
    Here(Arguments),
    /// Some are on their way.
    Coming(Box<Gathering>),
}

/// The inputs of an attempt, not all of them here.
#[derive(Debug)]
pub(crate) struct Gathering {
    parameters: Vec<(Option<TaskId>, Parameter)>,
    /// Whether the result is wanted as plain data.
    plain: bool,
    absent: HashMap<ValueId, Vec<Holder>>,
    /// Attempts of this worker that make some.
    leaders: Vec<AttemptId>,
    arrived: HashMap<ValueId, Output>,
    /// How many values must arrive.
    expected: usize,
    absences: Arc<Absences>,
}

/// Inputs that must be fetched, and who has them.
#[derive(Debug)]
pub(crate) struct Absent(HashMap<ValueId, Vec<Holder>>);

/// Values nobody had, each with a worker that was tried for it.
pub(crate) type Missing = Vec<(ValueId, WorkerId)>;

/// The input for one parameter.
#[derive(Debug)]
enum Parameter {
    One(Part),
    List(Vec<Part>),
    Reader(Piecewise),
    Readers(Vec<Piecewise>),
}

/// A value that is to be read piece by piece.
#[derive(Debug)]
enum Piecewise {
    There(ValueReader),
    Absent(ValueId),
}

/// One value of an input.
#[derive(Debug)]
enum Part {
    Here(Output),
    Absent(ValueId),
}

impl Inputs {
    /// Reads the inputs of one assignment, taking its payloads off the front of `payloads`. A stored value is taken
    /// from the store if the master says this worker holds it, or if it is a copy: what an attempt here made and the
    /// master does not speak of is not the published value. What is to be read piece by piece stays where it is.
    pub(crate) fn read(
        (inputs, plain): (Vec<Input>, bool),
        payloads: &mut impl Iterator<Item = Bytes>,
        way: &Arc<Way>,
        worker: WorkerId,
    ) -> Self {
        let (absent, leaders, absences) = (HashMap::new(), Vec::new(), Arc::default());
        let mut reader = Reader { payloads, way, worker, absent, leaders, absences };
        let parameters = inputs.into_iter().map(|input| (maker(&input), reader.parameter(input))).collect();
        let Reader { absent, leaders, absences, .. } = reader;
        let (arrived, expected) = (HashMap::new(), absent.len() + leaders.len());
        let gathering = Gathering { parameters, plain, absent, leaders, arrived, expected, absences };
        if expected == 0 { Self::Here(gathering.into_arguments()) } else { Self::Coming(Box::new(gathering)) }
    }
}

/// The task whose result it is, if it is one of a single task.
fn maker(input: &Input) -> Option<TaskId> {
    match input.values() {
        [value] => Some(value.value.task),
        _ => None,
    }
}

/// Where the parts of inputs come from.
struct Reader<'a, P> {
    payloads: &'a mut P,
    way: &'a Arc<Way>,
    worker: WorkerId,
    absent: HashMap<ValueId, Vec<Holder>>,
    leaders: Vec<AttemptId>,
    absences: Arc<Absences>,
}

impl<P: Iterator<Item = Bytes>> Reader<'_, P> {
    fn parameter(&mut self, input: Input) -> Parameter {
        match input {
            Input::Literal(encoding) => Parameter::One(Part::Here(Output { encoding, bytes: self.payload() })),
            Input::Value(value) => Parameter::One(self.part(value)),
            Input::Values(values) => Parameter::List(values.into_iter().map(|value| self.part(value)).collect()),
            Input::Reference(value) => Parameter::Reader(self.reader(value)),
            Input::References(values) => {
                Parameter::Readers(values.into_iter().map(|value| self.reader(value)).collect())
            }
        }
    }

    fn part(&mut self, InputValue { value, place }: InputValue) -> Part {
        let holders = match place {
            Place::Inline { encoding } => return Part::Here(Output { encoding, bytes: self.payload() }),
            Place::Stored { holders, .. } => holders,
            Place::Coming { attempt } => {
                self.follow(attempt);
                return Part::Absent(value);
            }
        };
        let held = holders.iter().any(|h| matches!(h, Holder::Worker { worker, .. } if *worker == self.worker));
        match self.way.store.get(value) {
            Some(stored) if held || stored.origin == Origin::Copied => Part::Here(stored.output),
            _ => {
                self.absent.insert(value, holders);
                Part::Absent(value)
            }
        }
    }

    fn reader(&mut self, InputValue { value, place }: InputValue) -> Piecewise {
        match place {
            Place::Inline { encoding } => Piecewise::There(ValueReader::here(encoding, self.payload())),
            Place::Stored { encoding, size, holders } => {
                Piecewise::There(ValueReader::held((value, encoding, size), holders, self.way, &self.absences))
            }
            Place::Coming { attempt } => {
                self.follow(attempt);
                Piecewise::Absent(value)
            }
        }
    }

    fn follow(&mut self, leader: AttemptId) {
        if !self.leaders.contains(&leader) {
            self.leaders.push(leader);
        }
    }

    fn payload(&mut self) -> Bytes {
        self.payloads.next().expect("the link has counted the payloads of the message")
    }
}

impl Absent {
    /// Fetches what is not here.
    ///
    /// # Errors
    /// Every value nobody had, with each worker that was tried for it.
    pub(crate) async fn fetch(self, peers: &Arc<Peers>) -> Result<HashMap<ValueId, Output>, Missing> {
        let mut fetches = JoinSet::new();
        for (value, holders) in self.0 {
            let peers = Arc::clone(peers);
            fetches.spawn(async move { (value, peers.fetch(value, &holders).await) });
        }
        let mut fetched = HashMap::new();
        let mut missing = Vec::new();
        for (value, result) in fetches.join_all().await {
            match result {
                Ok(output) => drop(fetched.insert(value, output)),
                Err(tried) => missing.extend(tried.into_iter().map(|worker| (value, worker))),
            }
        }
        if missing.is_empty() { Ok(fetched) } else { Err(missing) }
    }
}

impl Gathering {
    /// What must be fetched, the first time it is asked for.
    pub(crate) fn take_absent(&mut self) -> Option<Absent> {
        (!self.absent.is_empty()).then(|| Absent(std::mem::take(&mut self.absent)))
    }

    /// Attempts of this worker that make what is missing.
    pub(crate) fn leaders(&self) -> &[AttemptId] {
        &self.leaders
    }

    /// Some of it is here.
    pub(crate) fn arrive(&mut self, values: impl IntoIterator<Item = (ValueId, Output)>) {
        self.arrived.extend(values);
    }

    /// Whether all of it is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.arrived.len() == self.expected
    }

    /// The arguments, when all of it is here.
    pub(crate) fn into_arguments(self) -> Arguments {
        let arrived = |value| self.arrived.get(&value).expect("every absent value has arrived").clone();
        let pair = |part| {
            let Output { encoding, bytes } = match part {
                Part::Here(output) => output,
                Part::Absent(value) => arrived(value),
            };
            (encoding, bytes)
        };
        let reader = |piecewise| match piecewise {
            Piecewise::There(reader) => reader,
            Piecewise::Absent(value) => {
                let Output { encoding, bytes } = arrived(value);
                ValueReader::here(encoding, bytes)
            }
        };
        let argument = |parameter| match parameter {
            Parameter::One(part) => Argument::One(pair(part)),
            Parameter::List(parts) => Argument::List(parts.into_iter().map(pair).collect()),
            Parameter::Reader(piecewise) => Argument::Reader(reader(piecewise)),
            Parameter::Readers(list) => Argument::Readers(list.into_iter().map(reader).collect()),
        };
        let arguments = self.parameters.into_iter().map(|(maker, parameter)| (maker, argument(parameter)));
        Arguments::new(arguments.collect(), self.plain, self.absences)
    }
}
