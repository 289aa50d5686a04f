//! From the inputs of an assignment to the arguments of a function: what is here is taken, the rest is fetched.
use crate::arguments::{Argument, Arguments, Output};
use crate::peers::Peers;
use crate::reader::{Absences, ValueReader, Way};
use crate::store::Origin;
use bytes::Bytes;
use quiltwork_protocol::Holder;
use quiltwork_protocol::master_to_worker::{Input, InputValue, Place};
use quiltwork_types::{TaskId, ValueId, WorkerId};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The inputs of an attempt.
#[derive(Debug)]
pub(crate) enum Inputs {
    /// All are here.
    Here(Arguments),
    /// Some must be fetched.
    Away(Away),
}

/// The inputs of an attempt, not all of them here.
#[derive(Debug)]
pub(crate) struct Away {
    parameters: Vec<(Option<TaskId>, Parameter)>,
    /// Whether the result is wanted as plain data.
    plain: bool,
    absent: HashMap<ValueId, Vec<Holder>>,
    absences: Arc<Absences>,
}

/// The input for one parameter.
#[derive(Debug)]
enum Parameter {
    One(Part),
    List(Vec<Part>),
    Reader(ValueReader),
    Readers(Vec<ValueReader>),
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
        let mut reader = Reader { payloads, way, worker, absent: HashMap::new(), absences: Arc::default() };
        let parameters = inputs.into_iter().map(|input| (maker(&input), reader.parameter(input))).collect();
        let away = Away { parameters, plain, absent: reader.absent, absences: reader.absences };
        if away.absent.is_empty() { Self::Here(away.into_arguments(&HashMap::new())) } else { Self::Away(away) }
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

    fn part(&mut self, InputValue { value, encoding, place }: InputValue) -> Part {
        let holders = match place {
            Place::Inline => return Part::Here(Output { encoding, bytes: self.payload() }),
            Place::Stored { holders, .. } => holders,
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

    fn reader(&mut self, InputValue { value, encoding, place }: InputValue) -> ValueReader {
        match place {
            Place::Inline => ValueReader::here(encoding, self.payload()),
            Place::Stored { size, holders } => {
                ValueReader::held((value, encoding, size), holders, self.way, &self.absences)
            }
        }
    }

    fn payload(&mut self) -> Bytes {
        self.payloads.next().expect("the link has counted the payloads of the message")
    }
}

impl Away {
    /// Fetches what is not here.
    ///
    /// # Errors
    /// Every value nobody had, with each worker that was tried for it.
    pub(crate) async fn fetch(mut self, peers: &Arc<Peers>) -> Result<Arguments, Vec<(ValueId, WorkerId)>> {
        let mut fetches = JoinSet::new();
        for (value, holders) in std::mem::take(&mut self.absent) {
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
        if missing.is_empty() { Ok(self.into_arguments(&fetched)) } else { Err(missing) }
    }

    fn into_arguments(self, fetched: &HashMap<ValueId, Output>) -> Arguments {
        let pair = |part| {
            let Output { encoding, bytes } = match part {
                Part::Here(output) => output,
                Part::Absent(value) => fetched.get(&value).expect("every absent value was fetched").clone(),
            };
            (encoding, bytes)
        };
        let argument = |parameter| match parameter {
            Parameter::One(part) => Argument::One(pair(part)),
            Parameter::List(parts) => Argument::List(parts.into_iter().map(pair).collect()),
            Parameter::Reader(reader) => Argument::Reader(reader),
            Parameter::Readers(readers) => Argument::Readers(readers),
        };
        let arguments = self.parameters.into_iter().map(|(maker, parameter)| (maker, argument(parameter)));
        Arguments::new(arguments.collect(), self.plain, self.absences)
    }
}
