//! The only file that names bincode: every encode and decode of the project but of plain data, always limited, always
//! consumed whole or, where values follow one another, up to the next one.
//!
//! bincode's own limit stops neither deep recursion nor endless lists of zero-sized elements, so no wire type may have
//! a recursive or zero-sized element; values of users may, they are decoded only in the user's own processes.
use crate::plain;
use bincode::config::{Configuration, Limit};
use bincode::error::{DecodeError, EncodeError};
use bytes::Bytes;
use quiltwork_types::{Encoding, TypeHash};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Serialize, forward_to_deserialize_any};

/// The largest message head (everything of a message but its payloads), in bytes.
pub const HEAD_LIMIT: usize = 16 << 20;

/// bincode counts what the decoded integers occupy, not the bytes they were read from: up to eight for one (a small
/// `u64`; no wire type has a wider integer). Without this room a head that was allowed to leave could not arrive.
const HEAD_CLAIMS: usize = 8 * HEAD_LIMIT;

/// Values have no limit here (their owners check sizes), but a length no memory can hold is refused instead of tried.
const VALUE_CLAIMS: usize = 1 << 40;

type Format<L> = Configuration<bincode::config::LittleEndian, bincode::config::Varint, L>;
const HEAD: Format<Limit<HEAD_CLAIMS>> = bincode::config::standard().with_limit::<HEAD_CLAIMS>();
const VALUE: Format<Limit<VALUE_CLAIMS>> = bincode::config::standard().with_limit::<VALUE_CLAIMS>();

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
    #[error("a {expected} was expected, but the value is of another type: {found}")]
    WrongType {
        /// The type the reader wants.
        expected: &'static str,
        /// The tag the value carries.
        found: Encoding,
    },
}

/// Appends the encoding of a message head to `out` and says how long it is; `out` is left as it was if there is an error.
///
/// # Errors
/// If the head is larger than [`HEAD_LIMIT`] or cannot be serialized.
pub fn encode_head<T: Serialize>(head: &T, out: &mut Vec<u8>) -> Result<usize, CodecError> {
    let before = out.len();
    let encoded = match bincode::serde::encode_into_std_write(head, out, HEAD) {
        Ok(written) if written > HEAD_LIMIT => {
            Err(CodecError::Encode { what: core::any::type_name::<T>(), reason: over_limit(written) })
        }
        Ok(written) => Ok(written),
        Err(error) => Err(encode_error::<T>(&error)),
    };
    if encoded.is_err() {
        out.truncate(before);
    }
    encoded
}

/// Reads a message head from exactly these bytes.
///
/// # Errors
/// If the bytes are not one whole encoding of `T`, or more than [`HEAD_LIMIT`].
pub fn decode_head<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    if bytes.len() > HEAD_LIMIT {
        return Err(CodecError::Decode { what: core::any::type_name::<T>(), reason: over_limit(bytes.len()) });
    }
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
    append_value(value, &mut out)?;
    Ok(out)
}

/// Appends the encoding of a user's value to `out`, which is left as it was if there is an error.
///
/// # Errors
/// If its `Serialize` says so.
pub fn append_value<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let before = out.len();
    let appended = bincode::serde::encode_into_std_write(value, out, VALUE);
    appended.map(drop).map_err(|error| {
        out.truncate(before);
        encode_error::<T>(&error)
    })
}

/// Reads a user's value from exactly these bytes, which are its bincode or plain data.
///
/// # Errors
/// If the tag names another type, or the bytes are not one whole encoding of `T`. Collections grow as elements arrive;
/// only strings and byte buffers are allocated by the length that was read, before it is known whether the bytes are
/// there, which is why absurd lengths are refused first.
pub fn decode_value<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> Result<T, CodecError> {
    if encoding == Encoding::MessagePack {
        return plain::decode(bytes);
    }
    if encoding != encoding_of::<T>() {
        return Err(CodecError::WrongType { expected: core::any::type_name::<T>(), found: encoding });
    }
    let (value, consumed) = bincode::serde::decode_from_slice(bytes, VALUE).map_err(|e| decode_error::<T>(&e))?;
    whole::<T>(bytes.len(), consumed)?;
    Ok(value)
}

/// Reads the user's value with which the bytes begin, and leaves the rest.
///
/// # Errors
/// If they do not begin with a whole encoding of `T`.
pub fn take_value<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    let (value, consumed) = bincode::serde::decode_from_slice(bytes, VALUE).map_err(|e| decode_error::<T>(&e))?;
    *bytes = &bytes[consumed..];
    Ok(value)
}

/// Builds one sequence out of separately encoded elements, each read from its own bytes: a `Vec<U>` (or any other
/// collection a sequence can become) from the results of many tasks, without joining their bytes first.
///
/// # Errors
/// If `T` is not made from a sequence, or an element carries the tag of another type or is not one whole encoding of
/// its type. The reason names the element by its position, from 0.
pub fn decode_list<T: DeserializeOwned>(items: &[(Encoding, Bytes)]) -> Result<T, CodecError> {
    T::deserialize(ListDecoder { items }).map_err(|e| decode_error::<T>(&e))
}

/// Shows a row of separately encoded elements to serde as one sequence.
struct ListDecoder<'de> {
    items: &'de [(Encoding, Bytes)],
}

