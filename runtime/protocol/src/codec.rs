//! The only file that names bincode: every encode and decode of the project, always limited, always consumed whole.
//!
//! bincode's own limit stops neither deep recursion nor endless lists of zero-sized elements, so no wire type may have
//! a recursive or zero-sized element; values of users may, they are decoded only in the user's own processes.
use bincode::config::{Configuration, Limit, NoLimit};
use bincode::error::{DecodeError, EncodeError};
use quiltwork_types::{Encoding, TypeHash};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest message head (everything of a message but its payloads), in bytes.
pub const HEAD_LIMIT: usize = 16 << 20;

const HEAD: Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<HEAD_LIMIT>> =
    bincode::config::standard().with_limit::<HEAD_LIMIT>();
const VALUE: Configuration<bincode::config::LittleEndian, bincode::config::Varint, NoLimit> =
    bincode::config::standard();

/// Why bytes could not be made or read. Never retryable: the same bytes fail again.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The thing cannot be encoded.
    #[error("cannot encode {what}: {reason}")]
    Encode {
        /// What was to be encoded.
        what: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// The bytes are not an encoding of the thing.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// What was expected.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The bytes are an encoding of the thing and something more.
    #[error("cannot decode {what}: {left} bytes are left over")]
    Trailing {
        /// What was expected.
        what: &'static str,
        /// How many bytes were left.
        left: usize,
    },
    /// A value of another type.
    #[error("a {expected} was expected, but the value is of another type ({found:?})")]
    WrongType {
        /// The type the reader wants.
        expected: &'static str,
        /// The tag the value carries.
        found: Encoding,
    },
}

/// Appends the encoding of a message head to `out` and says how long it is.
///
/// # Errors
/// If the head is larger than [`HEAD_LIMIT`] or cannot be serialized.
pub fn encode_head<T: Serialize>(head: &T, out: &mut Vec<u8>) -> Result<usize, CodecError> {
    let before = out.len();
    let written = bincode::serde::encode_into_std_write(head, out, HEAD).map_err(|e| encode_error::<T>(&e))?;
    if written > HEAD_LIMIT {
        out.truncate(before);
        return Err(CodecError::Encode {
            what: core::any::type_name::<T>(),
            reason: format!("{written} bytes, more than the limit of {HEAD_LIMIT}"),
        });
    }
    Ok(written)
}

/// Reads a message head from exactly these bytes.
///
/// # Errors
/// If the bytes are not one whole encoding of `T`, or claim more than [`HEAD_LIMIT`].
pub fn decode_head<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (head, consumed) = bincode::serde::decode_from_slice(bytes, HEAD).map_err(|e| decode_error::<T>(&e))?;
    whole::<T>(bytes.len(), consumed)?;
    Ok(head)
}

/// Encodes a user's value.
///
/// # Errors
/// If its `Serialize` says so.
pub fn encode_value<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    bincode::serde::encode_into_std_write(value, &mut out, VALUE).map_err(|e| encode_error::<T>(&e))?;
    Ok(out)
}

/// Reads a user's value from exactly these bytes.
///
/// # Errors
/// If the tag names another type, or the bytes are not one whole encoding of `T`. A forged length cannot make it
/// allocate ahead of the bytes that are there: serde grows collections as elements arrive.
pub fn decode_value<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> Result<T, CodecError> {
    if encoding != encoding_of::<T>() {
        return Err(CodecError::WrongType { expected: core::any::type_name::<T>(), found: encoding });
    }
    let (value, consumed) = bincode::serde::decode_from_slice(bytes, VALUE).map_err(|e| decode_error::<T>(&e))?;
    whole::<T>(bytes.len(), consumed)?;
    Ok(value)
}

/// The tag of values of type `T`.
#[must_use]
pub fn encoding_of<T>() -> Encoding {
    Encoding::Bincode(TypeHash::of(core::any::type_name::<T>()))
}

fn whole<T>(len: usize, consumed: usize) -> Result<(), CodecError> {
    if consumed == len {
        return Ok(());
    }
    Err(CodecError::Trailing { what: core::any::type_name::<T>(), left: len - consumed })
}

fn encode_error<T>(error: &EncodeError) -> CodecError {
    CodecError::Encode { what: core::any::type_name::<T>(), reason: error.to_string() }
}

fn decode_error<T>(error: &DecodeError) -> CodecError {
    CodecError::Decode { what: core::any::type_name::<T>(), reason: error.to_string() }
}
