//! Safetensors files: reads them whole, writes them so that a reader never sees half a file; what is in them it does not care.
use super::error::{Error, Result};
use super::parameters::Parameters;
use super::tensor::{Dtype, Tensor};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype as FileDtype, SafeTensors};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// How the name of a file that is being written begins; one that is left was torn by a crash and means nothing.
pub(super) const PARTIAL: &str = ".partial-";

/// Writes tensors and metadata: first beside the file, then in its place, both made durable in this order.
pub(super) fn write(path: &Path, parameters: &Parameters, metadata: HashMap<String, String>) -> Result<()> {
    let bytes = encode(parameters, metadata).map_err(|reason| Error::BadFile { path: path.to_owned(), reason })?;
    replace(path, &bytes).map_err(|source| Error::File { action: "write", path: path.to_owned(), source })
}

/// Reads tensors and metadata.
pub(super) fn read(path: &Path) -> Result<(Parameters, HashMap<String, String>)> {
    let bytes = fs::read(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
    decode(&bytes).map_err(|reason| Error::BadFile { path: path.to_owned(), reason })
}

fn encode(parameters: &Parameters, metadata: HashMap<String, String>) -> Result<Vec<u8>, String> {
    let bytes: Vec<_> = parameters.iter().map(|(name, tensor)| (name, tensor, tensor.to_bytes())).collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        let dtype = match tensor.dtype() {
            Dtype::F32 => FileDtype::F32,
            Dtype::F64 => FileDtype::F64,
        };
        TensorView::new(dtype, tensor.shape().to_vec(), bytes).map(|view| (*name, view))
    });
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
    let metadata = if metadata.is_empty() { None } else { Some(metadata) };
    safetensors::serialize(views, metadata).map_err(|e| e.to_string())
}

fn decode(bytes: &[u8]) -> Result<(Parameters, HashMap<String, String>), String> {
    let not_whole = |e: safetensors::SafeTensorError| format!("it is not a whole safetensors file ({e})");
    let (_, header): (usize, Metadata) = SafeTensors::read_metadata(bytes).map_err(not_whole)?;
    let file = SafeTensors::deserialize(bytes).map_err(not_whole)?;
    let tensors = file.iter().map(|(name, view)| {
        let dtype = match view.dtype() {
            FileDtype::F32 => Dtype::F32,
            FileDtype::F64 => Dtype::F64,
            other => return Err(format!("tensor `{name}` is of type {other:?}, but only f32 and f64 are known")),
        };
        let tensor = Tensor::from_bytes(dtype, view.shape().to_vec(), view.data()).map_err(|e| e.to_string())?;
        Ok((name.to_owned(), tensor))
    });
    Ok((tensors.collect::<Result<_, _>>()?, header.metadata().clone().unwrap_or_default()))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Readable as far as the user's umask allows: a model is no secret, unlike most temporary files.
    let permissions = fs::Permissions::from_mode(0o666);
    let mut partial = tempfile::Builder::new().prefix(PARTIAL).permissions(permissions).tempfile_in(directory)?;
    partial.write_all(bytes)?;
    partial.as_file().sync_all()?;
    partial.persist(path).map_err(|e| e.error)?;
    // The new name itself is durable only once its directory is.
    File::open(directory)?.sync_all()
}
