//! The only file that asks the compiler for trust: it maps a sealed file of an area for reading and does nothing else.
#![allow(unsafe_code)]
use memmap2::{Mmap, MmapOptions};
use std::fs::File;
use std::io;

/// Maps a sealed file, read-only.
///
/// # Errors
/// If the system does not map it.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: a mapping is sound while nobody changes or shortens the file. Files of an area get their name when they
    // are whole; from then on they are read-only (0400), and no code of ours opens one for writing, ever. They are only
    // renamed and unlinked, which leaves a mapping as it is. The folder is private to the user (0700, checked when the
    // area is opened), so that nobody else gets at them.
    unsafe { MmapOptions::new().map(file) }
}
