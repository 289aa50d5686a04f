//! The only file that asks the compiler for trust: it maps a sealed file of an area for reading and does nothing else.
#![allow(unsafe_code)]
use memmap2::{Mmap, MmapOptions};
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
    // is left. The folder is private to the user (0700, checked when the area is opened): nobody else gets at the files.
    unsafe { MmapOptions::new().map(file) }
}
