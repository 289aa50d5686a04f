//! The call of an actor's constructor that has not been submitted, and the options of actors.
use super::{ActorType, invalid};
use crate::argument::Argument;
use crate::call::TaskCall;
use crate::size::ByteSize;
use quiltwork_types::{ActorOptions, NodeId, WorkerId};
use std::fmt;

/// The call of an actor's constructor, to be given to [`Client::actor`](crate::Client::actor). Made by the function `create`
/// that [`#[quiltwork::actor]`](macro@crate::actor) adds to the type.
#[must_use = "an actor is made by `Client::actor`"]
pub struct Creation<T> {
    call: TaskCall<T>,
    options: ActorOptions,
}

impl<T: ActorType> Creation<T> {
    pub(crate) fn new<const N: usize>(constructor: &'static str, arguments: [(&'static str, Argument); N]) -> Self {
        let max_concurrency = if T::METHODS.iter().any(|method| method.run.is_async()) { MANY } else { 1 };
        let options = ActorOptions { max_concurrency, ..ActorOptions::default() };
        Self { call: TaskCall::new(constructor, arguments).named(label::<T>()), options }
    }

    /// How often it may be made again when its worker is lost; 0 unless told otherwise. It begins anew then: its arguments
    /// are what they were, what its calls have changed is gone.
    pub fn max_restarts(mut self, restarts: u32) -> Self {
        self.options.max_restarts = Some(restarts);
        self
    }

    /// Lets it be made again as often as its worker is lost.
    pub fn unlimited_restarts(mut self) -> Self {
        self.options.max_restarts = None;
        self
    }

    /// The name by which every client finds it while it lives ([`Client::actor_named`](crate::Client::actor_named)), and
    /// people call it. If another actor has it, this one fails.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.options.name = Some(name.as_str().into());
        self.with(|call| call.named(name))
    }

    /// If an actor of its name lives already, that one is taken; its own arguments and options are of no account then.
    pub fn or_existing(mut self) -> Self {
        self.options.or_existing = true;
        self
    }

    /// How many calls it may have that have not ended; one more fails at once with
    /// [`FailureKind::ActorFull`](crate::FailureKind). Unless told otherwise only the limit of tasks of a job is one.
    pub fn max_pending(mut self, calls: u32) -> Self {
        self.options.max_pending = Some(calls);
        self
    }

    /// How many calls of `&self` methods run at a time: 1 unless told otherwise, and 1,000 if there are `async` methods. A
    /// `&mut self` method always runs alone.
    ///
    /// Calls of `async` methods take turns on the actor's thread wherever they wait. Where there are none, others run on
    /// threads of their own.
    pub fn max_concurrency(mut self, calls: u32) -> Self {
        if calls == 0 {
            self.call.refuse(invalid("an actor runs at least one call at a time", "leave `.max_concurrency` out"));
        }
        self.options.max_concurrency = calls;
        self
    }

    /// How often its constructor may be tried again if it fails: see [`TaskCall::retries`].
    pub fn retries(self, retries: u32) -> Self {
        self.with(|call| call.retries(retries))
    }

    /// Higher is made first: see [`TaskCall::priority`].
    pub fn priority(self, priority: i32) -> Self {
        self.with(|call| call.priority(priority))
    }

    /// How many slots it occupies while it is made: see [`TaskCall::slots`]. Its calls occupy none.
    pub fn slots(self, slots: u32) -> Self {
        self.with(|call| call.slots(slots))
    }

    /// How much memory is set aside for it as long as it lives: see [`TaskCall::memory`].
    pub fn memory(self, amount: impl ByteSize) -> Self {
        self.with(|call| call.memory(amount))
    }

    /// How much it occupies of a resource as long as it lives: see [`TaskCall::resource`].
    pub fn resource(self, name: &str, amount: u64) -> Self {
        self.with(|call| call.resource(name, amount))
    }

    /// Binds it to a worker, so it is not made again when that is lost: see [`TaskCall::on_worker`].
    pub fn on_worker(self, worker: WorkerId) -> Self {
        self.with(|call| call.on_worker(worker))
    }

    /// Binds it to a node: see [`TaskCall::on_node`].
    pub fn on_node(self, node: NodeId) -> Self {
        self.with(|call| call.on_node(node))
    }

    pub(super) fn into_call<V>(self) -> TaskCall<V> {
        self.call.making_actor(self.options).retyped()
    }

    fn with(self, change: impl FnOnce(TaskCall<T>) -> TaskCall<T>) -> Self {
        Self { call: change(self.call), options: self.options }
    }
}

/// What people call an actor that has no name of its own: its type.
fn label<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    path.rsplit("::").next().unwrap_or(path)
}

/// Calls of `async` methods that run at a time unless told otherwise.
const MANY: u32 = 1000;

impl<T> fmt::Debug for Creation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Creation").field("call", &self.call).field("options", &self.options).finish()
    }
}
