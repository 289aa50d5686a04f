//! The bytes of a value's file: a header of 64 bytes, then the payload; it reads and writes no file.
//!
//! ```text
//! 0   magic        8 bytes
//! 8   encoding     8 bytes of tag, 8 bytes of type hash
//! 24  size         8 bytes, of the payload
//! 64  payload      aligned to 64 bytes, because mappings begin at a page
//! ```
use bytes::Bytes;
use quiltwork_types::{Encoding, TypeHash};
use std::io::{self, ErrorKind};

const MAGIC: [u8; 8] = *b"QWVALUE\x01";
/// Bytes before the payload.
pub(super) const HEADER: usize = 64;

/// What stands before a payload of so many bytes.
pub(super) fn header(encoding: Encoding, size: u64) -> [u8; HEADER] {
    let (tag, hash) = match encoding {
        Encoding::Raw => (0_u64, 0),
        Encoding::Bincode(TypeHash(hash)) => (1, hash),
        Encoding::Pickle => (2, 0),
        Encoding::Actor => (3, 0),
    };
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    for (place, field) in header[8..].chunks_exact_mut(8).zip([tag, hash, size]) {
        place.copy_from_slice(&field.to_le_bytes());
    }
    header
}

/// Reads the header of a file and leaves the payload.
pub(super) fn open_value(mut bytes: Bytes) -> io::Result<(Encoding, Bytes)> {
    let wrong = |what: &str| io::Error::new(ErrorKind::InvalidData, format!("a file of the area {what}"));
    if bytes.len() < HEADER || bytes[..8] != MAGIC {
        return Err(wrong("holds no value"));
    }
    let header = bytes.split_to(HEADER);
    let field = |number: usize| {
        let (fields, _) = header.as_chunks::<8>();
        u64::from_le_bytes(fields[number])
    };
    if field(3) != bytes.len() as u64 {
        return Err(wrong("is not whole"));
    }
    match field(1) {
        0 => Ok((Encoding::Raw, bytes)),
        1 => Ok((Encoding::Bincode(TypeHash(field(2))), bytes)),
        2 => Ok((Encoding::Pickle, bytes)),
        3 => Ok((Encoding::Actor, bytes)),
        tag => Err(wrong(&format!("has the unknown encoding {tag}"))),
    }
}
