//! From calls to messages: numbers tasks and functions, moves large literals out of the way, cuts parcels of a handy size.
use super::cell::Cell;
use super::session::{Reference, Shared};
use super::upload::{Cargo, size_of};
use crate::argument::{Form, Source};
use crate::call::{Call, NamedArgument};
use crate::error::{Error, Problem, Result};
use bytes::Bytes;
use quiltwork_protocol::client_to_master::{Argument, SubmittedTask, TaskOptions};
use quiltwork_protocol::{ClientToMaster, INLINE_LIMIT, Parcel};
use quiltwork_types::{ActorName, Encoding, FunctionId, TaskId, TaskRole, ValueId};
use quiltwork_worker::TaskContext;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// Parcels of tasks are cut when they reach about this many bytes: large enough to be cheap, small enough that the
/// master begins while the rest is still being made.
const PARCEL_TARGET: usize = 64 * 1024;
/// What a task and each of its arguments add to a message, in bytes, besides literals: an upper guess, for cutting only.
const TASK_COST: usize = 40;
const ARGUMENT_COST: usize = 10;
/// The most results one task may take as arguments: their names must fit one message.
const SOURCES_LIMIT: usize = 1_000_000;

/// The client's side of the numbering; its lock also keeps submissions in the order of their numbers.
#[derive(Default)]
pub(super) struct Outgoing {
    next: u32,
    functions: HashMap<&'static str, FunctionId>,
}

/// Calls that are submitted together, checked: only the link can still fail.
#[derive(Default)]
pub(super) struct Batch {
    calls: Vec<Call>,
    /// Literals too large to travel with the messages; their tasks are numbered before the calls.
    large: Vec<(Encoding, Bytes)>,
}

/// The task that comes `index` numbers after `first`.
const fn task_of(first: TaskId, index: u32) -> TaskId {
    TaskId { job: first.job, index: first.index + index }
}

impl Batch {
    /// The calls of a graph.
    pub(super) fn of_graph(calls: Vec<Call>, shared: &Arc<Shared>) -> Result<Self> {
        let mut batch = Self::default();
        calls.into_iter().try_for_each(|call| batch.take(call, shared, true))?;
        Ok(batch)
    }

    /// Adds a call that is in no graph, unless something is wrong with it.
    pub(super) fn add(&mut self, call: Call, shared: &Arc<Shared>) -> Result<()> {
        self.take(call, shared, false)
    }

    /// How many calls there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.calls.len()).expect("calls are numbered by u32")
    }

    fn take(&mut self, call: Call, shared: &Arc<Shared>, in_graph: bool) -> Result<()> {
        let mut sources = 0;
        if let Some(actor) = &call.actor {
            check_limit(&call)?;
            check_source(actor, shared, in_graph, || format!("the actor of call `{}`", call.name()))?;
        }
        for argument in &call.arguments {
            sources += check(&call, argument, shared, in_graph)?;
        }
        if sources > SOURCES_LIMIT {
            let message = format!("task `{}` takes {sources} results, more than {SOURCES_LIMIT}", call.name());
            return Err(Error::Encode(Problem::new(message).with_hint("merge them in several steps")));
        }
        self.large.extend(call.arguments.iter().filter_map(|argument| match &argument.form {
            Form::Literal(encoding, bytes) if bytes.len() > INLINE_LIMIT => Some((*encoding, bytes.clone())),
            _ => None,
        }));
        self.calls.push(call);
        Ok(())
    }
}

/// An actor's thread cannot be given up like that of a task, which leaves the actor to nobody.
fn check_limit(call: &Call) -> Result<()> {
    if call.options.time_limit.is_none() {
        return Ok(());
    }
    let message = format!("the call `{}` of an actor has a time limit, which only tasks can have", call.name());
    Err(Error::Invalid(Problem::new(message).with_hint("wait for it with a timeout, and cancel it then")))
}

/// Checks one argument and says how many results it takes.
fn check(call: &Call, argument: &NamedArgument, shared: &Arc<Shared>, in_graph: bool) -> Result<usize> {
    let what = || format!("argument `{}` of task `{}`", argument.parameter, call.name());
    match &argument.form {
        Form::Literal(_, bytes) => check_size(bytes.len(), shared.value_limit, what)?,
        Form::Unencodable(reason) => return Err(Error::Encode(Problem::new(reason.clone()))),
        Form::Value(_) | Form::Values(_) | Form::Reference(_) | Form::References(_) => {}
    }
    let sources = argument.form.sources();
    sources.iter().try_for_each(|source| check_source(source, shared, in_graph, what))?;
    Ok(sources.len())
}

fn check_source(source: &Source, shared: &Arc<Shared>, in_graph: bool, what: impl FnOnce() -> String) -> Result<()> {
    match source {
        Source::Handle(reference) if !Arc::ptr_eq(reference.shared(), shared) => {
            let hint = "use clones of one client, or give the value itself; an actor is found by its name";
            let message = format!("{} is a handle of another client", what());
            Err(Error::Graph(Problem::new(message).with_hint(hint)))
        }
        Source::Value(_) if !in_graph => {
            let hint = "add the call to the same graph and run it, or submit the other call too and give its handle";
            let message = format!("{} is a value of a graph, but the call is submitted by itself", what());
            Err(Error::Graph(Problem::new(message).with_hint(hint)))
        }
        Source::Failed(error) => Err((**error).clone()),
        Source::Handle(_) | Source::Value(_) => Ok(()),
    }
}

