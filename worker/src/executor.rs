//! Entering functions: one attempt, on the calling thread, from its arguments to what is reported about its end.
use crate::arguments::{Arguments, Output};
use crate::context::{self, Attempt};
use crate::failure::TaskError;
use crate::instance::Instance;
use crate::panics;
use crate::registry::Registry;
use crate::store::{Origin, Stored, ValueStore};
use bytes::Bytes;
use quiltwork_protocol::INLINE_LIMIT;
use quiltwork_protocol::codec;
use quiltwork_protocol::worker_to_master::{AttemptOutcome, Made};
use quiltwork_types::{AttemptId, Encoding, ValueId, WorkerId};
use serde::Serialize;
use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How functions are found and entered: the seam for functions of other languages.
pub trait Executor: Send + Sync {
    /// Runs the function of that name on this thread until it returns.
    ///
    /// # Errors
    /// If there is no such function, it cannot read its arguments, or it fails.
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError>;

    /// Makes an actor by the function of that name, on the thread on which it is going to live.
    ///
    /// # Errors
    /// As for [`execute`](Self::execute); also if this executor has no actors.
    fn construct(&self, function: &str, _arguments: &mut Arguments) -> Result<Box<dyn Instance>, TaskError> {
        Err(TaskError::UnknownTask { name: function.to_owned(), similar: Vec::new() })
    }

    /// Nobody wants the result of this attempt any more, which may run on another thread just now. Must not wait for it.
    fn interrupt(&self, _attempt: AttemptId) {}

    /// Calls `work`, which is all that a slot thread, or the thread of an actor, ever does: a language that keeps something for each thread can hold
    /// it around the call.
    fn host(&self, work: &mut (dyn FnMut() + Send)) {
        work();
    }
}

/// What a function made.
#[derive(Debug)]
pub enum Product {
    /// Bytes that stand together.
    Whole(Output),
    /// Bytes that stand apart and belong one behind the other; a large value is only joined where it is kept.
    Pieces(Encoding, Vec<Bytes>),
}

impl Product {
    /// Encodes a result.
    ///
    /// # Errors
    /// If its `Serialize` fails.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, TaskError> {
        let (encoding, pieces) =
            codec::encode_in_pieces(value).map_err(|error| TaskError::Unencodable(error.to_string()))?;
        Ok(Self::joined(encoding, pieces))
    }

    /// One or more pieces that belong one behind the other.
    #[must_use]
    pub fn joined(encoding: Encoding, mut pieces: Vec<Bytes>) -> Self {
        if pieces.len() == 1 {
            return Self::Whole(Output { encoding, bytes: pieces.remove(0) });
        }
        Self::Pieces(encoding, pieces)
    }

    fn size(&self) -> usize {
        match self {
            Self::Whole(output) => output.bytes.len(),
            Self::Pieces(_, pieces) => pieces.iter().map(Bytes::len).sum(),
        }
    }

    /// As bytes that stand together.
    fn join(self) -> Output {
        match self {
            Self::Whole(output) => output,
            Self::Pieces(encoding, pieces) => Output { encoding, bytes: pieces.concat().into() },
        }
    }
}

/// Runs the functions this program was built with.
pub(crate) struct Registered(pub(crate) &'static Registry);

impl Executor for Registered {
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError> {
        (self.0.find(function)?.run)(arguments)
    }

    fn construct(&self, function: &str, arguments: &mut Arguments) -> Result<Box<dyn Instance>, TaskError> {
        (self.0.find_actor(function)?.construct)(arguments)
    }
}

/// Runs functions of another language, and those this program was built with by their names.
pub(crate) struct Bilingual {
    pub(crate) own: &'static Registry,
    pub(crate) other: Box<dyn Executor>,
}

impl Executor for Bilingual {
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError> {
        // Every name of a function in Rust has them, and no other.
        if function.contains("::") {
            return (self.own.find(function)?.run)(arguments);
        }
        self.other.execute(function, arguments)
    }

    fn construct(&self, function: &str, arguments: &mut Arguments) -> Result<Box<dyn Instance>, TaskError> {
        match self.own.get_actor(function) {
            Some(actor) => (actor.construct)(arguments),
            None => self.other.construct(function, arguments),
        }
    }

    fn interrupt(&self, attempt: AttemptId) {
        self.other.interrupt(attempt);
    }

    fn host(&self, work: &mut (dyn FnMut() + Send)) {
        self.other.host(work);
    }
}

/// An attempt that has its slots and inputs.
pub(crate) struct Job {
    pub(crate) attempt: Arc<Attempt>,
    pub(crate) function: Arc<str>,
    pub(crate) arguments: Arguments,
}

/// How the run of an attempt ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// With a value or a failure.
    Ended(Ending),
    /// What it wanted to read was gone: these values, with each worker that was tried.
    Lacking(Vec<(ValueId, WorkerId)>),
}

/// How an attempt ended, with the value's bytes if they travel with the report.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) inline: Option<Bytes>,
}

