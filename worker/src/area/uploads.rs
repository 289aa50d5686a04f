//! What clients write into the area of their node, until a worker there makes it its own; who is asked to is decided
//! elsewhere.
//!
//! ```text
//! <job>-<task>-<output>.c<job>     a sealed value that no worker holds yet
//! .c<job>.<process>.<n>~           being written
//! ```
use super::folder::{self, remove, stem, unless_missing};
use super::format::HEADER;
use super::part::{Draft, Part};
use super::{Area, Place};
use bytes::Bytes;
use quiltwork_types::{Encoding, JobId, ValueId, WorkerId};
use std::fs;
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A value in an area that its client has written; dropping it removes it, unless it is left to the workers.
#[derive(Debug)]
pub struct Upload {
    area: Area,
    part: Part,
}

impl Area {
    /// Writes a value of a client's job, whole and sealed, but under no name yet: in memory, or on disk if the machine
    /// has no memory left.
    ///
    /// # Errors
    /// If there is no room or it cannot be written.
    pub fn write_upload(&self, job: JobId, encoding: Encoding, pieces: &[Bytes]) -> io::Result<Upload> {
        static UPLOADS: AtomicU64 = AtomicU64::new(0);
        let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{}.{number}~", suffix(job), std::process::id());
        let written = self.write_in(Place::Memory, &name, encoding, pieces);
        let part = match written {
            Err(error) if error.kind() == ErrorKind::StorageFull && self.disk.is_some() => {
                self.write_in(Place::Disk, &name, encoding, pieces)?
            }
            written => written?,
        };
        Ok(Upload { area: self.clone(), part })
    }

    fn write_in(&self, place: Place, name: &str, encoding: Encoding, pieces: &[Bytes]) -> io::Result<Part> {
        let path = self.at(place).expect("looked for by the caller").path().join(name);
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        let spare = if place == Place::Memory { self.take_spare_as(path.clone(), size) } else { None };
        let draft = match spare.map(|spare| Draft::reuse(spare, encoding, size)) {
            Some(Ok(draft)) => draft,
            Some(Err(_)) | None => Draft::create(place, path, encoding, size)?,
        };
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        draft.write_at(0, &mut slices)?;
        let (part, mapping) = draft.seal()?.into_parts();
        if let Some(mapping) = mapping.and_then(Arc::into_inner) {
            self.keep_mapping(mapping);
        }
        Ok(part)
    }

