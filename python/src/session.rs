//! A client's link to its cluster, and the cluster itself if this process has started it.
use crate::buffers::{Handed, Payload, borrow};
use crate::context::TaskContext;
use crate::errors::raised;
use crate::forms::{self, Plain};
use crate::handle::Handle;
use crate::layout::{lone, pieces};
use crate::lines::Lines;
use crate::options::{ActorOptions, Amount, Options};
use crate::resident::Resident;
use crate::waiting::{answered, wait};
use crate::workers::{Row, rows};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use quiltwork::bindings::bytes::Bytes;
use quiltwork::bindings::{
    self, Argument, Encoding, IntoArgument, Opaque, actor_named, actor_of, call, call_actor, construct, ended,
    note_copy, write_log_if_asked,
};
use quiltwork::{Client, LocalCluster, TaskCall, WorkerLog};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A link to a cluster. Closing it ends the cluster if it was started here.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Session(Resident<Mutex<Option<Open>>>);

/// What there is until the session is closed.
struct Open {
    client: Client,
    cluster: Option<LocalCluster>,
}

/// The large parts of a pickle, each an object with the buffer protocol.
type Buffers<'py> = Vec<Bound<'py, PyAny>>;

/// A call, one of many.
#[derive(FromPyObject)]
enum Dumped<'py> {
    /// Its pickled arguments, to which nothing else belongs.
    Plain(Bound<'py, PyBytes>),
    /// Its pickled arguments, and the tasks whose values belong to them.
    Whole(Bound<'py, PyAny>, Buffers<'py>, Vec<PyRef<'py, Handle>>),
}

#[pymethods]
impl Session {
    /// Starts a cluster on this machine, whose workers are what `command` starts, and so many of other programs.
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "the options of a cluster, named where it is called")]
    fn start(
        py: Python<'_>,
        command: Vec<String>,
        workers: Option<usize>,
        slots: usize,
        memory_limit: Option<Amount>,
        nodes: usize,
        programs: Vec<(PathBuf, usize)>,
        lines: &Bound<'_, Lines>,
    ) -> PyResult<Self> {
        write_log_if_asked();
        let (program, arguments) = command.split_first().expect("the package names a program");
        let mut builder = LocalCluster::builder().worker_program(program).worker_arguments(arguments).slots(slots);
        builder = builder.nodes(nodes).log(WorkerLog::Lines(lines.get().sink()?));
        if let Some(workers) = workers {
            builder = builder.workers(workers);
        }
        for (program, workers) in programs {
            builder = builder.workers_of(program, workers);
        }
        if let Some(limit) = memory_limit {
            builder = builder.memory_limit(limit.in_bytes(py)?);
        }
        let cluster = answered(py, builder.start())?;
        Ok(Self::open(cluster.client().clone(), Some(cluster)))
    }

    /// Connects to the cluster that made the ticket.
    #[staticmethod]
    fn connect(py: Python<'_>, ticket: &str) -> PyResult<Self> {
        write_log_if_asked();
        Ok(Self::open(answered(py, Client::connect(ticket))?, None))
    }

    /// Inside a task: a link to the cluster the task runs in.
    #[staticmethod]
    fn current(py: Python<'_>) -> PyResult<Self> {
        let current = py.detach(Client::current).map_err(|error| raised(py, &error))?;
        Ok(Self::open(current, None))
    }

    /// Submits a call: a function by its name, its pickled arguments, the tasks whose values belong to them, and what
    /// people call it, if not by the function.
    #[expect(clippy::too_many_arguments, reason = "what makes a call")]
    fn submit(
        &self,
        py: Python<'_>,
        function: &str,
        pickle: &Bound<'_, PyAny>,
        buffers: Buffers<'_>,
        inputs: Vec<PyRef<'_, Handle>>,
        options: Option<PyRef<'_, Options>>,
        name: Option<String>,
    ) -> PyResult<Handle> {
        let call = call(function, arguments(pickle, &buffers, &inputs)?);
        self.begin(py, call, options.as_deref(), name)
    }

    /// Submits calls of one function, which travel together; each is as for `submit`, but without a name. The tasks whose
    /// values belong to all of them are listed once.
    fn submit_all(
        &self,
        py: Python<'_>,
        function: &str,
        calls: Vec<Dumped<'_>>,
        shared: Vec<PyRef<'_, Handle>>,
        options: Option<PyRef<'_, Options>>,
    ) -> PyResult<Vec<Handle>> {
        let client = self.client()?;
        let call = |dumped: &Dumped<'_>| {
            let mut arguments = match dumped {
                Dumped::Plain(pickle) => arguments(pickle, &[], &[])?,
                Dumped::Whole(pickle, buffers, inputs) => arguments(pickle, buffers, inputs)?,
            };
            for input in &shared {
                arguments.push(input.inner()?.into_argument());
            }
            let call = call(function, arguments);
            Ok(match &options {
                Some(options) => options.of(call),
                None => call,
            })
        };
        let calls = calls.iter().map(call).collect::<PyResult<Vec<_>>>()?;
        let handles = py.detach(|| client.map(calls, |call| call));
        Ok(handles.into_iter().map(Handle::new).collect())
    }

    /// Makes an actor by its constructor's name; the rest is as for `submit`.
    #[expect(clippy::too_many_arguments, reason = "they are named where it is called, and one by one is quickest")]
    fn construct(
        &self,
        py: Python<'_>,
        function: &str,
        pickle: &Bound<'_, PyAny>,
        buffers: Buffers<'_>,
        inputs: Vec<PyRef<'_, Handle>>,
        options: PyRef<'_, Options>,
        actor: PyRef<'_, ActorOptions>,
        name: Option<String>,
    ) -> PyResult<Handle> {
        let call = construct(function, arguments(pickle, &buffers, &inputs)?, actor.get());
        self.begin(py, call, Some(&options), name)
    }

    /// Calls a method of an actor; the rest is as for `submit`. What one `task` asks of an actor stands in a line of its own.
    #[expect(clippy::too_many_arguments, reason = "they are named where it is called, and one by one is quickest")]
    fn call(
        &self,
        py: Python<'_>,
        actor: &Handle,
        method: &str,
        pickle: &Bound<'_, PyAny>,
        buffers: Buffers<'_>,
        inputs: Vec<PyRef<'_, Handle>>,
        options: Option<PyRef<'_, Options>>,
        task: Option<PyRef<'_, TaskContext>>,
        name: Option<String>,
    ) -> PyResult<Handle> {
        let _entered = task.as_ref().map(|task| task.0.enter());
        let call = call_actor(actor.inner()?, method, arguments(pickle, &buffers, &inputs)?);
        self.begin(py, call, options.as_deref(), name)
    }

    /// Submits a call of a function in another language, whose result shall be plain: its arguments are literals and
    /// tasks. The rest is as for `submit`.
    fn submit_plain(
        &self,
        py: Python<'_>,
        function: &str,
        arguments: Vec<Passed<'_>>,
        options: Option<PyRef<'_, Options>>,
        name: Option<String>,
    ) -> PyResult<Handle> {
        let arguments = arguments.iter().map(Passed::argument).collect::<PyResult<_>>()?;
        self.begin(py, call(function, arguments).plain(), options.as_deref(), name)
    }

    /// The actor of that name, or a handle that fails if there is none.
    fn actor_named(&self, name: &str) -> PyResult<Handle> {
        Ok(Handle::new(actor_named(&self.client()?, name)))
    }

    /// The actor that was given to a task as an argument, held from here on.
    fn actor_of(&self, py: Python<'_>, given: &Payload) -> PyResult<Handle> {
        let actor = actor_of(&self.client()?, &given.value());
        // Only then does it not end with the task.
        wait(py, ended(&actor), None)?.expect("it is waited for without a limit");
        Ok(Handle::new(actor))
    }

    /// Brings a pickled value into the cluster.
    fn put(&self, py: Python<'_>, pickle: &Bound<'_, PyAny>, buffers: Buffers<'_>) -> PyResult<Handle> {
        let (client, pieces) = (self.client()?, apart(pickle, &buffers)?);
        // Much else may be on its way.
        let put = py.detach(|| bindings::put(&client, Encoding::Pickle, pieces));
        Ok(Handle::new(put.map_err(|error| raised(py, &error))?))
    }

    /// Waits for all values, and ends with the first failure that is heard of; none when the time is over.
    fn gather(
        &self,
        py: Python<'_>,
        handles: Vec<PyRef<'_, Handle>>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Vec<Handed>>> {
        let client = self.client()?;
        let deadline = crate::waiting::deadline(timeout)?;
        let handles = handles.iter().map(|handle| handle.inner().cloned()).collect::<PyResult<Vec<_>>>()?;
        let gathered = wait(py, client.gather(handles), deadline)?;
        let handed = |values: Vec<Opaque>| values.into_iter().map(Handed).collect();
        gathered.map(|values| values.map(handed).map_err(|error| raised(py, &error))).transpose()
    }

    /// The workers by the master's word.
    fn workers(&self, py: Python<'_>) -> PyResult<Vec<Row>> {
        let client = self.client()?;
        Ok(rows(&answered(py, client.workers())?))
    }

    /// The workers that hold the value of a task.
    fn who_has(&self, py: Python<'_>, handle: &Handle) -> PyResult<Vec<Row>> {
        let (client, handle) = (self.client()?, handle.inner()?);
        Ok(rows(&answered(py, client.who_has(handle))?))
    }

    /// What happened to a task so far, as text.
    fn story(&self, py: Python<'_>, handle: &Handle) -> PyResult<String> {
        let (client, handle) = (self.client()?, handle.inner()?);
        Ok(answered(py, client.story(handle))?.to_string())
    }

    /// Kills a worker of a cluster that was started here.
    fn kill_worker(&self, py: Python<'_>, pid: u32) -> PyResult<()> {
        let open = self.lock()?;
        let cluster = open.as_ref().and_then(|open| open.cluster.as_ref());
        cluster.ok_or_else(not_ours)?.kill_worker(pid).map_err(|error| raised(py, &error))
    }

    /// With what other processes of this machine connect to a cluster that was started here.
    #[getter]
    fn ticket(&self) -> PyResult<String> {
        let open = self.lock()?;
        let cluster = open.as_ref().and_then(|open| open.cluster.as_ref());
        Ok(cluster.ok_or_else(not_ours)?.ticket())
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        Ok(self.lock()?.is_none())
    }

    /// Ends the cluster if it was started here; what was submitted and has not arrived fails. Closing again does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let open = self.lock()?.take();
        py.detach(|| drop(open));
        Ok(())
    }
}

