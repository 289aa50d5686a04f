//! How a task reads its partition: whole lines in bounded chunks. It knows nothing of how partitions were made.
use super::error::DataError;
use super::partition::{FilePartition, FileSlice};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Take};

/// How much is read before it is handed on, give or take the rest of a line: large enough that calls cost nothing,
/// small enough for the processor's cache.
const CHUNK: u64 = 1 << 20;

/// The longest line that is read.
const LINE_LIMIT: u64 = 64 << 20;

/// Where a file shows whether it is text.
const HEAD: u64 = 1024;

impl FilePartition {
    /// Hands on all lines of the partition in chunks of about a mebibyte; see [`FileSlice::for_each_chunk`].
    ///
    /// # Errors
    /// If a file cannot be read, or has an endless line.
    pub fn for_each_chunk(&self, mut use_chunk: impl FnMut(&[u8])) -> Result<(), DataError> {
        self.slices().iter().try_for_each(|slice| slice.for_each_chunk(&mut use_chunk))
    }

    /// Hands on all lines of the partition, each without its end (`\n` or `\r\n`).
    ///
    /// # Errors
    /// If a file cannot be read, or has an endless line.
    pub fn for_each_line(&self, mut use_line: impl FnMut(&[u8])) -> Result<(), DataError> {
        self.for_each_chunk(|chunk| lines_of(chunk).for_each(&mut use_line))
    }
}

/// The lines of a chunk, each without its end (`\n` or `\r\n`).
pub(super) fn lines_of(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    chunk.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    })
}

impl FileSlice {
    /// Whether the file looks like text: there is no NUL byte in its first KiB.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn is_text(&self) -> Result<bool, DataError> {
        let mut head = Vec::new();
        let file = File::open(self.path()).map_err(DataError::read(self.path()))?;
        file.take(HEAD).read_to_end(&mut head).map_err(DataError::read(self.path()))?;
        Ok(!head.contains(&0))
    }

    /// Hands on all lines that begin within the slice, in chunks of about a mebibyte. A chunk ends where a line ends,
    /// so together the slices of a file give each of its lines exactly once and whole.
    ///
    /// # Errors
    /// If the file cannot be read, or has an endless line.
    pub fn for_each_chunk(&self, mut use_chunk: impl FnMut(&[u8])) -> Result<(), DataError> {
        self.try_for_each_chunk(|chunk| {
            use_chunk(chunk);
            Ok(())
        })
    }

    /// Like [`for_each_chunk`](Self::for_each_chunk), but ends with the first `Err`.
    ///
    /// # Errors
    /// If the file cannot be read, or has an endless line, or with that of `use_chunk`.
    pub fn try_for_each_chunk<E: From<DataError>>(
        &self,
        mut use_chunk: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let unreadable = || DataError::read(self.path());
        let (mut reader, mut at) = self.open().map_err(unreadable())?;
        let mut chunk = Vec::new();
        while at < self.range().end {
            chunk.clear();
            let wanted = CHUNK.min(self.range().end - at);
            reader.by_ref().take(wanted).read_to_end(&mut chunk).map_err(unreadable())?;
            if chunk.is_empty() {
                break; // the file is shorter than when it was listed
            }
            if !chunk.ends_with(b"\n") {
                let rest = reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut chunk).map_err(unreadable())?;
                if rest as u64 == LINE_LIMIT {
                    return Err(DataError::LongLine { path: self.path().to_owned(), limit: LINE_LIMIT }.into());
                }
            }
            at += chunk.len() as u64;
            use_chunk(&chunk)?;
        }
        Ok(())
    }

    /// Reads exactly the lines that begin within the slice.
    pub(super) fn reader(&self) -> io::Result<Take<BufReader<File>>> {
        let (reader, start) = self.open()?;
        let (_, end) = self.rest().open()?;
        Ok(reader.take(end.saturating_sub(start)))
    }

    /// A reader that stands at the first line that begins within the slice, and where that is.
    fn open(&self) -> io::Result<(BufReader<File>, u64)> {
        let mut reader = BufReader::new(File::open(self.path())?);
        let Some(before) = self.range().start.checked_sub(1) else { return Ok((reader, 0)) };
        reader.seek(SeekFrom::Start(before))?;
        // If the byte before the slice ends a line, only that byte is skipped.
        let skipped = reader.skip_until(b'\n')?;
        Ok((reader, before + skipped as u64))
    }
}

