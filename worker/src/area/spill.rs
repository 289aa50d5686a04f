//! From memory to disk: one value of an area moves, with all links to it. Readers look in memory first and then on disk,
//! so they find it at any moment; which value it should be is not decided here.
use super::Area;
use super::folder::{Folder, remove};
use super::part::Part;
use super::spares::discard;
use crate::copies::note_copy;
use quiltwork_types::{ValueId, WorkerId};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

impl Area {
    /// Copies to disk what `holder` holds in memory; none if it holds nothing there, or there is no disk.
    ///
    /// # Errors
    /// If there is no room or it cannot be written.
    pub(crate) fn copy_to_disk(&self, value: ValueId, holder: WorkerId) -> io::Result<Option<Part>> {
        let Some(disk) = &self.disk else { return Ok(None) };
        let Some(mut file) = self.memory.open_locked(value, holder)? else { return Ok(None) };
        let (part, size) = Part::copy_of(&mut file, disk.unnamed(value, holder))?;
        note_copy(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(Some(part))
    }

    /// Lets a copy on disk take the place of what `holder` holds in memory, and of every link to that: the memory is
    /// free when nobody reads it any more.
    ///
    /// # Errors
    /// If the copy cannot be given its name; then all is as before.
    pub(crate) fn move_to_disk(&self, copy: Part, value: ValueId, holder: WorkerId) -> io::Result<()> {
        let disk = self.disk.as_ref().expect("a copy was made there");
        let copied = disk.file(value, holder);
        copy.rename(&copied)?;
        if let Some(metadata) = self.memory.metadata(value, holder) {
            let Some(left) = self.take_name(value, holder) else { return Ok(()) };
            if metadata.nlink() > 1 {
                move_links(&self.memory, disk, value, metadata.ino(), &copied);
            }
            discard(&left);
        }
        Ok(())
    }
}

/// Moves what others hold of the file with this inode.
fn move_links(memory: &Folder, disk: &Folder, value: ValueId, inode: u64, copied: &Path) {
    for link in memory.files_of(value) {
        if fs::symlink_metadata(&link).ok().is_none_or(|metadata| metadata.ino() != inode) {
            continue;
        }
        let moved = disk.path().join(link.file_name().expect("it is a file of a folder"));
        match fs::hard_link(copied, &moved) {
            Ok(()) => {
                // Its holder may have dropped it in this moment, and did not see it on disk yet.
                if !remove(&link) {
                    remove(&moved);
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => tracing::debug!(link = %link.display(), %error, "a spilled value stays in memory as well"),
        }
    }
}
