//! How a message lies in a byte stream: a head made by the codec, and beside it the raw payloads it counts.
//!
//! ```text
//! u32 head length | u16 number of payloads | u32 length of each payload … | head | payloads …      (little endian)
//! ```
//! Payloads never go through serde and are never copied to be re-framed: a decoded payload is a slice of the buffer
//! that was read.
use crate::codec::{self, CodecError, HEAD_LIMIT};
use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes before the payload lengths.
pub const PARCEL_HEADER: usize = 6;

/// The largest parcel on a control stream, in bytes: bigger things have streams of their own.
pub const PARCEL_LIMIT: usize = 32 << 20;

/// The most payloads that can stand beside one message: the header counts them in 16 bits.
pub const PAYLOADS_LIMIT: usize = u16::MAX as usize;

/// A wire enum that knows how many payloads stand beside it.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// How many payloads this message refers to; a parcel with another number of them is refused.
    fn payloads(&self) -> usize;
}

/// A message with the payloads it refers to, in the order in which it mentions them.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel<M> {
    /// The message.
    pub message: M,
    /// Its payloads.
    pub payloads: Vec<Bytes>,
}

impl<M> Parcel<M> {
    /// A message without payloads.
    pub const fn bare(message: M) -> Self {
        Self { message, payloads: Vec::new() }
    }

    /// A message with its payloads.
    pub const fn new(message: M, payloads: Vec<Bytes>) -> Self {
        Self { message, payloads }
    }
}

impl<M> From<M> for Parcel<M> {
    fn from(message: M) -> Self {
        Self::bare(message)
    }
}

/// Why a byte stream is not a row of parcels. The stream cannot be used any further.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    /// The head does not decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A length is beyond its limit.
    #[error("a message of {len} bytes is over the limit of {limit}")]
    TooLarge {
        /// What the header says.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// More payloads than the header can count.
    #[error("a message with {count} payloads; at most {limit} can travel together")]
    TooManyPayloads {
        /// How many there are.
        count: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The head counts other payloads than the header.
    #[error("a message that refers to {expected} payloads came with {found}")]
    PayloadCount {
        /// What the message refers to.
        expected: usize,
        /// What the header says.
        found: usize,
    },
}

/// Appends the parcel to `out`, which is left as it was if there is an error.
///
/// # Errors
/// If the head cannot be encoded or the parcel is over [`PARCEL_LIMIT`].
///
/// # Panics
/// If the payloads are not as many as the message says: a mistake in the caller.
pub fn encode_parcel<M: Message>(parcel: &Parcel<M>, out: &mut Vec<u8>) -> Result<(), ParcelError> {
    let Parcel { message, payloads } = parcel;
    assert_eq!(message.payloads(), payloads.len(), "a message and its payloads belong together");
    let start = out.len();
    let count = u16::try_from(payloads.len())
        .map_err(|_| ParcelError::TooManyPayloads { count: payloads.len(), limit: PAYLOADS_LIMIT })?;
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&count.to_le_bytes());
    for payload in payloads {
        let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len.to_le_bytes());
    }
    let head_len = match codec::encode_head(message, out) {
        Ok(len) => len,
        Err(error) => {
            out.truncate(start);
            return Err(error.into());
        }
    };
    out[start..start + 4].copy_from_slice(&u32::try_from(head_len).expect("limited by HEAD_LIMIT").to_le_bytes());
    let total = out.len() - start + payloads.iter().map(Bytes::len).sum::<usize>();
    if total > PARCEL_LIMIT {
        out.truncate(start);
        return Err(ParcelError::TooLarge { len: total, limit: PARCEL_LIMIT });
    }
    for payload in payloads {
        out.extend_from_slice(payload);
    }
    Ok(())
}

/// Takes every whole parcel off the front of `buffer`; what remains is the beginning of the next one.
///
/// # Errors
/// If the bytes are not parcels of `M`; what was decoded before is in `out`.
pub fn decode_parcels<M: Message>(buffer: &mut BytesMut, out: &mut Vec<Parcel<M>>) -> Result<(), ParcelError> {
    while let Some(layout) = Layout::read(buffer)? {
        if buffer.len() < layout.total {
            buffer.reserve(layout.total - buffer.len());
            return Ok(());
        }
        let bytes = buffer.split_to(layout.total).freeze();
        out.push(layout.open(bytes)?);
    }
    Ok(())
}

/// The lengths in a parcel's header.
struct Layout {
    head: usize,
    payloads: Vec<usize>,
    total: usize,
}

impl Layout {
    /// Reads the lengths; `None` if they are not all there yet.
    fn read(buffer: &[u8]) -> Result<Option<Self>, ParcelError> {
        if buffer.len() < PARCEL_HEADER {
            return Ok(None);
        }
        let mut header = buffer;
        let head = header.get_u32_le() as usize;
        let count = usize::from(header.get_u16_le());
        if head > HEAD_LIMIT {
            return Err(ParcelError::TooLarge { len: head, limit: HEAD_LIMIT });
        }
        if header.len() < count * 4 {
            return Ok(None);
        }
        let payloads: Vec<usize> = (0..count).map(|_| header.get_u32_le() as usize).collect();
        let total = PARCEL_HEADER + count * 4 + head + payloads.iter().sum::<usize>();
        if total > PARCEL_LIMIT {
            return Err(ParcelError::TooLarge { len: total, limit: PARCEL_LIMIT });
        }
        Ok(Some(Self { head, payloads, total }))
    }

    /// Decodes the head and cuts the payloads out of `bytes`, the whole parcel.
    fn open<M: Message>(self, mut bytes: Bytes) -> Result<Parcel<M>, ParcelError> {
        bytes.advance(PARCEL_HEADER + self.payloads.len() * 4);
        let message: M = codec::decode_head(&bytes.split_to(self.head))?;
        let expected = message.payloads();
        if expected != self.payloads.len() {
            return Err(ParcelError::PayloadCount { expected, found: self.payloads.len() });
        }
        let payloads = self.payloads.iter().map(|len| bytes.split_to(*len)).collect();
        Ok(Parcel { message, payloads })
    }
}