impl Session {
    fn open(client: Client, cluster: Option<LocalCluster>) -> Self {
        Self(Resident::new(Mutex::new(Some(Open { client, cluster }))))
    }

    fn begin(
        &self,
        py: Python<'_>,
        call: TaskCall<Opaque>,
        options: Option<&Options>,
        name: Option<String>,
    ) -> PyResult<Handle> {
        let client = self.client()?;
        let call = match options {
            Some(options) => options.of(call),
            None => call,
        };
        let call = match name {
            Some(name) => call.named(name),
            None => call,
        };
        Ok(Handle::new(py.detach(|| client.submit(call))))
    }

    fn client(&self) -> PyResult<Client> {
        let closed = || PyRuntimeError::new_err("the client is closed\n  hint: make another `quiltwork.Client`");
        self.lock()?.as_ref().map(|open| open.client.clone()).ok_or_else(closed)
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn lock(&self) -> PyResult<MutexGuard<'_, Option<Open>>> {
        Ok(self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn not_ours() -> PyErr {
    PyRuntimeError::new_err(
        "this client has not started the cluster it uses\n  hint: ask the client that did, or that is closed now",
    )
}

/// What a function of another language is given for one parameter.
#[derive(FromPyObject)]
enum Passed<'py> {
    /// The result of a task.
    Result(PyRef<'py, Handle>),
    /// Those of many, as a list.
    Results(Vec<PyRef<'py, Handle>>),
    Literal(Plain<'py>),
}

impl Passed<'_> {
    fn argument(&self) -> PyResult<Argument> {
        Ok(match self {
            Self::Result(handle) => handle.inner()?.into_argument(),
            Self::Results(handles) => {
                let handles = handles.iter().map(|handle| handle.inner().cloned()).collect::<PyResult<Vec<_>>>()?;
                IntoArgument::<Vec<Opaque>>::into_argument(handles)
            }
            Self::Literal(plain) => forms::joined(plain)?.into_argument(),
        })
    }
}

/// What a function is called with: a pickle, and the tasks whose values belong to it.
fn arguments(
    pickle: &Bound<'_, PyAny>,
    buffers: &[Bound<'_, PyAny>],
    inputs: &[PyRef<'_, Handle>],
) -> PyResult<Vec<Argument>> {
    let mut arguments = vec![joined(pickle, buffers)?.into_argument()];
    for input in inputs {
        arguments.push(input.inner()?.into_argument());
    }
    Ok(arguments)
}

/// A pickle and its buffers as one value.
fn joined(pickle: &Bound<'_, PyAny>, buffers: &[Bound<'_, PyAny>]) -> PyResult<Opaque> {
    if let (Ok(pickle), []) = (pickle.cast::<PyBytes>(), buffers) {
        return Ok(Opaque { encoding: Encoding::Pickle, bytes: lone(pickle.as_bytes()) });
    }
    let pieces = apart(pickle, buffers)?;
    if !buffers.is_empty() {
        note_copy(pieces.iter().map(Bytes::len).sum());
    }
    Ok(Opaque { encoding: Encoding::Pickle, bytes: pieces.concat().into() })
}

/// A pickle and its buffers, which belong one behind the other.
fn apart(pickle: &Bound<'_, PyAny>, buffers: &[Bound<'_, PyAny>]) -> PyResult<Vec<Bytes>> {
    let buffers: Vec<Bytes> = buffers.iter().map(borrow).collect::<PyResult<_>>()?;
    Ok(pieces(borrow(pickle)?, buffers))
}
