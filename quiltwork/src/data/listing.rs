//! Which files a data set has: walks a folder in a fixed order and filters. It opens no file.
use super::error::DataError;
use super::partition::{FilePartition, pack};
use nix::unistd::{AccessFlags, access};
use std::ffi::OsStr;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// The files below `directory`, to be filtered and then listed.
pub fn files(directory: impl Into<PathBuf>) -> Files {
    Files { directory: directory.into(), extensions: None, sizes: 1..=u64::MAX, whole: false }
}

/// Which files below a folder belong to a data set; see [`files`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read before it is listed"]
pub struct Files {
    directory: PathBuf,
    extensions: Option<Vec<String>>,
    sizes: RangeInclusive<u64>,
    whole: bool,
}

impl Files {
    /// Only files whose names end with one of these, written without the dot; every file unless told otherwise.
    pub fn extensions<S: Into<String>>(mut self, extensions: impl IntoIterator<Item = S>) -> Self {
        self.extensions = Some(extensions.into_iter().map(Into::into).collect());
        self
    }

    /// Only files of this many bytes; every file that is not empty unless told otherwise.
    pub fn sizes(mut self, bytes: RangeInclusive<u64>) -> Self {
        self.sizes = bytes;
        self
    }

    /// Never cuts a file, for formats that are not made of lines.
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Walks the folder and everything below it, in the order of the names. Links are followed, but never in a circle.
    /// What cannot be looked at is skipped and told in [`Listing::skipped`].
    ///
    /// # Errors
    /// If the folder itself cannot be listed.
    pub fn list(&self) -> Result<Listing, DataError> {
        let unlistable = |reason| DataError::Directory { directory: self.directory.clone(), reason };
        // Absolute, because a worker may run elsewhere in the tree of folders.
        let directory = self.directory.canonicalize().map_err(unlistable)?;
        std::fs::read_dir(&directory).map_err(unlistable)?;
        let mut listing = Listing { whole: self.whole, ..Listing::default() };
        for entry in WalkDir::new(&directory).follow_links(true).sort_by_file_name() {
            match entry.map_err(Skipped::from).and_then(|entry| self.look_at(&entry)) {
                Ok(Some(file)) => listing.files.push(file),
                Ok(None) => {}
                Err(skipped) => listing.skipped.push(skipped),
            }
        }
        Ok(listing)
    }

    /// The file, if it is one and belongs to the data set.
    fn look_at(&self, entry: &DirEntry) -> Result<Option<ListedFile>, Skipped> {
        if !entry.file_type().is_file() || !self.extension_fits(entry.path()) {
            return Ok(None);
        }
        let bytes = entry.metadata().map(|metadata: Metadata| metadata.len())?;
        if !self.sizes.contains(&bytes) {
            return Ok(None);
        }
        let path = entry.path().to_owned();
        if path.to_str().is_none() {
            return Err(Skipped { path, reason: "its name is not UTF-8".to_owned() });
        }
        match access(&path, AccessFlags::R_OK) {
            Ok(()) => Ok(Some(ListedFile { path, bytes })),
            Err(error) => Err(Skipped { path, reason: error.desc().to_lowercase() }),
        }
    }

    fn extension_fits(&self, path: &Path) -> bool {
        let Some(wanted) = &self.extensions else { return true };
        path.extension().and_then(OsStr::to_str).is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
    }
}

/// The files of a data set.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    files: Vec<ListedFile>,
    skipped: Vec<Skipped>,
    whole: bool,
}

/// One file of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes when it was listed.
    pub bytes: u64,
}

impl Listing {
    /// The files, in the order of their paths' parts.
    #[must_use]
    pub fn files(&self) -> &[ListedFile] {
        &self.files
    }

    /// What could not be looked at, and why.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The size of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Cuts the files into at most `count` partitions of similar size (0 counts as 1), none of them empty.
    ///
    /// The files are laid end to end and cut into equal ranges, so neighbours stay together and the same files always
    /// give the same partitions. A file that is large compared with a partition is cut between two lines (unless
    /// [`Files::whole`] was said); a smaller one goes where most of it lies.
    #[must_use]
    pub fn partitions(&self, count: usize) -> Vec<FilePartition> {
        pack(&self.files, count, !self.whole)
    }
}

/// Something that could not be looked at while a folder was walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl From<walkdir::Error> for Skipped {
    fn from(error: walkdir::Error) -> Self {
        let path = error.path().unwrap_or(Path::new("")).to_owned();
        let reason = match error.loop_ancestor() {
            Some(ancestor) => format!("a link back to {}", ancestor.display()),
            None => {
                error.into_io_error().map_or_else(|| "cannot be looked at".to_owned(), |e: io::Error| e.to_string())
            }
        };
        Self { path, reason }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(folder: &TempDir, listing: &Listing) -> Vec<String> {
        let root = folder.path().canonicalize().unwrap();
        let name = |file: &ListedFile| file.path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        listing.files().iter().map(name).collect()
    }

    #[test]
    fn files_are_listed_in_the_order_of_their_names() {
        let folder = folder(&[("b.txt", "bb"), ("a/z.txt", "z"), ("a/b/c.txt", "ccc"), ("c.txt", "c")]);
        let listing = files(folder.path()).list().unwrap();
        assert_eq!(names(&folder, &listing), ["a/b/c.txt", "a/z.txt", "b.txt", "c.txt"]);
        assert_eq!(listing.bytes(), 7);
        assert!(listing.skipped().is_empty());
    }

    #[test]
    fn extensions_and_sizes_filter() {
        let folder = folder(&[("a.rs", "1"), ("b.txt", "22"), ("c.rs", "333"), ("rs", "4"), ("empty.rs", "")]);
        let rust = files(folder.path()).extensions(["rs"]);
        assert_eq!(names(&folder, &rust.list().unwrap()), ["a.rs", "c.rs"]);
        assert_eq!(names(&folder, &rust.sizes(2..=9).list().unwrap()), ["c.rs"]);
    }

    #[test]
    fn a_circle_of_links_is_skipped_and_told() {
        let folder = folder(&[("a/one.txt", "1")]);
        symlink(folder.path(), folder.path().join("a/up")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        let listing = files(folder.path()).list().unwrap();
        assert_eq!(names(&folder, &listing), ["a/one.txt"]);
        let reasons: Vec<_> = listing.skipped().iter().map(ToString::to_string).collect();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert!(reasons[0].contains("a/up: a link back to"), "{reasons:?}");
        assert!(reasons[1].contains("dangling"), "{reasons:?}");
    }

    #[test]
    fn a_name_that_cannot_travel_is_skipped_and_told() {
        let folder = folder(&[("a.txt", "1")]);
        fs::write(folder.path().join(OsStr::from_bytes(b"b\xff.txt")), "2").unwrap();
        let listing = files(folder.path()).list().unwrap();
        assert_eq!(names(&folder, &listing), ["a.txt"]);
        assert!(listing.skipped()[0].reason.contains("not UTF-8"));
    }

    #[test]
    fn what_is_no_folder_is_refused_by_name() {
        let folder = folder(&[("a.txt", "1")]);
        for path in [folder.path().join("nothing"), folder.path().join("a.txt")] {
            let error = files(&path).list().unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert!(error.to_string().contains("hint: "), "{error}");
        }
    }
}
