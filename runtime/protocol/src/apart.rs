//! Runs of bytes within a user's value that do not become part of its encoding: they stand behind it, each where numbers may
//! begin, and are read in place. How the rest is encoded is not known here.
//!
//! ```text
//! 0   length     8 bytes, of the encoding
//! 8   encoding   in which each run is said by its place and length
//! ..  runs       each from the next multiple of 64 on; places are counted from the first
//! ```
//! Serde has no room for that. So while a value is encoded or decoded in this form, its thread keeps the runs beside it.
use bytes::Bytes;
use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;

/// What the place of a run is a multiple of.
const ALIGNMENT: usize = 64;
/// Bytes of the length of the encoding.
const LENGTH: usize = 8;

thread_local! {
    static BESIDE: RefCell<Beside> = const { RefCell::new(Beside::Nothing) };
}

/// What this thread keeps beside a value.
enum Beside {
    /// Runs are part of the encoding.
    Nothing,
    /// Those that were met so far, and the place of the next one.
    Met(Vec<Bytes>, usize),
    /// All, as they stand behind one another.
    Given(Bytes),
}

/// A run of bytes in a user's value, shared by its clones.
///
/// It serializes as bytes. In a value that travels by itself it does not become part of the encoding, so it is neither
/// copied when the value is encoded nor when it is decoded; then it begins at a multiple of 64 of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run(pub Bytes);

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Whatever reads a form for people knows nothing of runs.
        let place = if serializer.is_human_readable() { None } else { self.stand_apart() };
        match place {
            Some(place) => (place as u64, self.0.len() as u64).serialize(serializer),
            None => serializer.serialize_bytes(&self.0),
        }
    }
}

impl Run {
    /// Where it stands, if runs stand apart.
    fn stand_apart(&self) -> Option<usize> {
        BESIDE.with_borrow_mut(|beside| {
            let Beside::Met(runs, next) = beside else { return None };
            let place = *next;
            *next = (place + self.0.len()).next_multiple_of(ALIGNMENT);
            runs.push(self.0.clone());
            Some(place)
        })
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given =
            BESIDE.with_borrow(|beside| if let Beside::Given(runs) = beside { Some(runs.clone()) } else { None });
        let Some(runs) = given.filter(|_| !deserializer.is_human_readable()) else {
            return deserializer.deserialize_byte_buf(Contained).map(Self);
        };
        let (place, length) = <(u64, u64)>::deserialize(deserializer)?;
        let range = usize::try_from(place).ok().zip(usize::try_from(place.saturating_add(length)).ok());
        let range = range.filter(|(_, end)| *end <= runs.len());
        let (begin, end) = range.ok_or_else(|| de::Error::custom("a run of bytes is not there"))?;
        Ok(Self(runs.slice(begin..end)))
    }
}

/// Reads a run that is part of the encoding.
struct Contained;

impl Visitor<'_> for Contained {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run of bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }
}

/// Encodes in this form; returns the runs that were met.
pub(crate) fn collected<T>(encode: impl FnOnce() -> T) -> (T, Vec<Bytes>) {
    beside(Beside::Met(Vec::new(), 0), || {
        let encoded = encode();
        let runs =
            BESIDE.with_borrow_mut(
                |beside| if let Beside::Met(runs, _) = beside { std::mem::take(runs) } else { Vec::new() },
            );
        (encoded, runs)
    })
}

/// Encodes or decodes with all runs as part of the encoding.
pub(crate) fn contained<T>(act: impl FnOnce() -> T) -> T {
    beside(Beside::Nothing, act)
}

/// Decodes with runs that stand apart.
pub(crate) fn given<T>(runs: Bytes, decode: impl FnOnce() -> T) -> T {
    beside(Beside::Given(runs), decode)
}

/// Acts with something kept beside, instead of what was there before.
fn beside<T>(now: Beside, act: impl FnOnce() -> T) -> T {
    let _after = Before(BESIDE.replace(now));
    act()
}

/// What was kept before, and will be again, whatever happens meanwhile.
struct Before(Beside);

impl Drop for Before {
    fn drop(&mut self) {
        BESIDE.replace(std::mem::replace(&mut self.0, Beside::Nothing));
    }
}

/// An encoding and its runs as they stand one behind the other.
pub(crate) fn joined(encoding: &[u8], runs: Vec<Bytes>) -> Vec<Bytes> {
    static ZEROS: [u8; ALIGNMENT] = [0; ALIGNMENT];
    let mut first = Vec::with_capacity((LENGTH + encoding.len()).next_multiple_of(ALIGNMENT));
    first.extend_from_slice(&(encoding.len() as u64).to_le_bytes());
    first.extend_from_slice(encoding);
    first.resize(first.len().next_multiple_of(ALIGNMENT), 0);
    let mut pieces = vec![first.into()];
    for run in runs {
        let gap = run.len().next_multiple_of(ALIGNMENT) - run.len();
        pieces.push(run);
        if gap > 0 {
            pieces.push(Bytes::from_static(&ZEROS[..gap]));
        }
    }
    pieces
}

/// The encoding of a value, and the runs behind it; none if the bytes are too short for what they say.
pub(crate) fn parted(value: &Bytes) -> Option<(&[u8], Bytes)> {
    let (length, _) = value.split_first_chunk::<LENGTH>()?;
    let end = usize::try_from(u64::from_le_bytes(*length)).ok()?.checked_add(LENGTH)?;
    let runs = end.checked_next_multiple_of(ALIGNMENT).filter(|runs| *runs <= value.len())?;
    Some((&value[LENGTH..end], value.slice(runs..)))
}
