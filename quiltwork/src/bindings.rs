//! For bindings of other languages: calls by name with encoded arguments, values as they travel, and workers that run
//! functions of that language. No part of the public interface, free to change with the bindings.
use crate::argument::{Encoded, Portable};
use crate::blob::Blob;
use crate::call::{NamedArgument, TaskCall, interned};
use crate::client::{Client, Handle};
use crate::error::{Error, Problem, Result};
use crate::init;
use bytes::Bytes;
use quiltwork_protocol::codec::CodecError;
use quiltwork_types::{ActorName, TaskId};
use std::task::{Poll, Waker};

pub use crate::argument::{Argument, IntoArgument};
pub use crate::size::ByteSize;
pub use bytes;
pub use quiltwork_protocol::PLAIN_DEPTH;
pub use quiltwork_types::{ActorOptions, AttemptId, Encoding};
pub use quiltwork_worker::Argument as Given;
pub use quiltwork_worker::{
    Arguments, Call, Calls, Entered, Executor, Instance, Lent, Product, Reply, TaskError, copied_bytes, lend, note_copy,
};

/// A value in its encoding, which only the bindings understand.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// How the bytes are to be read.
    pub encoding: Encoding,
    /// The bytes; clones share them.
    pub bytes: Bytes,
}

impl Portable for Opaque {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        Ok((self.encoding, self.bytes.clone()))
    }

    fn from_encoded((encoding, bytes): &Encoded) -> Result<Self, CodecError> {
        Ok(Self { encoding: *encoding, bytes: bytes.clone() })
    }

    fn from_list(_: &[Encoded]) -> Result<Self, CodecError> {
        let reason = "a list of results was given where one value was expected".to_owned();
        Err(CodecError::Decode { what: "a value of another language", reason })
    }
}

/// The call of a function by the name workers know it by.
///
/// The name is kept for the life of the process, as the client's link and the master keep it for theirs: it must be
/// one of a function in the program's source, not one that is made up for each call.
pub fn call(function: &str, arguments: Vec<Argument>) -> TaskCall<Opaque> {
    let named = arguments.into_iter().map(|Argument(form)| NamedArgument { parameter: "input", form });
    TaskCall::by_name(interned(function), named.collect())
}

/// The call without a slot: its attempt is begun at once, however busy its worker is.
pub fn without_slot(call: TaskCall<Opaque>) -> TaskCall<Opaque> {
    call.without_slot()
}

/// Brings a value into the cluster of which the bytes stand apart; they are joined only where they are kept.
///
/// # Errors
/// As for [`Client::put`].
pub fn put(client: &Client, encoding: Encoding, pieces: Vec<Bytes>) -> Result<Handle<Opaque>> {
    client.put_pieces(encoding, pieces)
}

/// The call of an actor's constructor by the name workers know it by. The value of its handle is the actor's name; the
/// actor lives until the last handle is dropped and all that takes it has ended.
///
/// A handle of it as an argument becomes the actor's name where the function runs: see [`actor_of`].
pub fn construct(function: &str, arguments: Vec<Argument>, options: ActorOptions) -> TaskCall<Opaque> {
    call(function, arguments).making_actor(options)
}

/// The call of a method of an actor: it runs where the actor lives, behind what this client, or this task if it is made
/// inside one, has asked of it before.
///
/// The method's name is kept like that of a function: see [`call`].
pub fn call_actor(actor: &Handle<Opaque>, method: &str, arguments: Vec<Argument>) -> TaskCall<Opaque> {
    call(method, arguments).of_actor(actor.source())
}

/// A handle of the actor of that name, whoever has made it. It ends well when the actor is there, and fails at once if
/// there is none of that name.
pub fn actor_named(client: &Client, name: &str) -> Handle<Opaque> {
    client.refer(ActorName::Given(name.into()))
}

/// A handle of the actor whose name was given to a task, a call or a constructor. Wait until it is
/// [`ready`](Handle::ready) before what was given it ends: only then it holds the actor by itself. It fails if the value is
/// no actor's name.
pub fn actor_of(client: &Client, name: &Opaque) -> Handle<Opaque> {
    match TaskId::from_bytes(&name.bytes).filter(|_| name.encoding == Encoding::Actor) {
        Some(actor) => client.refer(ActorName::Task(actor)),
        None => {
            Handle::failed(Error::Invalid(Problem::new("a value that is no actor was given where one was expected")))
        }
    }
}

/// Ends an actor at once, whoever holds it: what is asked of it and has not ended fails, and so does all that comes.
pub fn kill(actor: &Handle<Opaque>) {
    actor.cancel();
}

/// A blob of these bytes, which are not copied.
#[must_use]
pub const fn blob_of(bytes: Bytes) -> Blob {
    Blob::of(bytes)
}

/// The bytes of a blob, which are not copied.
#[must_use]
pub fn bytes_of(blob: &Blob) -> Bytes {
    blob.bytes()
}

/// Whether the value is here, or will never be; if neither, the waker is woken when that may have changed. Inside a task
/// nothing is lent meanwhile. The waker is called with locks held and must only leave word.
pub fn poll_here(handle: &Handle<Opaque>, waker: &Waker) -> Poll<()> {
    handle.poll_here(waker)
}

/// Waits until the task has ended, well or not. Inside a task nothing is lent meanwhile: for what takes the master a moment.
pub fn ended(handle: &Handle<Opaque>) -> impl Future<Output = ()> + Send {
    std::future::poll_fn(|context| handle.poll_ended(context.waker()))
}

/// The value, if it is here: it was small enough to come with the news of the task's end, or was fetched before.
#[must_use]
pub fn value_here(handle: &Handle<Opaque>) -> Option<Opaque> {
    handle.here().map(|(encoding, bytes)| Opaque { encoding, bytes })
}

/// Writes the engine's log of this process to standard error, as the environment variable `QUILTWORK_LOG` says; nothing if
/// it is not set. Only the first call counts.
pub fn write_log_if_asked() {
    init::write_log_if_asked();
}

/// In a process that a cluster has started as a worker: runs tasks by `executor` until the cluster ends.
///
/// # Errors
/// If this process was not started by a cluster, or the worker cannot join or loses its master.
pub fn serve(executor: Box<dyn Executor>) -> Result<()> {
    init::serve_as_worker(executor).map_err(Error::Local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let (one, other) = (interned("module:function"), interned(&String::from("module:function")));
        assert!(std::ptr::eq(one, other));
        assert_ne!(interned("module:other"), one);
    }

    #[test]
    fn a_value_travels_as_it_is() {
        let value = Opaque { encoding: Encoding::Pickle, bytes: Bytes::from_static(b"x") };
        let read = Opaque::from_encoded(&value.to_encoded().unwrap()).unwrap();
        assert_eq!((read.encoding, read.bytes), (Encoding::Pickle, value.bytes));
        assert!(Opaque::from_list(&[]).is_err());
    }
}
