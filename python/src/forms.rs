//! The forms in which values travel, by the names the package knows them by.
use crate::buffers::borrow;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use quiltwork::bindings::bytes::Bytes;
use quiltwork::bindings::{Encoding, Opaque, Product, note_copy};

/// A value in a form that every language reads, as the package writes it: the form, and the bytes in pieces.
pub(crate) type Plain<'py> = (String, Bound<'py, PyAny>, Vec<Bound<'py, PyAny>>);

/// The name of a form.
pub(crate) const fn name_of(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Pickle => "pickle",
        Encoding::MessagePack => "plain",
        Encoding::Raw => "bytes",
        Encoding::Array => "array",
        Encoding::Actor => "actor",
        Encoding::Bincode(_) => "rust",
    }
}

/// The value as one, to be sent.
pub(crate) fn joined((form, first, rest): &Plain<'_>) -> PyResult<Opaque> {
    let pieces = pieces(first, rest)?;
    note_copy(pieces.iter().map(Bytes::len).sum());
    Ok(Opaque { encoding: encoding_of(form)?, bytes: pieces.concat().into() })
}

/// The value as a task makes it: in pieces, which are joined where they are kept.
pub(crate) fn product((form, first, rest): &Plain<'_>) -> PyResult<Product> {
    Ok(Product::Pieces(encoding_of(form)?, pieces(first, rest)?))
}

fn pieces(first: &Bound<'_, PyAny>, rest: &[Bound<'_, PyAny>]) -> PyResult<Vec<Bytes>> {
    std::iter::once(first).chain(rest).map(borrow).collect()
}

fn encoding_of(form: &str) -> PyResult<Encoding> {
    match form {
        "plain" => Ok(Encoding::MessagePack),
        "bytes" => Ok(Encoding::Raw),
        "array" => Ok(Encoding::Array),
        other => Err(PyValueError::new_err(format!("`{other}` is not the name of a form"))),
    }
}
