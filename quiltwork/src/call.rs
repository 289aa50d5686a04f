//! A call of a task that has not been submitted: function, encoded arguments, options. It knows no client and no graph.
use crate::argument::{Argument, Form, Source};
use crate::error::{Error, Problem};
use crate::size::ByteSize;
use quiltwork_protocol::client_to_master::TaskOptions;
use quiltwork_types::{ActorOptions, NamedResource, NodeId, TaskRole, WorkerId};
use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// The most workers a task can be bound to: their numbers travel with it.
const MOST_WORKERS: usize = 90;

/// A call of a task, to be given to [`Graph::add`](crate::Graph::add) or [`Client::submit`](crate::Client::submit).
///
/// Made by the function that [`#[quiltwork::task]`](macro@crate::task) stands on. Nothing runs before it is submitted. What
/// is wrong with it (an argument that cannot be encoded, an option that cannot be understood) is told then.
#[must_use = "a call does nothing until it is submitted or added to a graph"]
pub struct TaskCall<T> {
    call: Call,
    /// The first thing that is wrong with it.
    fault: Option<Box<Error>>,
    makes: PhantomData<fn() -> T>,
}

/// A call whose result type is known elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static str,
    pub(crate) arguments: Vec<NamedArgument>,
    pub(crate) options: TaskOptions,
    /// The actor it calls, if it calls one.
    pub(crate) actor: Option<Source>,
}

/// An argument with the parameter it is for.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct NamedArgument {
    pub(crate) parameter: &'static str,
    pub(crate) form: Form,
}

impl Call {
    /// What people call the task.
    pub(crate) fn name(&self) -> &str {
        self.options.name.as_deref().unwrap_or(self.function)
    }
}

