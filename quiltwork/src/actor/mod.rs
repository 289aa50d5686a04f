//! Actors as programs hold them: typed references whose methods make calls. How they are made is in `creation`, what they are
//! in their worker is in `resident`.
mod creation;
mod resident;

pub use creation::Creation;
#[doc(hidden)]
pub use resident::{Method, Resident, Run, job};

use crate::argument::{Argument, Encoded, Form, IntoArgument, Portable, Source};
use crate::call::TaskCall;
use crate::client::{Client, Handle};
use crate::error::{Error, Problem, Result};
use quiltwork_protocol::codec::CodecError;
use quiltwork_types::{ActorName, Encoding, TaskId};
use std::fmt;
use std::ops::Deref;

/// A type that [`#[quiltwork::actor]`](macro@crate::actor) stands on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    label = "not an actor",
    note = "put `#[quiltwork::actor]` above an `impl {Self}` that has a function `new`"
)]
pub trait ActorType: Sized + 'static {
    /// What stands for its methods outside of its worker: each makes a call instead of running.
    type Calls: From<Callee> + Clone + Send + Sync + 'static;
    #[doc(hidden)]
    const METHODS: &'static [Method<Self>];
}

/// A live reference to an actor: an object that lives in a worker and is called from anywhere.
///
/// The methods of the type stand on it as well. There they make a [`TaskCall`], to be given to [`Client::submit`] or
/// [`Graph::add`](crate::Graph::add) like that of any task: its arguments may be results of tasks, and its result is a [`Handle`].
/// Calls of one client run in the order in which they were submitted; inside a task, or inside another actor's call, those of that
/// task do. An actor can be given to tasks, and to calls and constructors of other actors, as an argument; they call it
/// through a client of their own, [`Client::current`].
///
/// **Its end.** It lives until the last clone is dropped and all that takes it has ended, or [`Client::kill`] ends it, or
/// its worker is lost and it may not be made again ([`Creation::max_restarts`]), or the client that made it is gone. From
/// then on every call fails with [`FailureKind::ActorDied`](crate::FailureKind). Calls that were under way when its worker was
/// lost fail with [`ActorLost`](crate::FailureKind::ActorLost), which means that they may have run, unless they are allowed
/// [`retries`](TaskCall::retries). A call that returns an `Err` or panics fails alone; the actor goes on with what it is then.
#[must_use = "an actor ends when nobody holds it"]
pub struct Actor<T: ActorType> {
    handle: Handle<Name<T>>,
    calls: T::Calls,
}

/// What the value of an actor's handle would be read as: nobody reads it.
struct Name<T>(std::marker::PhantomData<fn() -> T>);

/// Whom the calls of an actor are for.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Callee(Source);

impl Callee {
    /// The call of a method by its path.
    #[doc(hidden)]
    pub fn call<T, const N: usize>(
        &self,
        method: &'static str,
        arguments: [(&'static str, Argument); N],
    ) -> TaskCall<T> {
        TaskCall::new(method, arguments).of_actor(self.0.clone())
    }
}

impl<T: ActorType> Actor<T> {
    fn of(handle: Handle<Name<T>>) -> Self {
        let calls = Callee(handle.source()).into();
        Self { handle, calls }
    }

    /// Waits until it has been made.
    ///
    /// # Errors
    /// Why it was not, or has ended.
    pub fn ready(actor: &Self) -> impl Future<Output = Result<()>> + Send + use<T> {
        let handle = actor.handle.clone();
        async move {
            handle.ready().await;
            handle.failure().map_or(Ok(()), Err)
        }
    }

    /// Like [`ready`](Self::ready), for programs without async.
    ///
    /// # Errors
    /// As there.
    pub fn wait_ready(actor: &Self) -> Result<()> {
        actor.handle.wait_ready()?;
        actor.handle.failure().map_or(Ok(()), Err)
    }

    /// The number of the task that makes it, or stands for it; `None` if that could not be submitted.
    #[must_use]
    pub fn id(actor: &Self) -> Option<TaskId> {
        actor.handle.id()
    }
}

impl Client {
    /// Makes an actor. What is wrong is told by its calls, and by [`Actor::ready`].
    ///
    /// ```no_run
    /// use quiltwork::prelude::*;
    ///
    /// struct Counter(u64);
    ///
    /// #[quiltwork::actor]
    /// impl Counter {
    ///     fn new(start: u64) -> Self {
    ///         Self(start)
    ///     }
    ///
    ///     fn add(&mut self, by: u64) -> u64 {
    ///         self.0 += by;
    ///         self.0
    ///     }
    /// }
    ///
    /// # async fn run(client: Client) -> quiltwork::Result<()> {
    /// let counter = client.actor(Counter::create(5).max_restarts(2));
    /// let first = client.submit(counter.add(1));
    /// let second = client.submit(counter.add(&first)); // 6 + 6
    /// assert_eq!(second.await?, 12);
    /// # Ok(())
    /// # }
    /// ```
    pub fn actor<T: ActorType>(&self, creation: Creation<T>) -> Actor<T> {
        Actor::of(self.submit(creation.into_call()))
    }

    /// The actor of that name, whoever has made it.
    ///
    /// # Errors
    /// If there is none of that name, it could not be made, or the link is lost. That it is of another type is told by its calls.
    pub async fn actor_named<T: ActorType>(&self, name: &str) -> Result<Actor<T>> {
        let actor = Actor::of(self.refer(ActorName::Given(name.into())));
        Actor::ready(&actor).await?;
        Ok(actor)
    }

    /// Ends an actor at once, whoever holds it; never waits. A call that runs is told, and may go on; it and all that were
    /// to follow fail with [`FailureKind::ActorDied`](crate::FailureKind).
    pub fn kill<T: ActorType>(&self, actor: &Actor<T>) {
        actor.handle.cancel();
    }
}

impl<T: ActorType> Deref for Actor<T> {
    type Target = T::Calls;

    fn deref(&self) -> &T::Calls {
        &self.calls
    }
}

impl<T: ActorType> Clone for Actor<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), calls: self.calls.clone() }
    }
}

