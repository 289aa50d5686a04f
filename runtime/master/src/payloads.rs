//! What the master keeps of tasks beside the scheduler's states: argument bytes, small results, uploads; it decides
//! nothing and knows no links.
use bytes::Bytes;
use quiltwork_protocol::Kept;
use quiltwork_types::{DenseMap, Encoding, FunctionId, JobId, TaskId, ValueId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes above this keep the buffer they were read into; smaller ones are copied out, so that they do not pin it.
const COPY_LIMIT: usize = 64 * 1024;
/// Payloads up to this are copied for each sending: cheaper than the counter that sharing would leave with each value.
const SHARE_ABOVE: usize = 256;

/// Everything the master holds for one task. There is one per task, so it is kept small.
pub(crate) struct TaskRecord {
    /// What runs; `None` for an upload, a reference or a refused task.
    pub(crate) function: Option<FunctionId>,
    /// How many slots it occupies while it runs.
    pub(crate) slots: u32,
    /// Whether the result is wanted as plain data.
    pub(crate) plain: bool,
    /// One per parameter of the function.
    pub(crate) arguments: Box<[StoredArgument]>,
    /// What few tasks have.
    pub(crate) label: Option<Box<Label>>,
    /// How far its value is.
    pub(crate) value: StoredValue,
}

/// The rarely used options of a task.
#[derive(Default)]
pub(crate) struct Label {
    /// What people call it.
    pub(crate) name: Option<Box<str>>,
    /// Which partition of a data set it works on.
    pub(crate) partition: Option<u32>,
    /// Of a task that makes an actor: how many of its calls may run at a time.
    pub(crate) max_concurrency: Option<u32>,
    /// How long an attempt may run.
    pub(crate) time_limit: Option<Duration>,
}

/// One argument, with its bytes if it has any.
pub(crate) enum StoredArgument {
    /// The bytes themselves.
    Literal(Encoding, Bytes),
    /// The result of another task.
    Value(ValueId),
    /// A list made of the results of other tasks.
    Values(Box<[ValueId]>),
    /// The result of another task, to be read piece by piece.
    Reference(ValueId),
    /// A list made of the results of other tasks, to be read piece by piece.
    References(Box<[ValueId]>),
}

impl StoredArgument {
    /// The values it mentions: none, one or many.
    pub(crate) fn values(&self) -> &[ValueId] {
        match self {
            Self::Literal(..) => &[],
            Self::Value(value) | Self::Reference(value) => std::slice::from_ref(value),
            Self::Values(values) | Self::References(values) => values,
        }
    }
}

/// What the master knows of a task's value.
pub(crate) enum StoredValue {
    /// Nothing yet.
    Awaited,
    /// An upload of that many bytes was announced.
    Announced(Encoding, u64),
    /// Workers hold it, or are to adopt it.
    AtWorkers(Encoding),
    /// The master holds it.
    Here(Encoding, Kept),
}

impl StoredValue {
    /// The value of a task that made an actor or stands for one: the actor's name.
    pub(crate) fn actor(maker: TaskId) -> Self {
        Self::Here(Encoding::Actor, Kept::copied(&maker.to_bytes()))
    }
}

impl TaskRecord {
    /// A task the client was wrong to submit.
    pub(crate) fn refused() -> Self {
        Self::without_function(StoredValue::Awaited)
    }

    /// A task that stands for an actor.
    pub(crate) fn reference() -> Self {
        Self::without_function(StoredValue::Awaited)
    }

    /// An upload that is still to come.
    pub(crate) fn announced(encoding: Encoding, size: u64) -> Self {
        Self::without_function(StoredValue::Announced(encoding, size))
    }

    /// A value that is in the area of its client's node.
    pub(crate) fn written(encoding: Encoding) -> Self {
        Self::without_function(StoredValue::AtWorkers(encoding))
    }

    fn without_function(value: StoredValue) -> Self {
        Self { function: None, slots: 0, plain: false, arguments: Box::default(), label: None, value }
    }

    /// How often the arguments mention a value.
    pub(crate) fn mentions(&self) -> usize {
        self.arguments.iter().map(|argument| argument.values().len()).sum()
    }

    /// Bytes of the arguments' literals.
    pub(crate) fn literal_bytes(&self) -> usize {
        let literals = self.arguments.iter().map(|argument| match argument {
            StoredArgument::Literal(_, bytes) => bytes.len(),
            _ => 0,
        });
        literals.sum()
    }

    /// Bytes that count against the limit: literals, and an upload from its announcement on.
    fn counted_bytes(&self) -> u64 {
        self.literal_bytes() as u64 + self.uploaded_bytes()
    }

    fn uploaded_bytes(&self) -> u64 {
        match &self.value {
            StoredValue::Announced(_, size) => *size,
            StoredValue::Here(Encoding::Actor, _) => 0,
            StoredValue::Here(_, bytes) if self.function.is_none() => bytes.len() as u64,
            _ => 0,
        }
    }
}

/// The records of one job.
#[derive(Default)]
struct JobRecords {
    tasks: DenseMap<TaskRecord>,
    counted: u64,
    /// The number behind the highest one that ever had a record: a job numbers its tasks densely.
    announced: u32,
}

/// The records of all jobs and the bytes they count for.
pub(crate) struct Payloads {
    jobs: BTreeMap<JobId, JobRecords>,
    counted: u64,
    limit: u64,
}

impl Payloads {
    /// An empty table that takes literals and uploads of up to `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        Self { jobs: BTreeMap::new(), counted: 0, limit }
    }

    /// Makes room for a job.
    pub(crate) fn open_job(&mut self, job: JobId) {
        self.jobs.entry(job).or_default();
    }

    /// Drops everything of a job.
    pub(crate) fn close_job(&mut self, job: JobId) {
        if let Some(records) = self.jobs.remove(&job) {
            self.counted -= records.counted;
        }
    }

    /// How many tasks of the job have a record.
    pub(crate) fn task_count(&self, job: JobId) -> usize {
        self.jobs.get(&job).map_or(0, |records| records.tasks.len())
    }

    /// The record of a task, if there is one.
    pub(crate) fn record(&self, task: TaskId) -> Option<&TaskRecord> {
        self.jobs.get(&task.job)?.tasks.get(task.index)
    }

    /// Whether the task has, or had, a record.
    pub(crate) fn was_announced(&self, task: TaskId) -> bool {
        self.jobs.get(&task.job).is_some_and(|records| task.index < records.announced)
    }

    /// Keeps a record. Its job is open and has no record of that number.
    ///
    /// # Errors
    /// The bytes that are free, if the record counts for more: then it was not kept.
    pub(crate) fn insert(&mut self, task: TaskId, record: TaskRecord) -> Result<(), u64> {
        let bytes = record.counted_bytes();
        let free = self.limit - self.counted;
        if bytes > free {
            return Err(free);
        }
        let records = self.jobs.get_mut(&task.job).expect("a job has its table from its arrival to its end");
        records.counted += bytes;
        self.counted += bytes;
        records.announced = records.announced.max(task.index.saturating_add(1));
        records.tasks.insert(task.index, record);
        Ok(())
    }

    /// Notes what became of a task's value. An upload has the size that was announced.
    pub(crate) fn set_value(&mut self, task: TaskId, value: StoredValue) {
        let Some(records) = self.jobs.get_mut(&task.job) else { return };
        let Some(record) = records.tasks.get_mut(task.index) else { return };
        let before = record.uploaded_bytes();
        record.value = value;
        let freed = before - record.uploaded_bytes();
        records.counted -= freed;
        self.counted -= freed;
    }

    /// The master has the value of a task that has run, which for that reason never runs again: what it was called with is
    /// not kept any longer.
    pub(crate) fn publish(&mut self, task: TaskId, encoding: Encoding, bytes: Bytes) {
        let Some(records) = self.jobs.get_mut(&task.job) else { return };
        let Some(record) = records.tasks.get_mut(task.index) else { return };
        let freed = record.counted_bytes();
        record.arguments = Box::default();
        record.value = StoredValue::Here(encoding, kept(bytes));
        records.counted -= freed;
        self.counted -= freed;
    }

    /// Drops the master's bytes of a value; how to read it stays known, should a worker have it too.
    pub(crate) fn free(&mut self, value: ValueId) {
        if let Some(StoredValue::Here(encoding, _)) = self.record(value.task).map(|record| &record.value) {
            let encoding = *encoding;
            self.set_value(value.task, StoredValue::AtWorkers(encoding));
        }
    }

    /// Drops all that is known of a task.
    pub(crate) fn forget(&mut self, task: TaskId) {
        let Some(records) = self.jobs.get_mut(&task.job) else { return };
        let Some(record) = records.tasks.remove(task.index) else { return };
        let bytes = record.counted_bytes();
        records.counted -= bytes;
        self.counted -= bytes;
    }

    /// The bytes of a value the master holds.
    pub(crate) fn held(&self, value: ValueId) -> Option<(Encoding, &Kept)> {
        match &self.record(value.task)?.value {
            StoredValue::Here(encoding, bytes) if value.output == 0 => Some((*encoding, bytes)),
            _ => None,
        }
    }

    /// How to read a published value, wherever its bytes are.
    pub(crate) fn encoding(&self, value: ValueId) -> Option<Encoding> {
        match &self.record(value.task)?.value {
            StoredValue::AtWorkers(encoding) | StoredValue::Here(encoding, _) => Some(*encoding),
            _ => None,
        }
    }
}

