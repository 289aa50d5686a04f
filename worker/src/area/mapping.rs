//! The only file that asks the compiler for trust: it maps the files of an area, sealed ones for reading and others for
//! writing, and does nothing else.
#![allow(unsafe_code)]
use memmap2::{Mmap, MmapMut, MmapOptions};
use std::fs::File;
use std::io;

/// Maps a file that is sealed, or complete and about to be: its lock is shared, or will be before it has a name.
///
/// # Errors
/// If the system does not map it.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: a mapping is sound while nobody changes or shortens the file. Files of an area get their name when they
    // are whole; then they are read-only (0400), renamed and unlinked, which leaves a mapping as it is. Only a file that
    // has lost its name is written again, by one who has locked it exclusively. The lock of who maps it is shared; it
    // belongs to the open file (flock), which the mapping keeps open, so that no exclusive one is given while a mapping
    // is read. One that is kept unlocked is not read until its file is locked again and found under the name of a whole
    // value that the mapping covers. The folder is private to the user (0700, checked when the area is opened): nobody else gets at the files.
    unsafe { MmapOptions::new().map(file) }
}

/// Maps a file that is going to be written, and all its pages at once.
///
/// # Errors
/// If the system does not map it.
pub(super) fn map_for_writing(file: &File) -> io::Result<MmapMut> {
    // SAFETY: as above. The file has no name others look at, and is new or locked exclusively, as long as anything is
    // written through this mapping. Then it is sealed, and the mapping only read, like any other; its lock is shared. When
    // the value is gone, the lock is given back and the mapping neither read nor written, until the file is locked
    // exclusively again. Its room was taken, so that no page of it is missing; it is shortened only by one who has
    // locked it exclusively, and what is behind its new end is not touched.
    unsafe { MmapOptions::new().populate().map_mut(file) }
}
