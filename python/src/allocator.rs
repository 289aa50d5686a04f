//! The C library's allocator in a worker: what it keeps of the memory that is freed.
use pyo3::prelude::*;

/// Bytes of the C library's allocator that a thread keeps for the next time instead of giving them back.
const KEPT_BYTES: i32 = 64 << 20;
/// Allocations from here on are mapped by themselves: the most the C library takes.
const MAPPED_BYTES: i32 = 32 << 20;

/// Has the allocator keep memory that is freed: to get pages anew for each temporary array takes longer than most of what
/// is done with them. Only glibc has such thresholds; setting them ends their adjustment at run time.
#[pyfunction]
#[expect(unsafe_code, reason = "the standard library has no way to it")]
pub(crate) fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            safe fn mallopt(parameter: i32, value: i32) -> i32;
        }
        const M_TRIM_THRESHOLD: i32 = -1;
        const M_MMAP_THRESHOLD: i32 = -3;
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
        mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    }
}
