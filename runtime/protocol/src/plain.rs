//! Values as plain data: the only file that names `rmp_serde`, how values travel between languages.
//!
//! Structs are maps with the names of their fields, and what has a form for people (addresses, dates) takes that: the
//! other language knows no more of a type than what it is made of.
use crate::codec::CodecError;
use core::any::type_name;
use rmp_serde::{Deserializer, Serializer};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

/// How deep values may be nested: a deeper one could exhaust the stack of whoever reads it.
pub const PLAIN_DEPTH: usize = 128;

/// Encodes a user's value so that every language can read it.
///
/// # Errors
/// If its `Serialize` says so.
pub fn encode_plain<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::new(&mut bytes).with_struct_map().with_human_readable();
    value
        .serialize(&mut serializer)
        .map_err(|error| CodecError::Encode { what: type_name::<T>(), reason: error.to_string() })?;
    Ok(bytes)
}

/// Reads a value from exactly these bytes.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    read(bytes, |deserializer| T::deserialize(deserializer))
}

/// Reads a value by its seed from exactly these bytes.
pub(crate) fn decode_seed<'de, S: DeserializeSeed<'de>>(seed: S, bytes: &[u8]) -> Result<S::Value, CodecError> {
    read(bytes, |deserializer| seed.deserialize(deserializer))
}

type Reader<'a, 'b> = Deserializer<rmp_serde::decode::ReadReader<&'a mut &'b [u8]>, Format>;
type Format = rmp_serde::config::HumanReadableConfig<rmp_serde::config::DefaultConfig>;

fn read<T>(
    mut bytes: &[u8],
    with: impl FnOnce(&mut Reader<'_, '_>) -> Result<T, rmp_serde::decode::Error>,
) -> Result<T, CodecError> {
    let what = type_name::<T>();
    let mut deserializer = Deserializer::new(&mut bytes).with_human_readable();
    deserializer.set_max_depth(PLAIN_DEPTH);
    let value = with(&mut deserializer).map_err(|error| CodecError::Decode { what, reason: error.to_string() })?;
    match bytes.len() {
        0 => Ok(value),
        left => Err(CodecError::Trailing { what, left }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Shape {
        Dot,
        Circle { radius: f64 },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Drawing {
        name: String,
        shapes: Vec<Shape>,
        #[serde(skip_serializing_if = "Option::is_none")]
        author: Option<String>,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }

    #[test]
    fn what_needs_to_be_told_what_comes_next_is_told() {
        let rest = BTreeMap::from([("width".to_owned(), 7)]);
        let shapes = vec![Shape::Dot, Shape::Circle { radius: 1.5 }];
        let drawing = Drawing { name: "one".to_owned(), shapes, author: None, rest };
        assert_eq!(decode::<Drawing>(&encode_plain(&drawing).unwrap()).unwrap(), drawing);
    }

    #[test]
    fn numbers_are_read_as_what_is_expected_if_they_fit() {
        let three = encode_plain(&3_u8).unwrap();
        assert_eq!(decode::<i64>(&three).unwrap(), 3);
        assert!((decode::<f64>(&three).unwrap() - 3.0).abs() < f64::EPSILON);
        let error = decode::<u8>(&encode_plain(&300).unwrap()).unwrap_err().to_string();
        assert!(error.contains("cannot decode u8") && error.contains("300"), "{error}");
    }

    #[test]
    fn bytes_must_be_there_and_be_all() {
        let mut bytes = encode_plain(&("text", 1)).unwrap();
        assert!(matches!(decode::<(String, u8)>(&bytes[..3]), Err(CodecError::Decode { .. })));
        bytes.push(0);
        assert!(matches!(decode::<(String, u8)>(&bytes), Err(CodecError::Trailing { left: 1, .. })));
        // The claim of a list of 2³² items.
        assert!(decode::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0]).is_err());
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused() {
        #[derive(Debug, Deserialize)]
        struct Nest(#[allow(dead_code, reason = "only its depth matters")] Vec<Nest>);
        let nested = |depth: usize| [vec![0x91; depth], vec![0x90]].concat();
        assert!(decode::<Nest>(&nested(PLAIN_DEPTH / 4)).is_ok());
        assert!(decode::<Nest>(&nested(100_000)).is_err());
    }
}
