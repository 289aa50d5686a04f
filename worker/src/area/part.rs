//! Files nobody looks at yet: written piece by piece, then sealed and given a name, or removed; it decides no name.
use super::folder::remove;
use super::format::{HEADER, header};
use super::spares::Spare;
use super::{Place, mapping};
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
    place: Place,
    /// Empty when it has a name of its own.
    path: PathBuf,
}

impl Part {
    pub(super) fn at(place: Place, path: PathBuf) -> Self {
        Self { place, path }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// A sealed copy on disk of a whole file, and how many bytes it has.
    pub(super) fn copy_of(file: &mut File, path: PathBuf) -> io::Result<(Self, u64)> {
        let part = Self::at(Place::Disk, path);
        let mut copy = OpenOptions::new().write(true).create_new(true).mode(OPEN).open(&part.path)?;
        allocate(&copy, file.metadata()?.len())?;
        // By the system itself, where it can.
        let size = io::copy(file, &mut copy)?;
        copy.set_permissions(Permissions::from_mode(SEALED))?;
        Ok((part, size))
    }

    /// Gives it the name under which others find it; what had that name before is gone.
    pub(super) fn rename(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.path.clear();
        Ok(())
    }

    /// The same file under a name others look at; dropping it removes it there.
    pub(super) fn renamed(self, path: PathBuf) -> io::Result<Self> {
        let place = self.place;
        self.rename(&path)?;
        Ok(Self::at(place, path))
    }

    /// Leaves the file where it is.
    pub(super) fn leave(mut self) {
        self.path.clear();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove(&self.path);
        }
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
    pub(super) fn create(place: Place, path: PathBuf, encoding: Encoding, size: u64) -> io::Result<Self> {
        let part = Part::at(place, path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(OPEN).open(&part.path)?;
        allocate(&file, size.saturating_add(HEADER as u64))?;
        file.write_all_at(&header(encoding, size), 0)?;
        Ok(Self { part, file, size })
    }

    /// Takes a spare for a payload of so many bytes, unless somebody still maps it.
    pub(super) fn reuse(Spare(part): Spare, encoding: Encoding, size: u64) -> io::Result<Self> {
        fs::set_permissions(&part.path, Permissions::from_mode(OPEN))?;
        let file = OpenOptions::new().read(true).write(true).open(&part.path)?;
        // Held until it is sealed: who has opened it under its old name finds it locked, or finds that name gone.
        file.try_lock()?;
        allocate(&file, size.saturating_add(HEADER as u64))?;
        file.write_all_at(&header(encoding, size), 0)?;
        Ok(Self { part, file, size })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.part.place
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

    /// Ends the writing: from now on the file is not changed as long as anybody holds or maps it.
    ///
    /// # Errors
    /// If the system does not protect it.
    pub(crate) fn seal(self) -> io::Result<Part> {
        self.file.set_permissions(Permissions::from_mode(SEALED))?;
        if self.part.place == Place::Memory {
            // For the mapping there may be. Not left to the end of the descriptor, which a child may have inherited.
            self.file.lock_shared()?;
        }
        Ok(self.part)
    }
}

/// Makes the file so long and takes the room for what it did not have, where the file system can do that ahead of
/// writing.
fn allocate(file: &File, length: u64) -> io::Result<()> {
    let has = file.metadata()?.len();
    if has >= length {
        return file.set_len(length);
    }
    let signed = |bytes: u64| i64::try_from(bytes).map_err(|_| io::Error::from(ErrorKind::FileTooLarge));
    match fallocate(file, FallocateFlags::empty(), signed(has)?, signed(length - has)?) {
        Err(nix::errno::Errno::EOPNOTSUPP) => file.set_len(length),
        allocated => Ok(allocated?),
    }
}
