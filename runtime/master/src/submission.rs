//! Checks one submitted task and splits it into what the scheduler is told and what the master keeps; it keeps nothing
//! itself.
use crate::functions::{NAME_LIMIT, Translation};
use crate::payloads::{Label, StoredArgument, StoredValue, TaskRecord, detach};
use bytes::Bytes;
use quiltwork_protocol::client_to_master::{Argument, SubmittedTask, TaskOptions};
use quiltwork_types::{
    ActorName, FailureKind, FunctionId, Resources, TaskFailure, TaskId, TaskRole, TaskSpec, ValueId,
};
use std::collections::HashSet;

/// Values one task may mention: a message with their places stays under the limit of a frame.
const MENTIONS: usize = 128 * 1024;
/// Bytes of literals one task may have: they travel in one message, with whatever is inlined.
const LITERAL_BYTES: usize = 16 << 20;
/// Kinds of named resources one task may ask for.
const RESOURCES: usize = 64;
/// Inputs up to here are searched one by one for doubles; beyond, in a table.
const FEW_INPUTS: usize = 16;

/// Splits a task into the scheduler's part and the master's. Takes the task's literals off `payloads` in any case.
///
/// # Errors
/// Why the task cannot be carried out, to be told to the client.
pub(crate) fn admit(
    task: SubmittedTask,
    payloads: &mut impl Iterator<Item = Bytes>,
    functions: &Translation,
) -> Result<(TaskSpec, TaskRecord), Box<TaskFailure>> {
    let SubmittedTask { task: id, function, arguments, options } = task;
    let arguments: Box<[_]> = arguments.into_iter().map(|argument| stored(argument, payloads)).collect();
    let record = TaskRecord {
        function: functions.resolve(function),
        slots: options.resources.slots,
        arguments,
        label: label(&options),
        value: StoredValue::Awaited,
    };
    check(id, &record, &options)?;
    if record.function.is_none() {
        return Err(undefined(id, function));
    }
    let spec = TaskSpec {
        id,
        function: record.function,
        inputs: distinct_inputs(&record.arguments),
        resources: sorted(options.resources),
        priority: options.priority,
        retries: options.retries,
        kept: options.kept,
        name: options.name,
        role: options.role,
    };
    Ok((spec, record))
}

/// What the scheduler is told of a task that has no function: an upload, or a task that is refused and only stands for
/// its failure until the scheduler has told everybody who needs it.
pub(crate) fn without_function(id: TaskId, kept: bool) -> TaskSpec {
    TaskSpec {
        id,
        function: None,
        inputs: Box::default(),
        resources: Resources::default(),
        priority: 0,
        retries: 0,
        kept,
        name: None,
        role: TaskRole::Plain,
    }
}

/// A failure of the kind `Refused`.
pub(crate) fn refusal(task: TaskId, message: impl Into<String>, hint: impl Into<String>) -> Box<TaskFailure> {
    Box::new(TaskFailure::new(FailureKind::Refused, task, message).with_hint(hint))
}

fn stored(argument: Argument, payloads: &mut impl Iterator<Item = Bytes>) -> StoredArgument {
    match argument {
        Argument::Literal(encoding) => {
            let bytes = payloads.next().expect("the codec checked that there is a payload for each literal");
            StoredArgument::Literal(encoding, detach(bytes))
        }
        Argument::Value(value) => StoredArgument::Value(value),
        Argument::Values(values) => StoredArgument::Values(values.into()),
        Argument::Reference(value) => StoredArgument::Reference(value),
        Argument::References(values) => StoredArgument::References(values.into()),
    }
}

fn label(options: &TaskOptions) -> Option<Box<Label>> {
    let max_concurrency = match &options.role {
        TaskRole::Actor(actor) => Some(actor.max_concurrency),
        _ => None,
    };
    let label = Label { name: options.name.clone(), partition: options.partition, max_concurrency };
    let is_needed = label.name.is_some() || label.partition.is_some() || max_concurrency.is_some();
    is_needed.then(|| Box::new(label))
}

fn check(task: TaskId, record: &TaskRecord, options: &TaskOptions) -> Result<(), Box<TaskFailure>> {
    let mentions = record.mentions();
    if mentions > MENTIONS {
        let message = format!("it needs {mentions} values, more than the limit of {MENTIONS}");
        return Err(refusal(task, message, "merge them in several steps, for example as a tree"));
    }
    let bytes = record.literal_bytes();
    if bytes > LITERAL_BYTES {
        let message = format!("its arguments have {bytes} bytes, more than the limit of {LITERAL_BYTES}");
        return Err(refusal(task, message, "upload large arguments with `put` and pass the handle"));
    }
    let name = options.name.as_ref().map_or(0, |name| name.len());
    let resources = &options.resources.named;
    if name > NAME_LIMIT || resources.len() > RESOURCES || resources.iter().any(|kind| kind.name.len() > NAME_LIMIT) {
        let message = format!("a name is longer than {NAME_LIMIT} bytes, or it asks for over {RESOURCES} resources");
        return Err(refusal(task, message, "shorten the names of the task and of its resources"));
    }
    if let TaskRole::Reference(_) = options.role {
        return Err(refusal(
            task,
            "it runs a function and stands for an actor",
            "refer to the actor by a task of its own",
        ));
    }
    if actor_name(&options.role).is_some_and(|name| name.len() > NAME_LIMIT) {
        let message = format!("the actor's name is longer than {NAME_LIMIT} bytes");
        return Err(refusal(task, message, "shorten it"));
    }
    if let Some(value) = inputs(&record.arguments).find(|value| value.output != 0) {
        return Err(refusal(task, format!("{value} does not exist"), "a task has one output, number 0"));
    }
    Ok(())
}

