//! The bytes in which values travel, for those who keep many values in a container of their own; it sends nothing.
use crate::error::{Error, Problem, Result};
use quiltwork_protocol::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a value as it would travel between processes, but without its type's name.
///
/// # Errors
/// [`Error::Encode`] if its `Serialize` fails.
///
/// ```
/// let bytes = quiltwork::to_bytes(&("one".to_owned(), 1_u64))?;
/// assert_eq!(quiltwork::from_bytes::<(String, u64)>(&bytes)?, ("one".to_owned(), 1));
/// # Ok::<(), quiltwork::Error>(())
/// ```
pub fn to_bytes<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    codec::encode_value(value).map_err(|error| Error::Encode(Problem::new(error.to_string())))
}

/// Reads what [`to_bytes`] made of a `T`. Nothing in the bytes tells of which type they are.
///
/// # Errors
/// [`Error::Decode`] if the bytes are not one whole encoding of a `T`.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    codec::decode_whole(bytes).map_err(|error| Error::Decode(Problem::new(error.to_string())))
}

/// Appends a value to bytes, to be read back by [`take_value`]: many values one after the other need no more than their
/// own bytes.
///
/// # Errors
/// [`Error::Encode`] if its `Serialize` fails; the bytes stay as they were.
///
/// ```
/// let mut bytes = Vec::new();
/// quiltwork::append_value(&1_u64, &mut bytes)?;
/// quiltwork::append_value(&"two", &mut bytes)?;
/// let mut rest = &bytes[..];
/// assert_eq!(quiltwork::take_value::<u64>(&mut rest)?, 1);
/// assert_eq!(quiltwork::take_value::<String>(&mut rest)?, "two");
/// assert!(rest.is_empty());
/// # Ok::<(), quiltwork::Error>(())
/// ```
pub fn append_value<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<()> {
    codec::append_value(value, bytes).map_err(|error| Error::Encode(Problem::new(error.to_string())))
}

/// Takes the value with which the bytes begin off their front.
///
/// # Errors
/// [`Error::Decode`] if they do not begin with a whole encoding of a `T`; the bytes stay as they were.
pub fn take_value<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T> {
    codec::take_value(bytes).map_err(|error| Error::Decode(Problem::new(error.to_string())))
}
