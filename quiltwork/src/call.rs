//! A call of a task that has not been submitted: function, encoded arguments, options. It knows no client and no graph.
use crate::argument::{Argument, Form, Source};
use crate::error::{Error, Problem};
use crate::size::ByteSize;
use quiltwork_protocol::client_to_master::TaskOptions;
use quiltwork_types::{ActorOptions, NamedResource, NodeId, TaskRole, WorkerId};
use std::fmt;
use std::marker::PhantomData;

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
#[derive(Clone, Debug)]
pub(crate) struct NamedArgument {
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
        let mut fault = None;
        let named = arguments.into_iter().map(|(parameter, Argument(form))| {
            if let Form::Unencodable(reason) = &form {
                fault.get_or_insert_with(|| Box::new(unencodable(function, parameter, reason)));
            }
            NamedArgument { parameter, form }
        });
        let call = Call { function, arguments: named.collect(), options: TaskOptions::default(), actor: None };
        Self { call, fault, makes: PhantomData }
    }

    /// A call whose arguments are known to be encoded.
    pub(crate) fn by_name(function: &'static str, arguments: Vec<NamedArgument>) -> Self {
        let call = Call { function, arguments, options: TaskOptions::default(), actor: None };
        Self { call, fault: None, makes: PhantomData }
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