impl<'de> Deserializer<'de> for ListDecoder<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let len = self.items.len();
        let mut elements = Elements { items: self.items.iter().enumerate() };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.items.len() {
            0 => Ok(value),
            left => Err(DecodeError::custom(format_args!("{left} of {len} elements are left over"))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// What is left of a list while it is read.
struct Elements<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, (Encoding, Bytes)>>,
}

impl<'de> SeqAccess<'de> for &mut Elements<'de> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        let Some((position, (encoding, bytes))) = self.items.next() else { return Ok(None) };
        let wrong = |e: CodecError| DecodeError::custom(format_args!("element {position}: {e}"));
        if *encoding == Encoding::MessagePack {
            return plain::decode_seed(seed, bytes).map(Some).map_err(wrong);
        }
        if *encoding != encoding_of::<S::Value>() {
            let expected = core::any::type_name::<S::Value>();
            return Err(wrong(CodecError::WrongType { expected, found: *encoding }));
        }
        let (value, consumed) = bincode::serde::seed_decode_from_slice(seed, bytes, VALUE)
            .map_err(|e| wrong(decode_error::<S::Value>(&e)))?;
        whole::<S::Value>(bytes.len(), consumed).map_err(wrong)?;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The tag of values of type `T`.
#[must_use]
pub fn encoding_of<T>() -> Encoding {
    Encoding::Bincode(TypeHash::of(core::any::type_name::<T>()))
}

fn over_limit(len: usize) -> String {
    format!("{len} bytes, more than the limit of {HEAD_LIMIT}")
}

fn whole<T>(len: usize, consumed: usize) -> Result<(), CodecError> {
    if consumed == len {
        return Ok(());
    }
    Err(CodecError::Trailing { what: core::any::type_name::<T>(), left: len - consumed })
}

fn encode_error<T>(error: &EncodeError) -> CodecError {
    let reason = match error {
        EncodeError::Serde(_) => "it does not tell its length before its elements".to_owned(),
        other => other.to_string(),
    };
    CodecError::Encode { what: core::any::type_name::<T>(), reason }
}

fn decode_error<T>(error: &DecodeError) -> CodecError {
    let reason = match error {
        DecodeError::Serde(_) => "it wants to be told what comes next, and this encoding does not say".to_owned(),
        other => other.to_string(),
    };
    CodecError::Decode { what: core::any::type_name::<T>(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, VecDeque};

    fn item<T: Serialize>(value: &T) -> (Encoding, Bytes) {
        (encoding_of::<T>(), encode_value(value).expect("plain data").into())
    }

    fn reason<T: DeserializeOwned>(items: &[(Encoding, Bytes)]) -> String {
        decode_list::<T>(items).err().expect("must be refused").to_string()
    }

    #[test]
    fn a_list_is_built_from_separately_encoded_elements() {
        let words = ["one".to_owned(), String::new(), "three".to_owned()];
        let items: Vec<_> = words.iter().map(item).collect();
        assert_eq!(decode_list::<Vec<String>>(&items).unwrap(), words);
        assert_eq!(decode_list::<VecDeque<String>>(&items).unwrap(), words);
        assert_eq!(decode_list::<[String; 3]>(&items).unwrap(), words);
        assert_eq!(decode_list::<BTreeSet<String>>(&items).unwrap().len(), 3);
    }

    #[test]
    fn elements_may_be_lists_options_and_structures() {
        #[derive(Serialize, serde::Deserialize, Debug, PartialEq)]
        struct Part {
            rows: Vec<(u32, f64)>,
            label: Option<String>,
        }
        let part = |n: u32| Part { rows: vec![(n, f64::from(n)); n as usize], label: (n > 0).then(|| n.to_string()) };
        let items: Vec<_> = (0..3).map(|n| item(&part(n))).collect();
        assert_eq!(decode_list::<Vec<Part>>(&items).unwrap(), [part(0), part(1), part(2)]);
    }

    #[test]
    fn a_list_may_be_empty() {
        assert!(decode_list::<Vec<String>>(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_newtype_around_a_list_is_a_list() {
        #[derive(serde::Deserialize, Debug, PartialEq)]
        struct Parts(Vec<u64>);
        assert_eq!(decode_list::<Parts>(&[item(&7_u64), item(&8_u64)]).unwrap(), Parts(vec![7, 8]));
    }

    #[test]
    fn an_element_of_another_type_is_refused_with_its_position() {
        let reason = reason::<Vec<u64>>(&[item(&7_u64), item(&8_u32)]);
        assert!(reason.contains("element 1") && reason.contains("a u64 was expected"), "{reason}");
    }

    #[test]
    fn an_element_must_be_consumed_whole_and_be_there_whole() {
        let (encoding, bytes) = item(&300_u64);
        let long = Bytes::from([&bytes[..], &[0]].concat());
        let reason_long = reason::<Vec<u64>>(&[(encoding, long)]);
        assert!(reason_long.contains("element 0") && reason_long.contains("left over"), "{reason_long}");
        let reason_short = reason::<Vec<u64>>(&[(encoding, bytes.slice(..1))]);
        assert!(reason_short.contains("element 0"), "{reason_short}");
    }

    #[test]
    fn a_list_of_the_wrong_length_or_for_something_else_is_refused() {
        let items = [item(&1_u64), item(&2_u64), item(&3_u64)];
        assert!(reason::<[u64; 4]>(&items).contains("array of length 4"));
        assert!(reason::<(u64, u64)>(&items).contains("1 of 3 elements are left over"));
        assert!(reason::<u64>(&items).contains("sequence"));
    }
}
