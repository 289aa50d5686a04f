//! Which of the watched handles have their values, told to a thread of Python's. The engine only rings: its threads
//! hold locks when they do, and must never wait for the interpreter's.
use crate::handle::Handle;
use crate::resident::Resident;
use pyo3::prelude::*;
use quiltwork::bindings::{Opaque, poll_here};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// A list of handles that are watched, and of those that have something to tell.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Notices(Resident<Arc<Board>>);

#[derive(Default)]
struct Board {
    news: Mutex<News>,
    rung: Condvar,
}

#[derive(Default)]
struct News {
    watched: HashMap<u64, Watched>,
    next: u64,
    /// To be looked at.
    rung: Vec<u64>,
    closed: bool,
}

/// A handle, and what Python calls it.
struct Watched {
    handle: quiltwork::Handle<Opaque>,
    item: Py<PyAny>,
}

/// Rings for one handle.
struct Bell {
    key: u64,
    board: Arc<Board>,
}

#[pymethods]
impl Notices {
    #[new]
    fn new() -> Self {
        Self(Resident::new(Arc::default()))
    }

    /// Has `item` told by `next` when the value of `handle` is here, or will never be.
    fn watch(&self, handle: &Handle, item: Py<PyAny>) -> PyResult<()> {
        let (board, handle) = (self.0.get()?, handle.inner()?.clone());
        let mut news = board.news();
        let key = news.next;
        news.next += 1;
        news.watched.insert(key, Watched { handle, item });
        news.rung.push(key);
        board.rung.notify_one();
        Ok(())
    }

    /// Waits until there is something to tell, and tells all of it; none when this was closed and nothing is left.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Vec<Py<PyAny>>>> {
        let board = self.0.get()?;
        Ok(py.detach(|| Board::next(board)))
    }

    /// Lets `next` end when nothing is left to be told.
    fn close(&self) -> PyResult<()> {
        let board = self.0.get()?;
        board.news().closed = true;
        board.rung.notify_all();
        Ok(())
    }
}

impl Board {
    fn next(self: &Arc<Self>) -> Option<Vec<Py<PyAny>>> {
        loop {
            let idle = |news: &mut News| news.rung.is_empty() && !news.closed;
            let mut news = self.rung.wait_while(self.news(), idle).unwrap_or_else(PoisonError::into_inner);
            if news.rung.is_empty() {
                return None;
            }
            let rung = std::mem::take(&mut news.rung);
            drop(news);
            let items: Vec<_> = rung.into_iter().filter_map(|key| self.look_at(key)).collect();
            if !items.is_empty() {
                return Some(items);
            }
        }
    }

    /// What to tell of a handle that has rung: nothing, if its value is still on its way. The list is not locked while the
    /// handle is asked, because whoever rings holds the handle's lock and wants the list's.
    fn look_at(self: &Arc<Self>, key: u64) -> Option<Py<PyAny>> {
        let watched = self.news().watched.remove(&key)?;
        let waker = Waker::from(Arc::new(Bell { key, board: Arc::clone(self) }));
        if poll_here(&watched.handle, &waker).is_ready() {
            return Some(watched.item);
        }
        self.news().watched.insert(key, watched);
        None
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.board.news().rung.push(self.key);
        self.board.rung.notify_one();
    }
}