#[cfg(test)]
mod tests {
    use crate::data::{FilePartition, files};
    use std::fs;
    use tempfile::TempDir;

    fn folder(files: &[(&str, &[u8])]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn lines(partitions: &[FilePartition]) -> Vec<String> {
        let mut lines = Vec::new();
        for partition in partitions {
            partition.for_each_line(|line| lines.push(String::from_utf8(line.to_vec()).unwrap())).unwrap();
        }
        lines
    }

    #[test]
    fn every_line_is_read_once_and_whole_however_a_file_is_cut() {
        let expected: Vec<String> = (0..500_usize).map(|n| format!("{n}:{}", "x".repeat(n * 37 % 101))).collect();
        let unended = expected.join("\n");
        let ended = unended.clone() + "\n";
        for text in [unended, ended] {
            let folder = folder(&[("a.txt", text.as_bytes())]);
            for count in [1, 2, 3, 7, 50, 499, 1000, 20_000] {
                let partitions = files(folder.path()).list().unwrap().partitions(count);
                assert_eq!(lines(&partitions), expected, "in {count} partitions");
            }
        }
    }

    #[test]
    fn a_line_longer_than_a_chunk_is_read_whole() {
        let long = "y".repeat(3 << 20);
        let text = format!("first\n{long}\nlast\n");
        let folder = folder(&[("a.txt", text.as_bytes())]);
        for count in [1, 4] {
            let partitions = files(folder.path()).list().unwrap().partitions(count);
            assert!(lines(&partitions) == ["first", long.as_str(), "last"], "in {count} partitions");
        }
    }

    #[test]
    fn chunks_are_whole_lines_of_bounded_size() {
        let text = "a line of text\n".repeat(300_000);
        let folder = folder(&[("a.txt", text.as_bytes())]);
        let [partition] = &files(folder.path()).list().unwrap().partitions(1)[..] else { panic!("one partition") };
        let mut read = Vec::new();
        let read_chunk = |chunk: &[u8]| {
            assert!(chunk.ends_with(b"\n") && chunk.len() < (1 << 20) + 15);
            read.extend_from_slice(chunk);
        };
        partition.for_each_chunk(read_chunk).unwrap();
        assert!(read == text.as_bytes());
    }

    #[test]
    fn empty_lines_and_both_line_ends_are_kept_apart() {
        let folder = folder(&[("a.txt", b"one\r\n\n\r\ntwo"), ("b.txt", b"three\n")]);
        let partitions = files(folder.path()).list().unwrap().partitions(1);
        assert_eq!(lines(&partitions), ["one", "", "", "two", "three"]);
    }

    #[test]
    fn binary_files_are_told_from_text() {
        let late = [&[b'a'; 2000][..], &[0]].concat();
        let folder = folder(&[("a.bin", b"ELF\0"), ("b.txt", b"text"), ("c.txt", &late)]);
        let partitions = files(folder.path()).whole().list().unwrap().partitions(1);
        let text: Vec<bool> = partitions[0].slices().iter().map(|slice| slice.is_text().unwrap()).collect();
        assert_eq!(text, [false, true, true]);
    }

    #[test]
    fn a_file_that_is_gone_is_named_and_one_that_shrank_is_read_to_its_end() {
        let folder = folder(&[("a.txt", b"one\ntwo\nthree\n")]);
        let partitions = files(folder.path()).list().unwrap().partitions(1);
        fs::write(folder.path().join("a.txt"), "one\n").unwrap();
        assert_eq!(lines(&partitions), ["one"]);
        fs::remove_file(folder.path().join("a.txt")).unwrap();
        let error = partitions[0].for_each_line(|_| ()).unwrap_err();
        assert!(error.to_string().contains("a.txt"), "{error}");
        assert!(!error.is_retryable());
    }
}
