//! Files nobody looks at yet: written piece by piece, then sealed and given a name, or removed; it decides no name.
use super::folder::remove;
use super::format::{HEADER, header};
use super::kept::Mapping;
use super::own_mapping::OwnMapping;
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
use std::sync::{Arc, Mutex, PoisonError};

/// Permission bits of a sealed file.
pub(super) const SEALED: u32 = 0o400;
/// Permission bits of a file that is being written.
pub(super) const OPEN: u32 = 0o600;
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

    /// Its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
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
    target: Target,
    /// Bytes of the payload.
    size: u64,
}

/// What a draft is written into.
#[derive(Debug)]
enum Target {
    File(File),
    Mapping(Mutex<OwnMapping>),
}

/// A value that was written, and will not change.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) part: Part,
    written: Written,
    size: u64,
}

/// What a sealed value was written through.
#[derive(Debug)]
enum Written {
    File(File),
    Mapping(Arc<OwnMapping>),
}

impl Draft {
    /// A new file for a payload of so many bytes. Its room is taken here and now, so that no write finds none.
    pub(super) fn create(place: Place, path: PathBuf, encoding: Encoding, size: u64) -> io::Result<Self> {
        let part = Part::at(place, path);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(OPEN).open(&part.path)?;
        allocate(&file, size.saturating_add(HEADER as u64))?;
        file.write_all_at(&header(encoding, size), 0)?;
        // Not through a mapping: for that the system would have to fill its pages with zeros first.
        Ok(Self { part, target: Target::File(file), size })
    }

    /// Takes a spare for a payload of so many bytes, unless somebody still maps it.
    pub(super) fn reuse(Spare { part, mapping }: Spare, encoding: Encoding, size: u64) -> io::Result<Self> {
        let mut target = if let Some(mapping) = mapping {
            Target::Mapping(Mutex::new(mapping))
        } else {
            fs::set_permissions(&part.path, Permissions::from_mode(OPEN))?;
            Target::File(OpenOptions::new().read(true).write(true).open(&part.path)?)
        };
        let file = target.file();
        // Held until it is sealed: who has opened it under its old name finds it locked, or finds that name gone.
        file.try_lock()?;
        let is_taken = allocate(file, size.saturating_add(HEADER as u64))?;
        file.write_all_at(&header(encoding, size), 0)?;
        if let Target::Mapping(mapping) = &mut target {
            locked(mapping).cover(size)?;
        }
        let target = match target {
            Target::File(file) if is_taken => Target::of(file, size),
            target => target,
        };
        Ok(Self { part, target, size })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.part.place
    }

    /// Writes the slices one behind the other, from this place of the payload on. Several threads may do so at a time.
    ///
    /// # Errors
    /// If they are not within the payload or cannot be written.
    pub(crate) fn write_at(&self, offset: u64, slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if offset.checked_add(length as u64).is_none_or(|end| end > self.size) {
            let message = format!("{length} bytes at {offset} are not within a value of {} bytes", self.size);
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        match &self.target {
            Target::File(file) => write_all_at(file, offset, slices)?,
            Target::Mapping(mapping) => {
                mapping.lock().unwrap_or_else(PoisonError::into_inner).write_at(offset, slices);
            }
        }
        note_copy(length);
        Ok(())
    }

    /// Reads what was written to this place of the payload.
    ///
    /// # Errors
    /// If it is not within the payload or cannot be read.
    pub(crate) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let place = offset.saturating_add(HEADER as u64);
        match &self.target {
            Target::File(file) => file.read_exact_at(bytes, place),
            Target::Mapping(mapping) => {
                mapping.lock().unwrap_or_else(PoisonError::into_inner).file().read_exact_at(bytes, place)
            }
        }
    }

    /// Ends the writing, of which nothing must be missing: from now on the file is not changed as long as anybody holds or
    /// maps it.
    ///
    /// # Errors
    /// If the system does not protect it.
    pub(crate) fn seal(mut self) -> io::Result<Sealed> {
        let file = self.target.file();
        file.set_permissions(Permissions::from_mode(SEALED))?;
        if self.part.place == Place::Memory {
            // For the mapping there may be. Not left to the end of the descriptor, which a child may have inherited.
            file.lock_shared()?;
        }
        let written = match self.target {
            Target::File(file) => Written::File(file),
            Target::Mapping(mapping) => {
                Written::Mapping(Arc::new(mapping.into_inner().unwrap_or_else(PoisonError::into_inner)))
            }
        };
        Ok(Sealed { part: self.part, written, size: self.size })
    }
}

impl Sealed {
    /// The payload, mapped. Wanted before the file has a name, for then it may be gone at any time.
    ///
    /// # Errors
    /// If the system does not map it.
    pub(crate) fn bytes(&self) -> io::Result<Bytes> {
        match &self.written {
            Written::File(file) => Ok(Bytes::from_owner(mapping::map(file)?).slice(HEADER..)),
            Written::Mapping(mapping) => Ok(mapping.payload(self.size)),
        }
    }

    /// The file, and the mapping through which it was written.
    pub(crate) fn into_parts(self) -> (Part, Option<Arc<OwnMapping>>) {
        match self.written {
            Written::File(_) => (self.part, None),
            Written::Mapping(mapping) => (self.part, Some(mapping)),
        }
    }

    /// Whether the payload is mapped already.
    pub(crate) fn is_mapped(&self) -> bool {
        matches!(self.written, Written::Mapping(_))
    }
}

impl Target {
    fn of(file: File, size: u64) -> Self {
        match OwnMapping::of(file, size) {
            Ok(mapping) => Self::Mapping(Mutex::new(mapping)),
            Err(file) => Self::File(file),
        }
    }

    fn file(&mut self) -> &File {
        match self {
            Self::File(file) => file,
            Self::Mapping(mapping) => locked(mapping).file(),
        }
    }
}

/// Poison means nothing here: whoever does not write all seals nothing.
fn locked(mapping: &mut Mutex<OwnMapping>) -> &mut OwnMapping {
    mapping.get_mut().unwrap_or_else(PoisonError::into_inner)
}

fn write_all_at(file: &File, offset: u64, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    let mut place = i64::try_from(offset + HEADER as u64).expect("the system has made a file of this size");
    while !slices.is_empty() {
        let written = match pwritev(file, &slices[..slices.len().min(SLICES)], place) {
            Ok(0) if slices.iter().all(|slice| slice.is_empty()) => break,
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        place += i64::try_from(written).expect("no more than was asked for");
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}

/// Makes the file so long and takes the room for what it did not have, where the file system can do that ahead of
/// writing; says whether it could.
fn allocate(file: &File, length: u64) -> io::Result<bool> {
    let has = file.metadata()?.len();
    if has >= length {
        return file.set_len(length).map(|()| true);
    }
    let signed = |bytes: u64| i64::try_from(bytes).map_err(|_| io::Error::from(ErrorKind::FileTooLarge));
    match fallocate(file, FallocateFlags::empty(), signed(has)?, signed(length - has)?) {
        Err(nix::errno::Errno::EOPNOTSUPP) => file.set_len(length).map(|()| false),
        allocated => Ok(allocated.map(|()| true)?),
    }
}