impl<T: ActorType> fmt::Debug for Actor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Actor({:?})", self.handle)
    }
}

/// What travels is the actor's name. Inside a task it becomes a reference of the task's own client, which is there before
/// the task begins, so the actor outlives the hand-over.
#[diagnostic::do_not_recommend]
impl<T: ActorType> Portable for Actor<T> {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        let name = self.handle.id().ok_or_else(|| CodecError::Encode {
            what: std::any::type_name::<Self>(),
            reason: "it could not be made".to_owned(),
        })?;
        Ok((Encoding::Actor, name.to_bytes().to_vec().into()))
    }

    fn to_argument(&self) -> Argument {
        Argument(Form::Value(self.handle.source()))
    }

    fn from_encoded((encoding, bytes): &Encoded) -> Result<Self, CodecError> {
        let what = std::any::type_name::<Self>();
        let Some(actor) = TaskId::from_bytes(bytes).filter(|_| *encoding == Encoding::Actor) else {
            return Err(CodecError::WrongType { expected: what, found: *encoding });
        };
        let received = Client::current().map_err(|error| CodecError::Decode { what, reason: error.to_string() })?;
        let actor = Self::of(received.refer(ActorName::Task(actor)));
        // One that has ended meanwhile is an actor all the same: its calls say so.
        let _ = actor.handle.wait_ready();
        Ok(actor)
    }

    fn from_list(_: &[Encoded]) -> Result<Self, CodecError> {
        let reason = "a list of results was given for an actor".to_owned();
        Err(CodecError::Decode { what: std::any::type_name::<Self>(), reason })
    }
}

/// A list of actors as a task, a call or a constructor takes it: a `Vec` of them stands for it as an argument.
#[derive(Clone, Debug)]
#[must_use = "an actor ends when nobody holds it"]
pub struct Actors<T: ActorType>(Vec<Actor<T>>);

impl<T: ActorType> Deref for Actors<T> {
    type Target = [Actor<T>];

    fn deref(&self) -> &[Actor<T>] {
        &self.0
    }
}

impl<T: ActorType> From<Vec<Actor<T>>> for Actors<T> {
    fn from(actors: Vec<Actor<T>>) -> Self {
        Self(actors)
    }
}

#[diagnostic::do_not_recommend]
impl<T: ActorType> Portable for Actors<T> {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        let reason = "a list of actors travels as an argument only".to_owned();
        Err(CodecError::Encode { what: std::any::type_name::<Self>(), reason })
    }

    fn to_argument(&self) -> Argument {
        Argument(Form::Values(self.0.iter().map(|actor| actor.handle.source()).collect()))
    }

    fn from_encoded((encoding, _): &Encoded) -> Result<Self, CodecError> {
        Err(CodecError::WrongType { expected: std::any::type_name::<Self>(), found: *encoding })
    }

    fn from_list(items: &[Encoded]) -> Result<Self, CodecError> {
        items.iter().map(Actor::from_encoded).collect::<Result<_, _>>().map(Self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: ActorType> IntoArgument<Actors<T>> for Vec<Actor<T>> {
    fn into_argument(self) -> Argument {
        Actors(self).to_argument()
    }
}

#[diagnostic::do_not_recommend]
impl<T: ActorType> IntoArgument<Actor<T>> for &Actor<T> {
    fn into_argument(self) -> Argument {
        self.to_argument()
    }
}

/// Why an option of an actor is refused.
fn invalid(message: &str, hint: &'static str) -> Error {
    Error::Invalid(Problem::new(message).with_hint(hint))
}
