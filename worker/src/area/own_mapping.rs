//! A file in memory as the process that writes it maps it: once, for all values that are written into it one after the
//! other. Mapping a large file costs several times what it takes to copy bytes into it.
use super::format::HEADER;
use super::kept::{self, Mapping};
use super::mapping;
use bytes::Bytes;
use memmap2::MmapMut;
use std::fs::File;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most files a process keeps open for this.
const MOST: usize = 256;

/// How many there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An open file and its mapping. While it is written nobody else has it; while it is read nobody writes.
#[derive(Debug)]
pub(crate) struct OwnMapping {
    file: File,
    map: MmapMut,
    _place: PlaceAmong,
}

impl OwnMapping {
    /// Maps a file that has room for such a payload, if that is worth it; otherwise, or if the system has no mapping to give,
    /// the file comes back.
    pub(super) fn of(file: File, size: u64) -> Result<Self, File> {
        if size < kept::SMALLEST {
            return Err(file);
        }
        let Some(place) = PlaceAmong::take() else { return Err(file) };
        match mapping::map_for_writing(&file) {
            Ok(map) => Ok(Self { file, map, _place: place }),
            Err(_) => Err(file),
        }
    }

    /// Maps the file anew if it has grown beyond the mapping.
    pub(super) fn cover(&mut self, size: u64) -> io::Result<()> {
        if (self.map.len() as u64) < size.saturating_add(HEADER as u64) {
            self.map = mapping::map_for_writing(&self.file)?;
        }
        Ok(())
    }

    /// Writes the slices one behind the other, from this place of the payload on, which must be within it.
    pub(super) fn write_at(&mut self, offset: u64, slices: &[IoSlice<'_>]) {
        let mut place = HEADER + usize::try_from(offset).expect("it is within the mapping");
        for slice in slices {
            self.map[place..place + slice.len()].copy_from_slice(slice);
            place += slice.len();
        }
    }

    /// The payload of so many bytes, from now on only read.
    pub(super) fn payload(self: &Arc<Self>, size: u64) -> Bytes {
        let size = usize::try_from(size).expect("it is within the mapping");
        Bytes::from_owner(Payload { own: Arc::clone(self), range: HEADER..HEADER + size })
    }
}

impl Mapping for OwnMapping {
    fn file(&self) -> &File {
        &self.file
    }
}

/// What is read through a mapping.
struct Payload {
    own: Arc<OwnMapping>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.own.map[self.range.clone()]
    }
}

/// One of the files that may be open.
#[derive(Debug)]
struct PlaceAmong;

impl PlaceAmong {
    fn take() -> Option<Self> {
        let one_more = |count: usize| Some(count + 1).filter(|count| *count <= MOST);
        COUNT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self)
    }
}

impl Drop for PlaceAmong {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}
