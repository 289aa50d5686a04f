//! For bindings of other languages: calls by name with encoded arguments, values as they travel, and workers that run
//! functions of that language. No part of the public interface, free to change with the bindings.
use crate::argument::{Encoded, Portable};
use crate::call::{NamedArgument, TaskCall, interned};
use crate::client::Handle;
use crate::error::{Error, Result};
use crate::init;
use bytes::Bytes;
use quiltwork_protocol::codec::CodecError;
use std::task::{Poll, Waker};

pub use crate::argument::{Argument, IntoArgument};
pub use crate::size::ByteSize;
pub use bytes;
pub use quiltwork_protocol::PLAIN_DEPTH;
pub use quiltwork_types::{AttemptId, Encoding};
pub use quiltwork_worker::Argument as Given;
pub use quiltwork_worker::{Arguments, Executor, Product, TaskError, copied_bytes, note_copy};

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

/// Whether the value is here, or will never be; if neither, the waker is woken when that may have changed. Inside a task
/// nothing is lent meanwhile. The waker is called with locks held and must only leave word.
pub fn poll_here(handle: &Handle<Opaque>, waker: &Waker) -> Poll<()> {
    handle.poll_here(waker)
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