/// Refuses what the cluster would refuse, before it travels.
pub(super) fn check_size(size: usize, limit: u64, what: impl FnOnce() -> String) -> Result<()> {
    if size as u64 <= limit {
        return Ok(());
    }
    let message = format!("{} has {size} bytes, more than the {limit} this cluster accepts", what());
    Err(Error::Encode(Problem::new(message).with_hint("split it, or raise the cluster's value limit")))
}

/// Submits the batch; a cell is made for each of `kept`, the indices of calls whose results are wanted, and returned in
/// the same order.
pub(super) fn submit(shared: &Arc<Shared>, batch: Batch, kept: &[u32]) -> Result<Vec<Arc<Cell>>> {
    let Batch { mut calls, large } = batch;
    let large: Vec<_> = large.into_iter().map(|(encoding, bytes)| Cargo::load(shared, encoding, vec![bytes])).collect();
    let mut outgoing = shared.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
    let first_put = outgoing.number(shared, large.len() + calls.len())?;
    let puts = u32::try_from(large.len()).expect("no more than were numbered");
    let first = task_of(first_put, puts);
    let cells = kept.iter().map(|&index| {
        let Call { function, options, .. } = &mut calls[index as usize];
        options.kept = true;
        Arc::new(Cell::new(task_of(first, index), function, options.name.clone(), options.plain))
    });
    let cells: Vec<_> = cells.collect();
    shared.expect(&cells)?;
    let sent = announce_all(shared, first_put, large).and_then(|()| {
        let mut parcels = Parcels::new(shared, first_put, first, last_uses(&calls));
        for (index, call) in (0..).zip(calls) {
            let function = outgoing.define(shared, call.function)?;
            parcels.add(index, function, call)?;
        }
        parcels.finish()
    });
    if let Err(error) = sent {
        shared.forget(&cells);
        return Err(error);
    }
    // The consumers have been named: the master keeps the literals until these have run.
    if puts > 0 {
        shared.release_literals((0..puts).map(|index| task_of(first_put, index)));
    }
    Ok(cells)
}

/// Has a task of this client stand for an actor; its cell ends when the actor is there.
pub(super) fn refer(shared: &Arc<Shared>, actor: ActorName) -> Result<Arc<Cell>> {
    let mut outgoing = shared.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
    let task = outgoing.number(shared, 1)?;
    let name = match &actor {
        ActorName::Given(name) => Some(name.clone()),
        ActorName::Task(_) => None,
    };
    let cell = Arc::new(Cell::new(task, "actor", name, false));
    shared.expect(std::slice::from_ref(&cell))?;
    if let Err(error) = shared.say(&Parcel::bare(ClientToMaster::Refer { task, actor })) {
        shared.forget(std::slice::from_ref(&cell));
        return Err(error);
    }
    Ok(cell)
}

/// Brings a value into the cluster, whose pieces belong one behind the other; its cell ends when somebody there holds it.
pub(super) fn put(shared: &Arc<Shared>, encoding: Encoding, pieces: Vec<Bytes>) -> Result<Arc<Cell>> {
    check_size(size_of(&pieces), shared.value_limit, || "the value".to_owned())?;
    let cargo = Cargo::load(shared, encoding, pieces);
    let plain = encoding == Encoding::MessagePack;
    let mut outgoing = shared.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
    let task = outgoing.number(shared, 1)?;
    let cell = Arc::new(Cell::new(task, "put", None, plain));
    shared.expect(std::slice::from_ref(&cell))?;
    if let Err(error) = cargo.announce(shared, task) {
        shared.forget(std::slice::from_ref(&cell));
        return Err(error);
    }
    Ok(cell)
}

/// For each call the last one of the batch that takes its result; 0 if none does.
fn last_uses(calls: &[Call]) -> Vec<u32> {
    let mut last = vec![0; calls.len()];
    for (index, call) in (0..).zip(calls) {
        for source in call.arguments.iter().flat_map(|argument| argument.form.sources()).chain(&call.actor) {
            if let Source::Value(key) = source {
                last[key.index as usize] = index;
            }
        }
    }
    last
}

fn announce_all(shared: &Shared, first: TaskId, values: Vec<Cargo>) -> Result<()> {
    (0..).zip(values).try_for_each(|(index, value)| value.announce(shared, task_of(first, index)))
}

impl Outgoing {
    /// Takes `count` numbers and returns the first.
    fn number(&mut self, shared: &Shared, count: usize) -> Result<TaskId> {
        let first = TaskId { job: shared.job, index: self.next };
        let next = u32::try_from(count).ok().and_then(|count| self.next.checked_add(count));
        self.next = next.ok_or_else(|| {
            let message = "this client has submitted all the 2³² tasks it can number";
            Error::Invalid(Problem::new(message).with_hint("connect another client"))
        })?;
        Ok(first)
    }

