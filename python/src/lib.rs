//! The extension module `quiltwork._native`: what the Python package needs of the engine, and no habit of Python users,
//! which the package itself is for.
//!
//! ```text
//!   driver process                                 worker process
//!   Client ─▶ Session ─▶ quiltwork::Client         python -m quiltwork.worker
//!   Future ─▶ Handle  ─▶ quiltwork::Handle         serve ─▶ quiltwork-worker ─▶ Interpreter ─▶ quiltwork._run
//! ```
//! Values are pickles with their large buffers beside them (`layout`), or what every language reads (`forms`, `plain`). No thread of the engine ever waits for the
//! interpreter's lock: what it has to tell Python, it leaves in a list that a thread of Python's takes (`notices`).

mod actors;
mod allocator;
mod buffers;
mod completed;
mod context;
mod errors;
mod forms;
mod handle;
mod interpreter;
mod interrupts;
mod layout;
mod lines;
mod looped;
mod model;
mod notices;
mod options;
mod plain;
mod reply;
mod resident;
mod session;
mod strategy;
mod team;
mod training;
mod waiting;
mod workers;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use super::pyfunction;

    #[pymodule_export]
    use super::allocator::keep_freed_memory;
    #[pymodule_export]
    use super::buffers::Payload;
    #[pymodule_export]
    use super::completed::Completed;
    #[pymodule_export]
    use super::context::{Lent, TaskContext, current_task, lend};
    #[pymodule_export]
    use super::handle::Handle;
    #[pymodule_export]
    use super::interpreter::serve;
    #[pymodule_export]
    use super::interrupts::Guard;
    #[pymodule_export]
    use super::lines::Lines;
    #[pymodule_export]
    use super::notices::Notices;
    #[pymodule_export]
    use super::options::{ActorOptions, Options};
    #[pymodule_export]
    use super::plain::pack;
    #[pymodule_export]
    use super::reply::Reply;
    #[pymodule_export]
    use super::session::Session;
    #[pymodule_export]
    use super::strategy::Strategy;
    #[pymodule_export]
    use super::training::{train_by_tasks, train_here};

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        super::resident::count_forks(module)
    }

    /// The version of the engine.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "it is the name Python users expect")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Bytes of values this process has copied on their way between tasks; what is only mapped is not copied.
    #[pyfunction]
    fn copied_bytes() -> u64 {
        quiltwork::bindings::copied_bytes()
    }
}
