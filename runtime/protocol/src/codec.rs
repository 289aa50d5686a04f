//! The only file that names bincode: every encode and decode of the project but of plain data, always limited, always
//! consumed whole or, where values follow one another, up to the next one.
//!
//! bincode's own limit stops neither deep recursion nor endless lists of zero-sized elements, so no wire type may have
//! a recursive or zero-sized element; values of users may, they are decoded only in the user's own processes.
use crate::{INLINE_LIMIT, apart, plain};
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

/// Encodes a user's value that travels by itself: the pieces belong one behind the other. Large [runs](crate::Run) in it
/// are pieces of their own, and not copied.
///
/// # Errors
/// If its `Serialize` says so.
pub fn encode_in_pieces<T: Serialize>(value: &T) -> Result<(Encoding, Vec<Bytes>), CodecError> {
    let mut encoded = Vec::new();
    let (appended, runs) = apart::collected(|| append_as_is(value, &mut encoded));
    appended?;
    if runs.is_empty() {
        return Ok((encoding_of::<T>(), vec![encoded.into()]));
    }
    // What travels with the messages is copied anyway.
    if runs.iter().map(Bytes::len).sum::<usize>() <= INLINE_LIMIT {
        return Ok((encoding_of::<T>(), vec![encode_value(value)?.into()]));
    }
    Ok((parted_encoding_of::<T>(), apart::joined(&encoded, runs)))
}

/// Appends the encoding of a user's value to `out`, which is left as it was if there is an error.
///
/// # Errors
/// If its `Serialize` says so.
pub fn append_value<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    apart::contained(|| append_as_is(value, out))
}

fn append_as_is<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
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
pub fn decode_value<T: DeserializeOwned>(encoding: Encoding, bytes: &Bytes) -> Result<T, CodecError> {
    if encoding == Encoding::MessagePack {
        return plain::decode(bytes);
    }
    decode_seed(core::marker::PhantomData, encoding, bytes)
}

/// Reads a user's value from exactly these bytes, which are its encoding by [`encode_value`].
///
/// # Errors
/// As for [`decode_value`].
pub fn decode_whole<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, CodecError> {
    let all = bytes.len();
    let value = take_value(&mut bytes)?;
    whole::<T>(all, all - bytes.len())?;
    Ok(value)
}

fn decode_seed<'de, S: DeserializeSeed<'de>>(
    seed: S,
    encoding: Encoding,
    bytes: &'de Bytes,
) -> Result<S::Value, CodecError> {
    let what = core::any::type_name::<S::Value>();
    let decode = |bytes: &'de [u8]| {
        let (value, consumed) =
            bincode::serde::seed_decode_from_slice(seed, bytes, VALUE).map_err(|e| decode_error::<S::Value>(&e))?;
        whole::<S::Value>(bytes.len(), consumed)?;
        Ok(value)
    };
    if encoding == encoding_of::<S::Value>() {
        return apart::contained(|| decode(bytes));
    }
    if encoding != parted_encoding_of::<S::Value>() {
        return Err(CodecError::WrongType { expected: what, found: encoding });
    }
    let Some((encoded, runs)) = apart::parted(bytes) else {
        return Err(CodecError::Decode { what, reason: "it is cut off".to_owned() });
    };
    apart::given(runs, || decode(encoded))
}

/// Reads the user's value with which the bytes begin, and leaves the rest.
///
/// # Errors
/// If they do not begin with a whole encoding of `T`.
pub fn take_value<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, CodecError> {
    let decoded = apart::contained(|| bincode::serde::decode_from_slice(bytes, VALUE));
    let (value, consumed) = decoded.map_err(|e| decode_error::<T>(&e))?;
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
        decode_seed(seed, *encoding, bytes).map(Some).map_err(wrong)
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

/// The tag of values of type `T` whose runs stand apart.
fn parted_encoding_of<T>() -> Encoding {
    const APART: u64 = 0x5255_4e53_2041_5041;
    let TypeHash(hash) = TypeHash::of(core::any::type_name::<T>());
    Encoding::Bincode(TypeHash(hash ^ APART))
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
    use crate::Run;
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

    /// A value with two runs between other things.
    #[derive(Serialize, serde::Deserialize, Debug, PartialEq)]
    struct Frame {
        name: String,
        left: Run,
        count: u32,
        right: Run,
    }

    fn frame(length: usize) -> Frame {
        let run = |byte: u8, length| Run(Bytes::from(vec![byte; length]));
        Frame { name: "frame".to_owned(), left: run(1, length), count: 7, right: run(2, length / 3) }
    }

    fn in_one_piece<T: Serialize>(value: &T) -> (Encoding, Bytes) {
        let (encoding, pieces) = encode_in_pieces(value).expect("plain data");
        (encoding, pieces.concat().into())
    }

    #[test]
    fn large_runs_are_neither_copied_when_they_are_encoded_nor_when_they_are_decoded() {
        let frame = frame(100_001);
        let (_, pieces) = encode_in_pieces(&frame).unwrap();
        assert!(pieces.iter().any(|piece| piece.as_ptr() == frame.left.0.as_ptr()));
        let (encoding, bytes) = in_one_piece(&frame);
        let read: Frame = decode_value(encoding, &bytes).unwrap();
        assert_eq!(read, frame);
        let all = bytes.as_ptr_range();
        for run in [&read.left, &read.right] {
            let place = run.0.as_ptr();
            assert!(all.contains(&place));
            assert!((place.addr() - all.start.addr()).is_multiple_of(64));
        }
    }

    #[test]
    fn values_with_and_without_large_runs_stand_in_one_list() {
        let frames = [frame(100_000), frame(10), frame(0), frame(9_000)];
        let items: Vec<_> = frames.iter().map(in_one_piece).collect();
        assert_eq!(decode_list::<Vec<Frame>>(&items).unwrap(), frames);
        assert_eq!(items[1].1.len(), encode_value(&frames[1]).unwrap().len(), "small runs are part of the encoding");
    }

    #[test]
    fn what_is_encoded_within_a_value_for_itself_is_read_by_itself() {
        #[derive(serde::Deserialize)]
        struct Packed {
            run: Run,
            packed: Vec<u8>,
        }
        impl Serialize for Packed {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let packed = encode_value(&self.run).map_err(serde::ser::Error::custom)?;
                (&self.run, packed).serialize(serializer)
            }
        }
        let run = Run(Bytes::from(vec![3; 50_000]));
        let (encoding, bytes) = in_one_piece(&Packed { run: run.clone(), packed: Vec::new() });
        let read: Packed = decode_value(encoding, &bytes).unwrap();
        assert_eq!((read.run, decode_whole::<Run>(&read.packed).unwrap()), (run.clone(), run));
    }

    #[test]
    fn a_value_with_runs_that_was_cut_off_or_made_up_is_refused() {
        let (encoding, bytes) = in_one_piece(&frame(10_000));
        for cut in 0..bytes.len() - 60 {
            assert!(decode_value::<Frame>(encoding, &bytes.slice(..cut)).is_err(), "cut at {cut}");
        }
        for length in [u64::MAX, u64::MAX - 8, 1 << 40] {
            let made_up = [&length.to_le_bytes()[..], &bytes[8..]].concat();
            assert!(decode_value::<Frame>(encoding, &made_up.into()).is_err());
        }
        assert!(decode_value::<(u32, Run)>(encoding, &bytes).is_err(), "of another type");
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