    /// The number of a function on this link; the master is told before its first use.
    fn define(&mut self, shared: &Shared, name: &'static str) -> Result<FunctionId> {
        if let Some(function) = self.functions.get(name) {
            return Ok(*function);
        }
        let function = FunctionId(u32::try_from(self.functions.len()).expect("a program has fewer functions"));
        shared.say(&Parcel::bare(ClientToMaster::DefineFunction { function, name: name.to_owned() }))?;
        self.functions.insert(name, function);
        Ok(function)
    }
}

/// Fills one parcel after the other.
struct Parcels<'a> {
    shared: &'a Shared,
    first: TaskId,
    /// The task of the next large literal, in the order in which [`Batch::take`] found them.
    next_put: TaskId,
    tasks: Vec<SubmittedTask>,
    payloads: Vec<Bytes>,
    bytes: usize,
    /// Handles among the arguments: released only when their consumers have been named.
    held: Vec<Arc<Reference>>,
    /// In which line calls of actors stand: every task that submits some has one of its own.
    lane: u32,
    /// See [`last_uses`].
    last_uses: Vec<u32>,
    /// Tasks whose results a later parcel takes: one that ends before that parcel comes would be forgotten if nobody kept
    /// it.
    bridging: Vec<TaskId>,
}

impl<'a> Parcels<'a> {
    fn new(shared: &'a Shared, next_put: TaskId, first: TaskId, last_uses: Vec<u32>) -> Self {
        let lane = TaskContext::current().map_or(0, |task| task.lane());
        let (tasks, payloads, held, bridging) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { shared, first, next_put, tasks, payloads, bytes: 0, held, lane, last_uses, bridging }
    }

    fn add(&mut self, index: u32, function: FunctionId, call: Call) -> Result<()> {
        let Call { arguments, mut options, actor, .. } = call;
        self.bytes += TASK_COST + cost_of(&options);
        if let Some(actor) = actor {
            options.role = TaskRole::Call { actor: self.value(actor).task, lane: self.lane };
        }
        let arguments = arguments.into_iter().map(|argument| self.argument(argument.form)).collect();
        self.tasks.push(SubmittedTask { task: task_of(self.first, index), function, arguments, options });
        if self.bytes >= PARCEL_TARGET { self.cut() } else { Ok(()) }
    }

    fn argument(&mut self, form: Form) -> Argument {
        self.bytes += ARGUMENT_COST;
        match form {
            Form::Literal(_, bytes) if bytes.len() > INLINE_LIMIT => {
                let task = self.next_put;
                self.next_put = task_of(task, 1);
                Argument::Value(ValueId::of(task))
            }
            Form::Literal(encoding, bytes) => {
                self.bytes += bytes.len();
                self.payloads.push(bytes);
                Argument::Literal(encoding)
            }
            Form::Value(source) => Argument::Value(self.value(source)),
            Form::Values(sources) => Argument::Values(self.values(sources)),
            Form::Reference(source) => Argument::Reference(self.value(source)),
            Form::References(sources) => Argument::References(self.values(sources)),
            Form::Unencodable(_) => unreachable!("refused when the batch was made"),
        }
    }

    fn values(&mut self, sources: Vec<Source>) -> Vec<ValueId> {
        self.bytes += sources.len() * ARGUMENT_COST;
        sources.into_iter().map(|source| self.value(source)).collect()
    }

    fn value(&mut self, source: Source) -> ValueId {
        ValueId::of(match source {
            Source::Value(key) => task_of(self.first, key.index),
            Source::Handle(reference) => {
                let task = reference.cell().task();
                self.held.push(reference);
                task
            }
            Source::Failed(_) => unreachable!("refused when the batch was made"),
        })
    }

    /// Sends what has been collected.
    fn cut(&mut self) -> Result<()> {
        if self.tasks.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        self.keep_bridging();
        let message = ClientToMaster::Submit { tasks: std::mem::take(&mut self.tasks) };
        self.shared.say(&Parcel::new(message, std::mem::take(&mut self.payloads)))
    }

    /// Has those kept for the time being of which this parcel does not have all consumers.
    fn keep_bridging(&mut self) {
        let Some(end) = self.tasks.last().map(|task| task.task.index - self.first.index) else { return };
        for task in &mut self.tasks {
            let last_use = self.last_uses[(task.task.index - self.first.index) as usize];
            if last_use > end && !task.options.kept {
                task.options.kept = true;
                self.bridging.push(task.task);
            }
        }
    }

    /// Sends the rest. All consumers have been named then.
    fn finish(mut self) -> Result<()> {
        self.cut()?;
        if !self.bridging.is_empty() {
            self.shared.errands.release(self.bridging);
        }
        Ok(())
    }
}

fn cost_of(options: &TaskOptions) -> usize {
    let named = options.resources.named.iter().map(|resource| resource.name.len() + ARGUMENT_COST);
    options.name.as_ref().map_or(0, |name| name.len()) + named.sum::<usize>()
}