/// The name an actor wants, or by which one is looked for.
fn actor_name(role: &TaskRole) -> Option<&str> {
    match role {
        TaskRole::Actor(options) => options.name.as_deref(),
        TaskRole::Reference(ActorName::Given(name)) => Some(name),
        TaskRole::Plain | TaskRole::Call { .. } | TaskRole::Reference(ActorName::Task(_)) => None,
    }
}

/// What the scheduler is told of a task that stands for an actor.
///
/// # Errors
/// Why it cannot, to be told to the client.
pub(crate) fn reference(id: TaskId, actor: ActorName) -> Result<TaskSpec, Box<TaskFailure>> {
    let role = TaskRole::Reference(actor);
    match actor_name(&role) {
        Some(name) if name.len() > NAME_LIMIT => {
            Err(refusal(id, format!("no actor has a name of {} bytes", name.len()), "look for it by its own name"))
        }
        _ => Ok(TaskSpec { role, ..without_function(id, true) }),
    }
}

fn undefined(task: TaskId, function: FunctionId) -> Box<TaskFailure> {
    let message = format!("function number {} has no name", function.0);
    refusal(task, message, "define each function before its first task; a cluster remembers 65,536 functions")
}

fn inputs(arguments: &[StoredArgument]) -> impl Iterator<Item = ValueId> + '_ {
    arguments.iter().flat_map(StoredArgument::values).copied()
}

/// Each input once, in the order in which the arguments first mention them.
fn distinct_inputs(arguments: &[StoredArgument]) -> Box<[ValueId]> {
    let mut distinct: Vec<ValueId> = Vec::new();
    let mut table = HashSet::new();
    for value in inputs(arguments) {
        let seen = if distinct.len() < FEW_INPUTS {
            distinct.contains(&value)
        } else {
            if table.is_empty() {
                table.extend(distinct.iter().copied());
            }
            !table.insert(value)
        };
        if !seen {
            distinct.push(value);
        }
    }
    distinct.into_boxed_slice()
}

/// Named resources sorted by name, as the scheduler wants them.
fn sorted(mut resources: Resources) -> Resources {
    resources.named.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    resources
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::{Encoding, JobId};

    fn task(index: u32) -> TaskId {
        TaskId { job: JobId(1), index }
    }

    fn value(index: u32) -> ValueId {
        ValueId::of(task(index))
    }

    fn submitted(arguments: Vec<Argument>) -> SubmittedTask {
        SubmittedTask { task: task(999_999), function: FunctionId(3), arguments, options: TaskOptions::default() }
    }

    fn translation() -> Translation {
        let mut functions = Translation::default();
        functions.define(FunctionId(3), Some(FunctionId(40)));
        functions
    }

    fn admit_alone(task: SubmittedTask, payloads: Vec<Bytes>) -> Result<(TaskSpec, TaskRecord), Box<TaskFailure>> {
        admit(task, &mut payloads.into_iter(), &translation())
    }

    #[test]
    fn inputs_are_listed_once_however_many_there_are() {
        for count in [1, FEW_INPUTS - 1, FEW_INPUTS, FEW_INPUTS + 1, 1000] {
            let values: Vec<_> = (0..).map(value).take(count).collect();
            let arguments = vec![Argument::Value(value(0)), Argument::Values(values.repeat(2))];
            let (spec, record) = admit_alone(submitted(arguments), Vec::new()).ok().unwrap();
            assert_eq!(*spec.inputs, values);
            assert_eq!(record.mentions(), 2 * count + 1);
            assert_eq!((spec.function, record.function), (Some(FunctionId(40)), Some(FunctionId(40))));
        }
    }

    #[test]
    fn a_refused_task_does_not_shift_the_payloads_of_the_next() {
        let mut payloads = vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")].into_iter();
        let mut first = submitted(vec![Argument::Literal(Encoding::Raw)]);
        first.function = FunctionId(8);
        let failure = admit(first, &mut payloads, &translation()).err().unwrap();
        assert_eq!((failure.kind, failure.hint.is_some()), (FailureKind::Refused, true));
        let second = submitted(vec![Argument::Literal(Encoding::Raw)]);
        let (_, record) = admit(second, &mut payloads, &translation()).ok().unwrap();
        assert!(matches!(&record.arguments[0], StoredArgument::Literal(_, bytes) if bytes == "second"));
    }

    #[test]
    fn what_would_not_fit_a_message_is_refused() {
        let many = vec![Argument::Values(vec![value(0); MENTIONS + 1])];
        assert_eq!(admit_alone(submitted(many), Vec::new()).err().unwrap().kind, FailureKind::Refused);
        let large = vec![Argument::Literal(Encoding::Raw)];
        let payload = vec![Bytes::from(vec![0; LITERAL_BYTES + 1])];
        assert_eq!(admit_alone(submitted(large), payload).err().unwrap().kind, FailureKind::Refused);
        let second_output = vec![Argument::Value(ValueId { output: 1, ..value(0) })];
        assert_eq!(admit_alone(submitted(second_output), Vec::new()).err().unwrap().kind, FailureKind::Refused);
    }
}
