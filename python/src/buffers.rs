//! Memory that Python and the engine share without a copy, in both directions; what stands in it is not known here.
use crate::layout::lone_pickle;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use quiltwork::bindings::bytes::Bytes;
use quiltwork::bindings::{Encoding, Opaque};
use std::ffi::c_int;
use std::ptr::NonNull;

/// Up to this many bytes are copied between the engine and Python: that costs less than to share them.
pub(crate) const COPIED: usize = 4096;

/// Bytes of the engine as Python sees them: read-only, and alive as long as something looks at them.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Payload {
    encoding: Encoding,
    bytes: Bytes,
}

impl Payload {
    /// A value that has come.
    pub(crate) fn new(Opaque { encoding, bytes }: Opaque) -> Self {
        Self { encoding, bytes }
    }

    /// The value as it travels.
    pub(crate) fn value(&self) -> Opaque {
        Opaque { encoding: self.encoding, bytes: self.bytes.clone() }
    }

    /// Bytes that mean something only to who put them there.
    pub(crate) fn part(bytes: Bytes) -> Self {
        Self { encoding: Encoding::Raw, bytes }
    }
}

/// A value on its way to the package: a small pickle without buffers as `bytes`, which costs less than to share it, and
/// anything else as a [`Payload`].
pub(crate) struct Handed(pub(crate) Opaque);

impl<'py> IntoPyObject<'py> for Handed {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let Self(value) = self;
        let is_small = value.encoding == Encoding::Pickle && value.bytes.len() <= COPIED;
        match lone_pickle(&value.bytes).filter(|_| is_small) {
            Some(pickle) => Ok(PyBytes::new(py, pickle).into_any()),
            None => Ok(Bound::new(py, Payload::new(value))?.into_any()),
        }
    }
}

#[pymethods]
impl Payload {
    /// The pickle, and the buffers that stand beside it.
    fn open(&self) -> PyResult<(Self, Vec<Self>)> {
        let (pickle, buffers) = crate::layout::open(&self.bytes)?;
        Ok((Self::part(pickle), buffers.into_iter().map(Self::part).collect()))
    }

    /// Whether it is a pickle, with what belongs to it.
    #[getter]
    fn pickled(&self) -> bool {
        self.encoding == Encoding::Pickle
    }

    /// In which form it is.
    #[getter]
    fn form(&self) -> &'static str {
        crate::forms::name_of(self.encoding)
    }

    /// The object, of plain data.
    fn unpack<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        crate::plain::unpack(py, &self.bytes)
    }

    fn __len__(&self) -> usize {
        self.bytes.len()
    }

    #[expect(unsafe_code, reason = "the buffer protocol hands out a pointer")]
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let bytes = &slf.get().bytes;
        let length = isize::try_from(bytes.len())?;
        let start = bytes.as_ptr().cast_mut().cast();
        // SAFETY: Python gives a `view` to be filled in. The bytes never change, are said to be read-only, and live as
        // long as `slf`, which the view refers to from here on.
        let status = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 1, flags) };
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

/// What an object of Python's holds, as bytes of the engine: not copied, and kept by the engine as long as it needs them.
pub(crate) fn borrow(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let buffer = PyBuffer::get(object)?;
    let bytes = buffer.as_slice_ptr().ok_or_else(|| PyBufferError::new_err("the buffer is not in one piece"))?;
    Ok(Bytes::from_owner(Exported { bytes, _buffer: buffer }))
}

/// A buffer that an object of Python's has handed out and may not move before this is dropped.
struct Exported {
    bytes: NonNull<[u8]>,
    _buffer: PyBuffer<u8>,
}

// SAFETY: the pointer is only read, and what it points to stays where it is on behalf of the buffer, which may be sent.
#[expect(unsafe_code, reason = "a raw pointer is not sent by itself")]
unsafe impl Send for Exported {}

impl AsRef<[u8]> for Exported {
    #[expect(unsafe_code, reason = "PyO3 hands out a pointer, because Python code may write into what it exports")]
    fn as_ref(&self) -> &[u8] {
        // SAFETY: PyO3 has checked that the buffer is in one piece, and it is not released while `self` lives. It is
        // what a task has returned, or an argument while it is submitted: a thread of the user's that writes into such
        // an object at the same time races with its own program, and spoils values, not memory.
        unsafe { self.bytes.as_ref() }
    }
}