    /// Gives `adopter` a value that is under the name of its client or of one of `formerly`. Says where it is; none if
    /// it is nowhere.
    ///
    /// # Errors
    /// If it has another size, or the system does not rename it.
    pub(crate) fn adopt(
        &self,
        value: ValueId,
        size: u64,
        formerly: &[WorkerId],
        adopter: WorkerId,
    ) -> io::Result<Option<Place>> {
        for (place, folder) in self.folders() {
            for path in names_of_orphan(folder.path(), value, formerly) {
                let Some(metadata) = unless_missing(fs::metadata(&path))? else { continue };
                if metadata.len() != size + HEADER as u64 {
                    let message = format!("its file has {} bytes, of {size} and a header", metadata.len());
                    return Err(io::Error::new(ErrorKind::InvalidData, message));
                }
                if unless_missing(fs::rename(&path, folder.file(value, adopter)))?.is_some() {
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
    }

    /// Removes a value nobody is going to adopt.
    pub(crate) fn remove_orphan(&self, value: ValueId, formerly: &[WorkerId]) {
        for (_, folder) in self.folders() {
            for path in names_of_orphan(folder.path(), value, formerly) {
                remove(&path);
            }
        }
    }

    /// Removes everything the client of a job has written, also what it was still writing.
    pub(crate) fn remove_uploads(&self, job: JobId) {
        let (whole, part) = (suffix(job), format!("{}.", suffix(job)));
        for (_, folder) in self.folders() {
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let name = file.file_name();
                let name = name.to_string_lossy();
                if name.ends_with(&whole) || name.starts_with(&part) {
                    remove(&file.path());
                }
            }
        }
    }
}

impl Upload {
    /// Gives it the name under which workers find it. It is still removed when it is dropped.
    ///
    /// # Errors
    /// If the system does not; then it is gone.
    pub fn seal(self, value: ValueId) -> io::Result<Self> {
        let Self { area, part } = self;
        let folder = area.at(part.place()).expect("the part is there").path();
        let part = part.renamed(folder.join(name(value)))?;
        Ok(Self { area, part })
    }

    /// The master was told of it: a worker makes it its own, or removes it.
    pub fn leave_to_workers(self) {
        self.part.leave();
    }
}

fn names_of_orphan(place: &Path, value: ValueId, formerly: &[WorkerId]) -> impl Iterator<Item = PathBuf> {
    let workers = formerly.iter().map(move |worker| folder::name(value, *worker));
    std::iter::once(name(value)).chain(workers).map(|name| place.join(name))
}

fn suffix(job: JobId) -> String {
    format!(".c{}", job.0)
}

fn name(value: ValueId) -> String {
    format!("{}{}", stem(value), suffix(value.task.job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::TaskId;
    use std::os::unix::fs::MetadataExt;

    const JOB: JobId = JobId(1);
    const OTHER: JobId = JobId(11);
    const WORKER: WorkerId = WorkerId(1);

    fn area() -> (tempfile::TempDir, Area) {
        let folder = tempfile::tempdir().unwrap();
        let area = Area::create(&folder.path().join("area"), Some(&folder.path().join("disk"))).unwrap();
        (folder, area)
    }

    fn value(job: JobId) -> ValueId {
        ValueId::of(TaskId { job, index: 5 })
    }

    fn put(area: &Area, job: JobId) {
        area.write_upload(job, Encoding::Raw, &[Bytes::from_static(b"four")])
            .unwrap()
            .seal(value(job))
            .unwrap()
            .leave_to_workers();
    }

    fn files(area: &Area) -> usize {
        // Two are the folder for spares and the link to the other folder.
        fs::read_dir(area.folder()).unwrap().count() - 2
    }

    #[test]
    fn what_a_client_has_written_is_nobodys_until_a_worker_adopts_it() {
        let (_folder, area) = area();
        put(&area, JOB);
        assert!(area.map(value(JOB), WORKER).unwrap().is_none());
        assert_eq!(area.adopt(value(JOB), 4, &[], WORKER).unwrap(), Some(Place::Memory));
        assert_eq!(area.map(value(JOB), WORKER).unwrap().unwrap().1, "four");
        assert_eq!(area.adopt(value(JOB), 4, &[], WORKER).unwrap(), None, "it is not there any more");
        assert_eq!(files(&area), 1);
    }

    #[test]
    fn what_a_worker_had_adopted_that_is_gone_is_found_under_its_name() {
        let (_folder, area) = area();
        put(&area, JOB);
        assert_eq!(area.adopt(value(JOB), 4, &[], WORKER).unwrap(), Some(Place::Memory));
        assert!(area.adopt(value(JOB), 4, &[WorkerId(9), WORKER], WorkerId(2)).unwrap().is_some());
        assert!(area.map(value(JOB), WorkerId(2)).unwrap().is_some());
        assert_eq!(files(&area), 1);
    }

    #[test]
    fn what_was_written_to_disk_is_adopted_there() {
        let (_folder, area) = area();
        let part = area.write_in(Place::Disk, "part~", Encoding::Raw, &[Bytes::from_static(b"four")]).unwrap();
        Upload { area: area.clone(), part }.seal(value(JOB)).unwrap().leave_to_workers();
        assert_eq!(area.adopt(value(JOB), 4, &[], WORKER).unwrap(), Some(Place::Disk));
        assert_eq!(area.map(value(JOB), WORKER).unwrap().unwrap().1, "four");
    }

    #[test]
    fn a_file_of_another_size_than_announced_is_not_adopted() {
        let (_folder, area) = area();
        put(&area, JOB);
        let error = area.adopt(value(JOB), 5, &[], WORKER).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        area.remove_orphan(value(JOB), &[]);
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn an_upload_that_the_master_is_not_told_of_leaves_nothing() {
        let (_folder, area) = area();
        drop(area.write_upload(JOB, Encoding::Raw, &[Bytes::from_static(b"x")]).unwrap());
        drop(area.write_upload(JOB, Encoding::Raw, &[Bytes::from_static(b"x")]).unwrap().seal(value(JOB)).unwrap());
        assert_eq!(files(&area), 0);
    }

    #[test]
    fn what_is_uploaded_after_a_value_is_gone_is_written_through_its_mapping() {
        const SIZE: usize = 1 << 20;
        let (_folder, workers) = area();
        let client = Area::open(workers.folder()).unwrap();
        let mut inodes = Vec::new();
        for byte in 0..4 {
            let upload = client.write_upload(JOB, Encoding::Raw, &[Bytes::from(vec![byte; SIZE])]).unwrap();
            upload.seal(value(JOB)).unwrap().leave_to_workers();
            workers.adopt(value(JOB), SIZE as u64, &[], WORKER).unwrap().expect("it was written");
            inodes.push(workers.memory.metadata(value(JOB), WORKER).unwrap().ino());
            let (_, bytes) = workers.map(value(JOB), WORKER).unwrap().expect("it was adopted");
            assert!(bytes == vec![byte; SIZE], "what was written by upload {byte}");
            // The first one has no mapping yet.
            assert_eq!(client.written.has(inodes[0]), byte > 0);
            drop(bytes);
            workers.set_aside(value(JOB), WORKER).expect("nobody else holds it");
        }
        assert!(inodes.iter().all(|inode| *inode == inodes[0]), "{inodes:?}");
    }

    #[test]
    fn of_a_client_that_is_gone_everything_is_removed_and_nothing_of_others() {
        let (_folder, area) = area();
        put(&area, JOB);
        put(&area, OTHER);
        std::mem::forget(
            area.write_upload(JOB, Encoding::Raw, &[Bytes::from_static(b"cut "), Bytes::from_static(b"off")]).unwrap(),
        );
        area.remove_uploads(JOB);
        assert_eq!(files(&area), 1);
        assert!(area.adopt(value(OTHER), 4, &[], WORKER).unwrap().is_some());
    }
}
