//! Plain data: objects of Python's as MessagePack, and back; what else travels is not known here.
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMemoryView, PyString, PyTuple, PyType,
};
use quiltwork::bindings::PLAIN_DEPTH;
use rmp::Marker;
use rmp::decode::{RmpRead, read_marker};
use rmp::encode;

/// Encodes an object that is made of plain data.
///
/// A `TypeError` says which part of it is none, and where that stands.
#[pyfunction]
pub(crate) fn pack<'py>(py: Python<'py>, thing: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let mut out = Vec::new();
    match write(thing, &mut out, PLAIN_DEPTH) {
        Ok(()) => Ok(PyBytes::new(py, &out)),
        Err(Fault::Raised(error)) => Err(error),
        Err(Fault::NotPlain { path, problem }) => Err(PyTypeError::new_err(match &*path {
            "" => format!("it is {problem}"),
            path => format!("`{path}` is {problem}"),
        })),
    }
}

/// Why something cannot be encoded.
enum Fault {
    /// The part at the end of the path is no plain data.
    NotPlain { path: String, problem: String },
    /// The object itself has raised an error.
    Raised(PyErr),
}

impl Fault {
    fn not_plain(problem: impl Into<String>) -> Self {
        Self::NotPlain { path: String::new(), problem: problem.into() }
    }

    /// The same, seen from what holds the part.
    fn within(self, step: impl FnOnce() -> String) -> Self {
        match self {
            Self::NotPlain { path, problem } => Self::NotPlain { path: step() + &path, problem },
            raised @ Self::Raised(_) => raised,
        }
    }
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

/// Vectors take everything.
const ROOM: &str = "a vector takes all bytes";

fn write(thing: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or_else(|| Fault::not_plain("nested too deeply, or holds itself"))?;
    if thing.is_none() {
        encode::write_nil(out).expect(ROOM);
    } else if let Ok(truth) = thing.cast::<PyBool>() {
        encode::write_bool(out, truth.is_true()).expect(ROOM);
    } else if let Ok(number) = thing.cast::<PyInt>() {
        write_int(number, out)?;
    } else if let Ok(number) = thing.cast::<PyFloat>() {
        encode::write_f64(out, number.value()).expect(ROOM);
    } else if let Ok(text) = thing.cast::<PyString>() {
        encode::write_str(out, &text.to_cow()?).expect(ROOM);
    } else if let Ok(items) = thing.cast::<PyList>() {
        write_items(items.iter(), items.len(), out, depth)?;
    } else if let Ok(items) = thing.cast::<PyTuple>() {
        write_items(items.iter(), items.len(), out, depth)?;
    } else if let Ok(entries) = thing.cast::<PyDict>() {
        write_entries(entries, out, depth)?;
    } else if is_bytes(thing) {
        let bytes = crate::buffers::borrow(thing)?;
        encode::write_bin(out, &bytes).expect(ROOM);
    } else {
        write_made_of_fields(thing, out, depth)?;
    }
    Ok(())
}

fn is_bytes(thing: &Bound<'_, PyAny>) -> bool {
    thing.is_instance_of::<PyBytes>() || thing.is_instance_of::<PyByteArray>() || thing.is_instance_of::<PyMemoryView>()
}

fn write_int(number: &Bound<'_, PyInt>, out: &mut Vec<u8>) -> Result<(), Fault> {
    if let Ok(number) = number.extract::<i64>() {
        encode::write_sint(out, number).expect(ROOM);
    } else if let Ok(number) = number.extract::<u64>() {
        encode::write_uint(out, number).expect(ROOM);
    } else {
        return Err(Fault::not_plain("an int of more than 64 bits"));
    }
    Ok(())
}

fn write_items<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    count: usize,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Fault> {
    encode::write_array_len(out, length(count)?).expect(ROOM);
    for (place, item) in items.enumerate() {
        write(&item, out, depth).map_err(|fault| fault.within(|| format!("[{place}]")))?;
    }
    Ok(())
}

fn write_entries(entries: &Bound<'_, PyDict>, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    encode::write_map_len(out, length(entries.len())?).expect(ROOM);
    for (key, value) in entries {
        let named = || key.repr().map_or_else(|_| "…".to_owned(), |text| text.to_string());
        write(&key, out, depth).map_err(|fault| fault.within(|| format!("(key {})", named())))?;
        write(&value, out, depth).map_err(|fault| fault.within(|| format!("[{}]", named())))?;
    }
    Ok(())
}

/// A dataclass becomes a map of its fields, a scalar of numpy's the number it is.
fn write_made_of_fields(thing: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    let kind = thing.get_type();
    let name = kind.qualname()?.to_string();
    if !thing.is_instance_of::<PyType>() && kind.hasattr("__dataclass_fields__")? {
        let fields = kind.getattr("__dataclass_fields__")?.cast_into::<PyDict>().map_err(PyErr::from)?;
        encode::write_map_len(out, length(fields.len())?).expect(ROOM);
        for field in fields.keys() {
            let field = field.extract::<String>()?;
            encode::write_str(out, &field).expect(ROOM);
            let value = thing.getattr(&*field)?;
            write(&value, out, depth).map_err(|fault| fault.within(|| format!(".{field}")))?;
        }
        return Ok(());
    }
    if kind.module()? == "numpy" && name != "ndarray" && thing.hasattr("item")? {
        let number = thing.call_method0("item")?;
        if !number.get_type().is(&kind) {
            return write(&number, out, depth);
        }
    }
    let hint = if name == "ndarray" { ": an array travels only by itself" } else { "" };
    Err(Fault::not_plain(format!("a `{name}`, which is no plain data{hint}")))
}

fn length(count: usize) -> Result<u32, Fault> {
    u32::try_from(count).map_err(|_| Fault::not_plain("longer than 2³² items"))
}

/// Makes the object that was encoded. What stands in one piece is one: bytes behind it are refused.
pub(crate) fn unpack<'py>(py: Python<'py>, mut bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let thing = read(py, &mut bytes, false, PLAIN_DEPTH)?;
    if bytes.is_empty() { Ok(thing) } else { Err(damaged()) }
}