/// The bytes of a value, to be kept: of their own, as [`detach`] makes them.
fn kept(bytes: Bytes) -> Kept {
    if bytes.len() <= COPY_LIMIT { Kept::copied(&bytes) } else { Kept::new(bytes) }
}

/// Bytes of their own if they are a small part of a large read buffer.
pub(crate) fn detach(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPY_LIMIT { Bytes::copy_from_slice(&bytes) } else { bytes }
}

/// The same bytes for one more reader.
pub(crate) fn share(bytes: &Bytes) -> Bytes {
    if bytes.len() <= SHARE_ABOVE { Bytes::copy_from_slice(bytes) } else { bytes.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(1);

    fn task(index: u32) -> TaskId {
        TaskId { job: JOB, index }
    }

    fn with_literal(bytes: &'static [u8]) -> TaskRecord {
        TaskRecord {
            function: Some(FunctionId(0)),
            slots: 1,
            plain: false,
            arguments: Box::new([StoredArgument::Literal(Encoding::Raw, Bytes::from_static(bytes))]),
            label: None,
            value: StoredValue::Awaited,
        }
    }

    #[test]
    fn literals_and_uploads_share_one_limit_and_give_it_back() {
        let mut payloads = Payloads::new(10);
        payloads.open_job(JOB);
        payloads.insert(task(0), with_literal(b"1234")).unwrap();
        assert_eq!(payloads.insert(task(1), TaskRecord::announced(Encoding::Raw, 7)), Err(6));
        payloads.insert(task(1), TaskRecord::announced(Encoding::Raw, 6)).unwrap();
        payloads.set_value(task(1), StoredValue::Here(Encoding::Raw, Kept::copied(b"123456")));
        assert_eq!(payloads.insert(task(2), with_literal(b"1")), Err(0));

        payloads.free(ValueId::of(task(1)));
        payloads.insert(task(2), with_literal(b"123456")).unwrap();
        payloads.forget(task(0));
        payloads.insert(task(3), with_literal(b"1234")).unwrap();
        payloads.close_job(JOB);
        payloads.open_job(JOB);
        payloads.insert(task(0), with_literal(b"1234567890")).unwrap();
    }

    #[test]
    fn what_was_forgotten_is_known_to_have_been_announced() {
        let mut payloads = Payloads::new(10);
        payloads.open_job(JOB);
        payloads.insert(task(4), with_literal(b"x")).unwrap();
        payloads.forget(task(4));
        assert!(payloads.record(task(4)).is_none() && payloads.was_announced(task(4)));
        assert!(!payloads.was_announced(task(5)), "its announcement may be on its way");
        payloads.close_job(JOB);
        assert!(!payloads.was_announced(task(4)));
    }

    #[test]
    fn a_small_result_takes_the_place_of_what_it_was_made_of_and_counts_against_no_limit() {
        let mut payloads = Payloads::new(4);
        payloads.open_job(JOB);
        payloads.insert(task(0), with_literal(b"1234")).unwrap();
        payloads.publish(task(0), Encoding::Raw, Bytes::from_static(b"a result"));
        assert_eq!(payloads.held(ValueId::of(task(0))).unwrap().1.to_bytes(), "a result");
        assert!(payloads.record(task(0)).unwrap().arguments.is_empty());
        payloads.insert(task(1), with_literal(b"4321")).unwrap();
        payloads.free(ValueId::of(task(0)));
        assert!(payloads.held(ValueId::of(task(0))).is_none());
        payloads.forget(task(0));
        assert_eq!(payloads.insert(task(2), with_literal(b"1")), Err(0));
    }

    #[test]
    fn a_record_stays_small() {
        assert!(size_of::<TaskRecord>() <= 88, "{} bytes", size_of::<TaskRecord>());
    }
}
