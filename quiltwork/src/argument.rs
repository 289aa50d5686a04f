//! What may stand as an argument of a task, and its encoded form; what becomes of it when it is submitted is not known here.
use crate::Handle;
use crate::client::Reference;
use crate::graph::{Value, ValueKey};
use bytes::Bytes;
use quiltwork_protocol::codec::{self, CodecError};
use quiltwork_protocol::encode_plain;
use quiltwork_types::Encoding;
use quiltwork_worker::ValueReader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// What can travel between processes: parameters and results of tasks. Every type that derives serde's two traits and
/// borrows nothing is portable, and so is a [`Blob`](crate::Blob).
///
/// The encoding is compact and does not describe itself: a type must read back exactly what it writes. Serde's
/// attributes `flatten`, `tag`, `untagged`, `skip_serializing_if` and their like break that, and so do types that hold
/// any JSON. Such a value can travel as a `String`, or as plain data ([`TaskCall::plain`](crate::TaskCall::plain)).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel between processes",
    label = "not a portable type",
    note = "parameters and results of tasks need `#[derive(serde::Serialize, serde::Deserialize)]` (`cargo add serde --features derive`), and must be `Send` and own what they hold"
)]
pub trait Portable: Sized + Send + 'static {
    #[doc(hidden)]
    fn to_encoded(&self) -> Result<Encoded, CodecError>;
    /// In pieces that belong one behind the other.
    #[doc(hidden)]
    fn to_pieces(&self) -> Result<(Encoding, Vec<Bytes>), CodecError> {
        self.to_encoded().map(|(encoding, bytes)| (encoding, vec![bytes]))
    }
    /// As an argument of a task.
    #[doc(hidden)]
    fn to_argument(&self) -> Argument {
        Argument::literal(self)
    }
    /// As functions of every language read it.
    #[doc(hidden)]
    fn to_plain(&self) -> Result<Encoded, CodecError> {
        self.to_encoded()
    }
    /// Whether its own encoding is read by Rust alone.
    #[doc(hidden)]
    const OF_RUST: bool = false;
    #[doc(hidden)]
    fn from_encoded(value: &Encoded) -> Result<Self, CodecError>;
    /// From the results of many tasks, each encoded by itself.
    #[doc(hidden)]
    fn from_list(items: &[Encoded]) -> Result<Self, CodecError>;
    /// From the result of a task that is to be read piece by piece.
    #[doc(hidden)]
    fn from_reader(_: ValueReader) -> Result<Self, CodecError> {
        Err(not_read_in_pieces::<Self>())
    }
    /// From the results of many tasks, each to be read piece by piece.
    #[doc(hidden)]
    fn from_readers(_: Vec<ValueReader>) -> Result<Self, CodecError> {
        Err(not_read_in_pieces::<Self>())
    }
}

fn not_read_in_pieces<T>() -> CodecError {
    let reason = "something to be read piece by piece was given, which only blobs are".to_owned();
    CodecError::Decode { what: std::any::type_name::<T>(), reason }
}

/// A value as it travels.
pub(crate) type Encoded = (Encoding, Bytes);

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Portable for T {
    fn to_encoded(&self) -> Result<Encoded, CodecError> {
        let (encoding, mut pieces) = codec::encode_in_pieces(self)?;
        Ok((encoding, if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() }))
    }

    fn to_pieces(&self) -> Result<(Encoding, Vec<Bytes>), CodecError> {
        codec::encode_in_pieces(self)
    }

    fn to_plain(&self) -> Result<Encoded, CodecError> {
        Ok((Encoding::MessagePack, encode_plain(self)?.into()))
    }

    const OF_RUST: bool = true;

    fn from_encoded((encoding, bytes): &Encoded) -> Result<Self, CodecError> {
        codec::decode_value(*encoding, bytes)
    }

    fn from_list(items: &[Encoded]) -> Result<Self, CodecError> {
        codec::decode_list(items)
    }
}

/// What may stand where a task expects a `T`: a `T`, or the result of another task that makes one.
///
/// For a `Vec<U>` also a list of results, each a `U`. A [`Handle`] given as an argument is kept alive until the
/// submission is on its way.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument where the task expects `{T}`",
    label = "expected `{T}`, `Value<{T}>` or `Handle<{T}>`",
    note = "a literal must be portable: it derives serde's `Serialize` and `Deserialize`",
    note = "where a `Vec<U>` is expected, a list of results stands as well, such as `Vec<Value<U>>`",
    note = "a `TaskCall` becomes a `Value` by `graph.add(call)` and a `Handle` by `client.submit(call)`"
)]
pub trait IntoArgument<T> {
    #[doc(hidden)]
    fn into_argument(self) -> Argument;
}

/// An argument in its encoded form.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Argument(pub(crate) Form);

/// What an argument is made of.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    Literal(Encoding, Bytes),
    Value(Source),
    Values(Vec<Source>),
    /// To be read piece by piece.
    Reference(Source),
    /// Each to be read piece by piece.
    References(Vec<Source>),
    /// A literal that cannot be encoded, and why.
    Unencodable(String),
}

impl Form {
    /// The results it is made of: none, one or many.
    pub(crate) fn sources(&self) -> &[Source] {
        match self {
            Self::Literal(..) | Self::Unencodable(_) => &[],
            Self::Value(source) | Self::Reference(source) => std::slice::from_ref(source),
            Self::Values(sources) | Self::References(sources) => sources,
        }
    }
}

/// A result that is used as an argument.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Of a task in the same graph.
    Value(ValueKey),
    /// Of a task that was submitted before.
    Handle(Arc<Reference>),
    /// Of a task that could not be submitted; whoever needs it fails likewise.
    Failed(Box<crate::Error>),
}

impl Argument {
    pub(crate) fn literal<T: Portable>(value: &T) -> Self {
        Self(match value.to_encoded() {
            Ok((encoding, bytes)) => Form::Literal(encoding, bytes),
            Err(error) => Form::Unencodable(error.to_string()),
        })
    }

    fn list(sources: impl Iterator<Item = Source>) -> Self {
        Self(Form::Values(sources.collect()))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Portable> IntoArgument<T> for T {
    fn into_argument(self) -> Argument {
        self.to_argument()
    }
}

#[diagnostic::do_not_recommend]
impl IntoArgument<String> for &str {
    fn into_argument(self) -> Argument {
        Argument::literal(&self.to_owned())
    }
}

/// Lets results stand for values: `$one` by itself, and lists of them for a `Vec`.
macro_rules! results_are_arguments {
    ($one:ident, $source:expr) => {
        #[diagnostic::do_not_recommend]
        impl<T> IntoArgument<T> for $one<T> {
            fn into_argument(self) -> Argument {
                (&self).into_argument()
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T> IntoArgument<T> for &$one<T> {
            fn into_argument(self) -> Argument {
                Argument(Form::Value($source(self)))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T> IntoArgument<Vec<T>> for Vec<$one<T>> {
            fn into_argument(self) -> Argument {
                Argument::list(self.iter().map($source))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T> IntoArgument<Vec<T>> for &Vec<$one<T>> {
            fn into_argument(self) -> Argument {
                Argument::list(self.iter().map($source))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T> IntoArgument<Vec<T>> for &[$one<T>] {
            fn into_argument(self) -> Argument {
                Argument::list(self.iter().map($source))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T, const N: usize> IntoArgument<Vec<T>> for [$one<T>; N] {
            fn into_argument(self) -> Argument {
                Argument::list(self.iter().map($source))
            }
        }
    };
}

results_are_arguments!(Value, Value::source);
results_are_arguments!(Handle, Handle::source);