fn damaged() -> PyErr {
    PyValueError::new_err("the value is damaged, or no plain data")
}

/// What stands at the front of a thing: its kind, and a number's value or how long the rest is.
enum Head {
    Nothing,
    Truth(bool),
    Signed(i64),
    Unsigned(u64),
    Real(f64),
    Text(u32),
    Bytes(u32),
    List(u32),
    Map(u32),
}

fn read_head(bytes: &mut &[u8]) -> PyResult<Head> {
    let marker = read_marker(bytes).map_err(|_| damaged())?;
    macro_rules! next {
        ($read:ident) => {
            bytes.$read().map_err(|_| damaged())?.into()
        };
    }
    Ok(match marker {
        Marker::Null => Head::Nothing,
        Marker::True => Head::Truth(true),
        Marker::False => Head::Truth(false),
        Marker::FixPos(number) => Head::Unsigned(number.into()),
        Marker::FixNeg(number) => Head::Signed(number.into()),
        Marker::U8 => Head::Unsigned(next!(read_data_u8)),
        Marker::U16 => Head::Unsigned(next!(read_data_u16)),
        Marker::U32 => Head::Unsigned(next!(read_data_u32)),
        Marker::U64 => Head::Unsigned(next!(read_data_u64)),
        Marker::I8 => Head::Signed(next!(read_data_i8)),
        Marker::I16 => Head::Signed(next!(read_data_i16)),
        Marker::I32 => Head::Signed(next!(read_data_i32)),
        Marker::I64 => Head::Signed(next!(read_data_i64)),
        Marker::F32 => Head::Real(next!(read_data_f32)),
        Marker::F64 => Head::Real(next!(read_data_f64)),
        Marker::FixStr(length) => Head::Text(length.into()),
        Marker::Str8 => Head::Text(next!(read_data_u8)),
        Marker::Str16 => Head::Text(next!(read_data_u16)),
        Marker::Str32 => Head::Text(next!(read_data_u32)),
        Marker::Bin8 => Head::Bytes(next!(read_data_u8)),
        Marker::Bin16 => Head::Bytes(next!(read_data_u16)),
        Marker::Bin32 => Head::Bytes(next!(read_data_u32)),
        Marker::FixArray(length) => Head::List(length.into()),
        Marker::Array16 => Head::List(next!(read_data_u16)),
        Marker::Array32 => Head::List(next!(read_data_u32)),
        Marker::FixMap(length) => Head::Map(length.into()),
        Marker::Map16 => Head::Map(next!(read_data_u16)),
        Marker::Map32 => Head::Map(next!(read_data_u32)),
        _ => return Err(damaged()),
    })
}

/// Reads one thing off the front. Lists among the parts of keys are tuples, which can be keys.
fn read<'py>(py: Python<'py>, bytes: &mut &[u8], hashable: bool, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    let depth = depth.checked_sub(1).ok_or_else(damaged)?;
    Ok(match read_head(bytes)? {
        Head::Nothing => py.None().into_bound(py),
        Head::Truth(truth) => PyBool::new(py, truth).to_owned().into_any(),
        Head::Signed(number) => number.into_pyobject(py)?.into_any(),
        Head::Unsigned(number) => number.into_pyobject(py)?.into_any(),
        Head::Real(number) => PyFloat::new(py, number).into_any(),
        Head::Text(length) => {
            let text = std::str::from_utf8(taken(bytes, length)?).map_err(|_| damaged())?;
            PyString::new(py, text).into_any()
        }
        Head::Bytes(length) => PyBytes::new(py, taken(bytes, length)?).into_any(),
        Head::List(count) => items(py, bytes, count, hashable, depth)?,
        Head::Map(count) => entries(py, bytes, count, depth)?,
    })
}

/// So many bytes off the front.
fn taken<'b>(bytes: &mut &'b [u8], length: u32) -> PyResult<&'b [u8]> {
    bytes.split_off(..length as usize).ok_or_else(damaged)
}

fn items<'py>(
    py: Python<'py>,
    bytes: &mut &[u8],
    count: u32,
    hashable: bool,
    depth: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let list = PyList::empty(py);
    for _ in 0..count {
        list.append(read(py, bytes, hashable, depth)?)?;
    }
    Ok(if hashable { list.to_tuple().into_any() } else { list.into_any() })
}

fn entries<'py>(py: Python<'py>, bytes: &mut &[u8], count: u32, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    let entries = PyDict::new(py);
    for _ in 0..count {
        let key = read(py, bytes, true, depth)?;
        entries.set_item(key, read(py, bytes, false, depth)?)?;
    }
    Ok(entries.into_any())
}
