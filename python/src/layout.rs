//! How a pickle and its buffers stand in one payload; what the pickle means is Python's business.
//!
//! ```text
//! 0   count      8 bytes: how many buffers there are; for each its place and length, 8 bytes each
//! ..  pickle     knows its own end
//! ..  buffers    each at a multiple of 64 bytes, so that arrays can be used where they are
//! ```
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use quiltwork::bindings::bytes::Bytes;

/// What the places of buffers are multiples of.
const ALIGNMENT: usize = 64;
/// Bytes of a number in the index.
const NUMBER: usize = 8;

static PADDING: [u8; ALIGNMENT] = [0; ALIGNMENT];

/// The payload in pieces that belong one behind the other: large buffers are not copied here.
pub(crate) fn pieces(pickle: Bytes, buffers: Vec<Bytes>) -> Vec<Bytes> {
    let mut index = Vec::with_capacity(NUMBER * (1 + 2 * buffers.len()));
    let mut end = index.capacity() + pickle.len();
    let mut pieces = Vec::with_capacity(2 * (1 + buffers.len()));
    push_number(&mut index, buffers.len());
    pieces.extend([Bytes::new(), pickle]);
    for buffer in buffers {
        let place = end.next_multiple_of(ALIGNMENT);
        push_number(&mut index, place);
        push_number(&mut index, buffer.len());
        pieces.push(Bytes::from_static(&PADDING[..place - end]));
        end = place + buffer.len();
        pieces.push(buffer);
    }
    pieces[0] = index.into();
    pieces
}

/// The pickle (and what follows it, which whoever reads it does not mind) and the buffers of a payload.
///
/// # Errors
/// If it is not laid out like that.
pub(crate) fn open(payload: &Bytes) -> PyResult<(Bytes, Vec<Bytes>)> {
    try_open(payload).ok_or_else(|| PyValueError::new_err("the value is damaged, or of another version of quiltwork"))
}

/// The pickle of a payload that has no buffers.
pub(crate) fn lone_pickle(payload: &[u8]) -> Option<&[u8]> {
    payload
        .split_first_chunk::<NUMBER>()
        .filter(|(count, _)| u64::from_le_bytes(**count) == 0)
        .map(|(_, pickle)| pickle)
}

/// A pickle without buffers as a payload.
pub(crate) fn lone(pickle: &[u8]) -> Bytes {
    let mut payload = Vec::with_capacity(NUMBER + pickle.len());
    push_number(&mut payload, 0);
    payload.extend_from_slice(pickle);
    payload.into()
}

fn try_open(payload: &Bytes) -> Option<(Bytes, Vec<Bytes>)> {
    let (numbers, _) = payload.as_chunks::<NUMBER>();
    let number = |place: usize| usize::try_from(u64::from_le_bytes(*numbers.get(place)?)).ok();
    let count = number(0)?;
    let buffers = (0..count.min(numbers.len())).map(|buffer| {
        let (place, length) = (number(1 + 2 * buffer)?, number(2 + 2 * buffer)?);
        let end = place.checked_add(length).filter(|end| *end <= payload.len())?;
        Some(payload.slice(place..end))
    });
    let buffers = buffers.collect::<Option<Vec<_>>>().filter(|buffers| buffers.len() == count)?;
    Some((payload.slice(NUMBER * (1 + 2 * count)..), buffers))
}

fn push_number(index: &mut Vec<u8>, number: usize) {
    index.extend((number as u64).to_le_bytes());
}