impl<T> TaskCall<T> {
    pub(crate) fn new<const N: usize>(function: &'static str, arguments: [(&'static str, Argument); N]) -> Self {
        let named = arguments.into_iter().map(|(parameter, Argument(form))| NamedArgument { parameter, form });
        Self::by_name(function, named.collect())
    }

    /// A call of a function by its name.
    pub(crate) fn by_name(function: &'static str, arguments: Vec<NamedArgument>) -> Self {
        let fault = arguments.iter().find_map(|argument| match &argument.form {
            Form::Unencodable(reason) => Some(Box::new(unencodable(function, argument.parameter, reason))),
            _ => None,
        });
        let call = Call { function, arguments, options: TaskOptions::default(), actor: None };
        Self { call, fault, makes: PhantomData }
    }

    /// The call, unless something else is wrong with it already, with something wrong.
    pub(crate) fn refused(mut self, error: Error) -> Self {
        self.refuse(error);
        self
    }

    /// The same as a call of an actor: it runs where that lives.
    pub(crate) fn of_actor(mut self, actor: Source) -> Self {
        self.call.actor = Some(actor);
        self
    }

    /// The same as the constructor of an actor.
    pub(crate) fn making_actor(mut self, options: ActorOptions) -> Self {
        self.call.options.role = TaskRole::Actor(Box::new(options));
        self
    }

    /// How often a failing attempt (an `Err` or a panic) may be tried again, with growing pauses; 0 unless told otherwise.
    /// The death of a worker is no failure of the task and does not count.
    pub fn retries(mut self, retries: u32) -> Self {
        self.call.options.retries = retries;
        self
    }

    /// What people call it in messages and stories; the function's name unless told otherwise.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.call.options.name = Some(name.into().into_boxed_str());
        self
    }

    /// How long an attempt may run, from the moment its function is entered; what it waits for counts. Then
    /// [`is_cancelled`](crate::TaskContext::is_cancelled) turns true for it, and it fails with
    /// [`FailureKind::TimedOut`](crate::FailureKind), at the latest a second after that: what does not end then goes on
    /// beside the tasks that come after it, for a thread cannot be stopped. It is tried again as after an `Err`.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.call.options.time_limit = Some(limit);
        self
    }

    /// Higher runs first; 0 unless told otherwise.
    pub fn priority(mut self, priority: i32) -> Self {
        self.call.options.priority = priority;
        self
    }

    /// How many slots of a worker it occupies; 1 unless told otherwise, and at least 1.
    pub fn slots(mut self, slots: u32) -> Self {
        if slots == 0 {
            let hint =
                "leave `.slots` out for a light task: workers run several of them side by side if they have slots";
            self.refuse(Error::Invalid(Problem::new("a task occupies at least one slot").with_hint(hint)));
        }
        self.call.options.resources.slots = slots;
        self
    }

    /// Occupies no slot, so that it runs beside whatever its worker runs.
    pub(crate) fn without_slot(mut self) -> Self {
        self.call.options.resources.slots = 0;
        self
    }

    /// How much memory it occupies while it runs: bytes, or text such as `"1.5GiB"`. It runs only where so much is not
    /// given to others. Unless told otherwise nothing is set aside for it. What its worker really uses is watched in any
    /// case ([`memory_limit`](crate::LocalClusterBuilder::memory_limit)).
    pub fn memory(mut self, amount: impl ByteSize) -> Self {
        match amount.in_bytes() {
            Ok(bytes) => self.call.options.resources.memory = bytes,
            Err(error) => self.refuse(error),
        }
        self
    }

    /// How much it occupies of a resource that only users know the meaning of, such as `gpu`.
    pub fn resource(mut self, name: &str, amount: u64) -> Self {
        let resources = &mut self.call.options.resources;
        let mut named = std::mem::take(&mut resources.named).into_vec();
        match named.binary_search_by(|other| (*other.name).cmp(name)) {
            Ok(place) => named[place].amount = amount,
            Err(place) => named.insert(place, NamedResource { name: name.into(), amount }),
        }
        resources.named = named.into_boxed_slice();
        self
    }

    /// Binds it to a worker: it runs there, or fails with [`FailureKind::NoSuchResources`](crate::FailureKind) if that
    /// worker is not there or is lost before it runs. [`Client::workers`](crate::Client::workers) tells who is there. Of
    /// several bindings the last counts.
    ///
    /// ```no_run
    /// # #[quiltwork::task]
    /// # fn warm_up() {}
    /// # async fn run(client: quiltwork::Client) -> quiltwork::Result<()> {
    /// for worker in client.workers().await? {
    ///     client.submit(warm_up().on_worker(worker.worker)).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_worker(self, worker: WorkerId) -> Self {
        self.bound_to(NamedResource::of_worker(worker))
    }

    /// Binds it to several workers: it runs on one of them, whichever has room, or fails as with
    /// [`on_worker`](Self::on_worker) when none of them is there any more.
    pub fn on_workers(mut self, workers: impl IntoIterator<Item = WorkerId>) -> Self {
        let workers: BTreeSet<WorkerId> = workers.into_iter().collect();
        if !(1..=MOST_WORKERS).contains(&workers.len()) {
            let message = format!("it is bound to {} workers, which must be 1 to {MOST_WORKERS}", workers.len());
            self.refuse(Error::Invalid(Problem::new(message).with_hint("leave the binding out to use all workers")));
            return self;
        }
        self.bound_to(NamedResource::of_workers(&workers))
    }

    /// Binds it to a node: it runs on a worker there, and waits for one if there is none at the moment. Of several
    /// bindings the last counts.
    pub fn on_node(self, node: NodeId) -> Self {
        self.bound_to(NamedResource::of_node(node))
    }

    fn bound_to(mut self, binding: NamedResource) -> Self {
        let resources = &mut self.call.options.resources;
        *resources = resources.without_bindings();
        self.resource(&binding.name, binding.amount)
    }

    /// Which partition of a data set it works on; the task learns it from its [`TaskContext`](crate::TaskContext).
    pub fn partition(mut self, partition: u32) -> Self {
        self.call.options.partition = Some(partition);
        self
    }

    /// Has its result made as plain data (MessagePack), which functions of every language read, and not for Rust alone.
    ///
    /// Results that functions in Python take need this, but within a graph, where it goes without saying. It is somewhat
    /// larger and slower to read, and describes itself: results that the usual encoding cannot carry may travel so, and
    /// arguments if they are brought by [`Client::put_plain`](crate::Client::put_plain).
    /// [`Blob`](crate::Blob)s and [`Array`](crate::Array)s are plain anyway.
    pub fn plain(mut self) -> Self {
        self.call.options.plain = true;
        self
    }

    /// The call, unless something is wrong with it.
    pub(crate) fn into_call(self) -> Result<Call, Box<Error>> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.call),
        }
    }

    /// The same call by another type of what it makes.
    pub(crate) fn retyped<U>(self) -> TaskCall<U> {
        TaskCall { call: self.call, fault: self.fault, makes: PhantomData }
    }

    pub(crate) fn refuse(&mut self, error: Error) {
        let name = self.call.name();
        self.fault.get_or_insert_with(|| {
            Box::new(match error {
                Error::Invalid(problem) => {
                    let message = format!("task `{name}` cannot be submitted: {}", problem.message);
                    Error::Invalid(Problem { message, ..problem })
                }
                other => other,
            })
        });
    }
}

/// A name that is not part of the program, kept for the life of the process.
pub(crate) fn interned(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    name
}

fn unencodable(function: &str, parameter: &str, reason: &str) -> Error {
    Error::Encode(
        Problem::new(format!("argument `{parameter}` of task `{function}` cannot travel: {reason}"))
            .with_hint("give a value whose `Serialize` cannot fail and knows its length (serde's `flatten` does not)"),
    )
}

impl<T> Clone for TaskCall<T> {
    fn clone(&self) -> Self {
        Self { call: self.call.clone(), fault: self.fault.clone(), makes: PhantomData }
    }
}

impl<T> fmt::Debug for TaskCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { function, options, .. } = &self.call;
        f.debug_struct("TaskCall").field("function", function).field("options", options).finish_non_exhaustive()
    }
}
