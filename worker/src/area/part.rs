//! Files nobody looks at yet: written piece by piece, then sealed and given a name, or removed; it decides no name.
use super::format::{HEADER, header};
use super::{mapping, remove};
use crate::copies::note_copy;
use bytes::Bytes;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::pwritev;
use quiltwork_types::Encoding;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, IoSlice};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Permission bits of a sealed file.
pub(super) const SEALED: u32 = 0o400;
/// Permission bits of a file that is being written.
const OPEN: u32 = 0o600;
/// The most slices the system takes at once.
const SLICES: usize = 1024;

/// A file under a name nobody looks at; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
}

impl Part {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Gives it the name under which others find it; what had that name before is gone.
    pub(super) fn rename(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// A value that is being written. Dropping it leaves nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    part: Part,
    file: File,
    /// Bytes of the payload.
    size: u64,
}

impl Draft {
    /// A new file for a payload of so many bytes. Its room is taken here and now, so that no write finds none.
    pub(super) fn create(path: PathBuf, encoding: Encoding, size: u64) -> io::Result<Self> {
        let part = Part::at(path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(OPEN).open(&part.path)?;
        allocate(&file, size.saturating_add(HEADER as u64))?;
        file.write_all_at(&header(encoding, size), 0)?;
        Ok(Self { part, file, size })
    }

    /// Writes the slices one behind the other, from this place of the payload on. Several threads may do so at a time.
    ///
    /// # Errors
    /// If they are not within the payload or cannot be written.
    pub(crate) fn write_at(&self, offset: u64, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size) {
            let message = format!("{length} bytes at {offset} are not within a value of {} bytes", self.size);
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let mut place = i64::try_from(offset + HEADER as u64).expect("the system has made a file of this size");
        while !slices.is_empty() {
            let written = match pwritev(&self.file, &slices[..slices.len().min(SLICES)], place) {
                Ok(0) if slices.iter().all(|slice| slice.is_empty()) => break,
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            place += i64::try_from(written).expect("no more than was asked for");
            IoSlice::advance_slices(&mut slices, written);
        }
        note_copy(length);
        Ok(())
    }

    /// Maps the payload, which must have been written in full.
    ///
    /// # Errors
    /// If the system does not map it.
    pub(crate) fn map(&self) -> io::Result<Bytes> {
        Ok(Bytes::from_owner(mapping::map(&self.file)?).slice(HEADER..))
    }

    /// Ends the writing: from now on the file is never changed.
    ///
    /// # Errors
    /// If the system does not protect it.
    pub(crate) fn seal(self) -> io::Result<Part> {
        self.file.set_permissions(Permissions::from_mode(SEALED))?;
        Ok(self.part)
    }
}

/// Makes the file so long and takes the room for it, where the file system can do that ahead of writing.
fn allocate(file: &File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    let length = i64::try_from(length).expect("the system has made a file of this length");
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) | Err(nix::errno::Errno::EOPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
