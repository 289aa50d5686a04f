//! Files as records: lines, JSON lines and CSV rows of the files a partition names. It changes no record.
use super::error::DataError;
use super::flow::{Flow, Halt, Sink};
use super::partition::{FilePartition, FileSlice};
use super::partitioned::Partitioned;
use super::piece::BATCH;
use super::read::lines_of;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::Path;

/// What [`Listing::partitions`](super::Listing::partitions) gives, as the records of a pipeline.
impl Partitioned<FilePartition> {
    /// The lines of the files, without their ends. Bytes that are not UTF-8 become `U+FFFD`.
    pub fn lines(self) -> Partitioned<String> {
        self.read("lines", |slice, sink| slice.try_for_each_chunk(|chunk| sink(lines_of(chunk).map(text).collect())))
    }

    /// Every line that is not blank, read as JSON.
    pub fn json_lines<T: DeserializeOwned + 'static>(self) -> Partitioned<T> {
        self.read("json_lines", |slice, sink| {
            slice.try_for_each_chunk(|chunk| {
                let lines = lines_of(chunk).filter(|line| !line.trim_ascii().is_empty());
                let records = lines.map(|line| {
                    serde_json::from_slice(line).map_err(|error| {
                        let start: String = text(line).chars().take(80).collect();
                        unreadable(slice.path(), format!("{error}, in the line `{start}`"))
                    })
                });
                sink(records.collect::<Result<_, _>>()?)
            })
        })
    }

    /// The rows of CSV files whose first row names the columns, in every file. A field may hold line ends only if its
    /// file is not cut: list such files as [`whole`](super::Files::whole).
    pub fn csv<T: DeserializeOwned + 'static>(self) -> Partitioned<T> {
        self.read("csv", read_csv)
    }

    /// What the slices of the files are read as.
    pub(super) fn read<T: 'static>(
        self,
        step: &'static str,
        read: impl Fn(&FileSlice, &mut Sink<'_, T>) -> Result<(), Halt> + Send + Sync + 'static,
    ) -> Partitioned<T> {
        self.fused(step, |upstream| {
            Flow::new(move |inputs, sink| {
                upstream.run(inputs, &mut |partitions| {
                    partitions.iter().flat_map(FilePartition::slices).try_for_each(|slice| read(slice, sink))
                })
            })
        })
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

fn read_csv<T: DeserializeOwned>(slice: &FileSlice, sink: &mut Sink<'_, T>) -> Result<(), Halt> {
    let path = slice.path();
    let wrong = |error: csv::Error| unreadable(path, error.to_string());
    let file = File::open(path).map_err(DataError::read(path))?;
    let headers = csv::Reader::from_reader(file).headers().map_err(wrong)?.clone();
    let rows = slice.reader().map_err(DataError::read(path))?;
    let has_headers = slice.range().start == 0;
    let mut rows = csv::ReaderBuilder::new().has_headers(has_headers).from_reader(rows);
    let mut row = csv::StringRecord::new();
    let mut batch = Vec::new();
    while rows.read_record(&mut row).map_err(wrong)? {
        batch.push(row.deserialize(Some(&headers)).map_err(wrong)?);
        if batch.len() == BATCH {
            sink(std::mem::take(&mut batch))?;
        }
    }
    sink(batch)
}

fn unreadable(path: &Path, reason: String) -> DataError {
    DataError::Record { path: path.to_owned(), reason }
}