impl Ending {
    /// The end of an attempt that made no value.
    pub(crate) fn failed(attempt: &Attempt, error: TaskError) -> Self {
        let failure = error.into_failure(attempt.id, &attempt.name);
        Self { outcome: AttemptOutcome::Failed(failure), inline: None }
    }
}

/// What every attempt of this worker is run with.
pub(crate) struct Workshop {
    /// Who runs functions.
    pub(crate) executor: Box<dyn Executor>,
    /// Where results stay that are too large to travel with the report.
    pub(crate) store: Arc<dyn ValueStore>,
    /// The largest result the cluster accepts, in bytes.
    pub(crate) value_limit: u64,
}

impl Workshop {
    /// Runs an attempt on this thread and keeps its result.
    pub(crate) fn run(&self, job: Job) -> RunEnd {
        let Job { attempt, function, mut arguments } = job;
        let absences = arguments.absences();
        let started = Instant::now();
        let made = {
            let _entered = context::enter(Arc::clone(&attempt));
            panics::catch(|| self.executor.execute(&function, &mut arguments))
        };
        let ran = started.elapsed();
        // Whatever the function made of it: it did not see what it should have seen.
        if let Some(missing) = absences.take() {
            return RunEnd::Lacking(missing);
        }
        let made = if attempt.overdue.load(Ordering::Relaxed) { Err(too_late(&attempt, made)) } else { made };
        let kept = made.and_then(|product| self.keep(&attempt, product, ran));
        RunEnd::Ended(kept.unwrap_or_else(|error| Ending::failed(&attempt, error)))
    }

    /// Makes an actor on this thread.
    ///
    /// # Errors
    /// How that ended instead.
    pub(crate) fn construct(&self, job: Job) -> Result<(Box<dyn Instance>, Ending), Box<RunEnd>> {
        let Job { attempt, function, mut arguments } = job;
        let absences = arguments.absences();
        let started = Instant::now();
        let made = {
            let _entered = context::enter(Arc::clone(&attempt));
            panics::catch(|| self.executor.construct(&function, &mut arguments))
        };
        if let Some(missing) = absences.take() {
            return Err(Box::new(RunEnd::Lacking(missing)));
        }
        let ran_nanos = nanos(started.elapsed());
        let instance = made.map_err(|error| Box::new(RunEnd::Ended(Ending::failed(&attempt, error))))?;
        let (encoding, made) = (Encoding::Actor, Made::Stored);
        let outcome = AttemptOutcome::Finished { encoding, size: 0, made, ran_nanos };
        Ok((instance, Ending { outcome, inline: None }))
    }

    /// How a call of an actor ended.
    pub(crate) fn answer(&self, attempt: &Attempt, made: Result<Product, TaskError>, ran: Duration) -> Ending {
        let kept = made.and_then(|product| self.keep(attempt, product, ran));
        kept.unwrap_or_else(|error| Ending::failed(attempt, error))
    }

    /// Drops what an attempt has kept whose end is of no interest any more.
    pub(crate) fn forget(&self, attempt: AttemptId) {
        self.store.remove_made_by(attempt);
    }

    /// Small results go into the report, larger ones into the store.
    fn keep(&self, attempt: &Attempt, product: Product, ran: Duration) -> Result<Ending, TaskError> {
        let size = product.size();
        if size as u64 > self.value_limit {
            return Err(TaskError::ResultTooLarge { size: size as u64, limit: self.value_limit });
        }
        let ran_nanos = nanos(ran);
        let (encoding, made, inline) = if size <= INLINE_LIMIT {
            let Output { encoding, bytes } = product.join();
            (encoding, Made::Inline, Some(bytes))
        } else {
            (self.store(attempt.id, product)?, Made::Stored, None)
        };
        let outcome = AttemptOutcome::Finished { encoding, size: size as u64, made, ran_nanos };
        Ok(Ending { outcome, inline })
    }

    /// Keeps a large result where others find it; returns how it is to be read.
    fn store(&self, attempt: AttemptId, product: Product) -> Result<Encoding, TaskError> {
        let (value, origin) = (ValueId::of(attempt.task), Origin::Made(attempt));
        match product {
            Product::Whole(output) => {
                let encoding = output.encoding;
                self.store.put(value, Stored { origin, output })?;
                Ok(encoding)
            }
            Product::Pieces(encoding, pieces) => {
                let size = pieces.iter().map(Bytes::len).sum::<usize>();
                let incoming = Arc::clone(&self.store).begin(value, origin, encoding, size as u64)?;
                let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                incoming.write_at(0, &mut slices)?;
                incoming.finish()?;
                Ok(encoding)
            }
        }
    }
}

fn nanos(ran: Duration) -> u64 {
    u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX)
}

/// Whatever the function made of being interrupted, its time was over.
fn too_late(attempt: &Attempt, made: Result<Product, TaskError>) -> TaskError {
    let location = match made {
        Err(TaskError::Raised { location, .. }) => location,
        _ => None,
    };
    TaskError::TimedOut { limit: attempt.time_limit.unwrap_or_default(), location }
}
