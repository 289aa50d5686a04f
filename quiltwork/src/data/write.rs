//! Records as files: each partition becomes one file, which appears whole or not at all. It reads nothing back.
use super::error::DataError;
use super::flow::{Flow, Inputs};
use super::partitioned::Partitioned;
use super::piece::PieceWriter;
use super::plan::Width;
use super::single::Single;
use serde::Serialize;
use std::fmt::Display;
use std::fs::{self, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// How the name of a file begins that is being written; one that is left was torn by the end of a worker.
const PARTIAL: &str = ".partial-part-";

/// Writes batches of records to a file.
type Format<T> = for<'f> fn(&'f mut dyn Write) -> Box<dyn FnMut(Vec<T>) -> io::Result<()> + 'f>;

/// Each of these writes one file for each partition into a folder, `part-00000.txt` and so on, and comes to their
/// paths. Whoever reads the folder meanwhile sees whole files only; a partition that is written again, because its
/// worker died, replaces its file. The folder is made if it is not there; parts of another data set in it are refused.
impl<T: 'static> Partitioned<T> {
    /// A line for each record, as it displays.
    pub fn write_text(self, folder: impl Into<PathBuf>) -> Single<Vec<PathBuf>>
    where
        T: Display,
    {
        self.written("write_text", folder.into(), "txt", |file| {
            Box::new(|batch| batch.iter().try_for_each(|record| writeln!(file, "{record}")))
        })
    }

    /// A line of JSON for each record.
    pub fn write_json_lines(self, folder: impl Into<PathBuf>) -> Single<Vec<PathBuf>>
    where
        T: Serialize,
    {
        self.written("write_json_lines", folder.into(), "jsonl", |file| {
            Box::new(|batch| {
                batch.iter().try_for_each(|record| {
                    serde_json::to_writer(&mut *file, record)?;
                    file.write_all(b"\n")
                })
            })
        })
    }

    /// A row for each record, below a row with the names of its fields. Partitions without records are empty files.
    pub fn write_csv(self, folder: impl Into<PathBuf>) -> Single<Vec<PathBuf>>
    where
        T: Serialize,
    {
        self.written("write_csv", folder.into(), "csv", |file| {
            let mut rows = csv::Writer::from_writer(file);
            Box::new(move |batch| {
                batch.iter().try_for_each(|record| rows.serialize(record)).map_err(io::Error::from)?;
                rows.flush()
            })
        })
    }

    pub(super) fn written(
        self,
        step: &'static str,
        folder: PathBuf,
        extension: &'static str,
        format: Format<T>,
    ) -> Single<Vec<PathBuf>> {
        let draft = self.draft.clone();
        let place = folder.clone();
        let stage = self.into_stage::<PathBuf>(step, Width::none(), move |flow, inputs| {
            let path = place.join(format!("part-{:05}.{extension}", inputs.partition));
            write_part(&path, flow, inputs, format)?;
            PieceWriter::note(&path)
        });
        Single::of_all(draft, stage, "tidy", move |inputs| {
            let parts = inputs.feed(0).iter().map(|piece| piece.note::<PathBuf>(0));
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            tidy(&folder, &parts)?;
            Ok(parts)
        })
    }
}

/// Writes beside the file and then takes its place. Two attempts at once write two files beside it; both are the same.
fn write_part<T: 'static>(path: &Path, flow: &Flow<T>, inputs: &Inputs, format: Format<T>) -> Result<(), DataError> {
    let folder = path.parent().expect("a part lies in a folder");
    fs::create_dir_all(folder).map_err(DataError::write(path))?;
    let partial = tempfile::Builder::new()
        .prefix(PARTIAL)
        .permissions(Permissions::from_mode(0o666)) // what the user's umask leaves of it
        .tempfile_in(folder)
        .map_err(DataError::write(path))?;
    let mut file = BufWriter::new(partial.as_file());
    {
        let mut write = format(&mut file);
        flow.for_each_batch(inputs, |batch| write(batch).map_err(DataError::write(path)))?;
    }
    file.flush().map_err(DataError::write(path))?;
    drop(file);
    partial.as_file().sync_all().map_err(DataError::write(path))?;
    partial.persist(path).map_err(|error| DataError::write(path)(error.error))?;
    Ok(())
}

/// Removes what killed workers left half written, and refuses parts of another data set.
fn tidy(folder: &Path, parts: &[PathBuf]) -> Result<(), DataError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && parts.is_empty() => return Ok(()),
        entries => entries.map_err(DataError::write(folder))?,
    };
    for entry in entries {
        let path = entry.map_err(DataError::write(folder))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with(PARTIAL) {
            // An attempt that was given up may still write it; it will find its file gone and be ignored.
            fs::remove_file(&path).or_else(gone).map_err(DataError::write(&path))?;
        } else if name.starts_with("part-") && !parts.contains(&path) {
            return Err(DataError::Leftover { path });
        }
    }
    Ok(())
}

fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
