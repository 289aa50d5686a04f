//! What a local cluster shall be: its options, their defaults and which of them make no sense; it starts nothing itself.
use super::LocalCluster;
use super::machine;
use super::output::WorkerLog;
use super::python;
use super::shared_memory::{self, StorePlan};
use crate::error::{Error, Problem, Result};
use crate::init;
use crate::size::ByteSize;
use quiltwork_types::{ByteCount, NamedResource};
use std::ffi::OsString;
use std::path::PathBuf;

/// More workers on one machine, or slots in one worker, are a slip of the keyboard.
const MOST: usize = 1024;
/// What a worker may use if the system does not tell how much memory there is, in bytes.
const UNKNOWN_MEMORY: u64 = 1 << 30;
/// The least that leaves something to tasks, in bytes: a worker itself takes a few MiB.
const LEAST_MEMORY: u64 = 16 << 20;

/// Options of a [`LocalCluster`]; every one has a default.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `.start().await` or `.start_blocking()`"]
pub struct LocalClusterBuilder {
    workers: Option<usize>,
    slots: usize,
    memory_limit: Option<Result<u64>>,
    value_limit: Option<Result<u64>>,
    store_limit: Option<Result<u64>>,
    shared_memory: PathBuf,
    spill: Option<PathBuf>,
    spill_limit: Option<Result<u64>>,
    nodes: usize,
    named: Vec<NamedResource>,
    log: WorkerLog,
    restart: bool,
    max_worker_deaths: Option<u32>,
    program: Option<PathBuf>,
    arguments: Vec<OsString>,
    others: Vec<(PathBuf, usize)>,
    python_workers: usize,
    python: Option<PathBuf>,
    python_path: Vec<PathBuf>,
}

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// Workers that run the same program.
pub(super) struct Company {
    /// This very program if there is none.
    pub(super) command: Option<Command>,
    pub(super) workers: usize,
}

/// Options that were checked, with every default filled in.
pub(super) struct Plan {
    /// Each of at least one worker.
    pub(super) companies: Vec<Company>,
    /// Whether any of them runs another program than this one.
    pub(super) mixed: bool,
    /// Of all companies together.
    pub(super) workers: usize,
    pub(super) slots: u32,
    pub(super) memory: u64,
    pub(super) value_limit: Option<u64>,
    pub(super) store: StorePlan,
    pub(super) nodes: usize,
    pub(super) named: Box<[NamedResource]>,
    pub(super) log: WorkerLog,
    pub(super) restart: bool,
    pub(super) max_worker_deaths: Option<u32>,
}

impl LocalClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            workers: None,
            slots: 1,
            memory_limit: None,
            value_limit: None,
            store_limit: None,
            shared_memory: PathBuf::from(shared_memory::USUAL_PLACE),
            spill: None,
            spill_limit: None,
            nodes: 1,
            named: Vec::new(),
            log: WorkerLog::default(),
            restart: true,
            max_worker_deaths: None,
            program: None,
            arguments: Vec::new(),
            others: Vec::new(),
            python_workers: 0,
            python: None,
            python_path: Vec::new(),
        }
    }

    /// How many worker processes there are, 1 to 1024, or 0 if all workers run other programs. Default: one per processor.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers: Some(workers), ..self }
    }

    /// How many tasks each worker runs at a time, 1 to 1024. Default: 1.
    pub fn slots(self, slots: usize) -> Self {
        Self { slots, ..self }
    }

    /// How much memory each worker may use, for the values it holds and by its tasks, and how much its tasks may ask for
    /// ([`memory`](crate::TaskCall::memory)): `"2GiB"`, `"512MB"` or a number of bytes, at least 16 MiB. Default: four
    /// fifths of the memory there is, shared by the workers.
    ///
    /// While a worker has something to do, it looks at what it uses twenty times a second:
    /// - above 60 % of the limit, values move to disk;
    /// - from 80 % on, it gets a task only when it has nothing to do, until it uses less than 70 %;
    /// - from 95 % on, its process ends and is started again. The task that was started last is to blame: it runs again
    ///   elsewhere, and fails with [`FailureKind::OutOfMemory`](crate::FailureKind) when it has cost as many workers as
    ///   [`max_worker_deaths`](Self::max_worker_deaths) says. The worker's other tasks run again without blame, and its
    ///   values are passed on.
    pub fn memory_limit(self, limit: impl ByteSize) -> Self {
        Self { memory_limit: Some(limit.in_bytes()), ..self }
    }

    /// How large a single value may be, in text or bytes as for [`memory_limit`](Self::memory_limit). Default: 4 GiB.
    pub fn value_limit(self, limit: impl ByteSize) -> Self {
        Self { value_limit: Some(limit.in_bytes()), ..self }
    }

    /// How many bytes of values the cluster may hold in shared memory, in text or bytes as for
    /// [`memory_limit`](Self::memory_limit); each worker may hold an equal share, and no more than 60 % of its memory
    /// limit. Default: half of the shared memory that is free.
    ///
    /// Beyond that, values move to disk ([`spill`](Self::spill)).
    pub fn store_limit(self, limit: impl ByteSize) -> Self {
        Self { store_limit: Some(limit.in_bytes()), ..self }
    }

    /// Where the shared memory is in which the workers keep their values. Default: `/dev/shm`.
    ///
    /// If it is not there, read-only or smaller than 64 MiB, values become files in the folder for temporary ones, and
    /// a line on standard error says so.
    pub fn shared_memory(self, place: impl Into<PathBuf>) -> Self {
        Self { shared_memory: place.into(), ..self }
    }

    /// An existing folder, on a disk, for values that do not fit into shared memory: those that were used least lately
    /// move there, and tasks read them as if nothing had happened. Default: the folder for temporary files
    /// (`TMPDIR`), or `/var/tmp` if that lies in memory itself.
    pub fn spill(self, place: impl Into<PathBuf>) -> Self {
        Self { spill: Some(place.into()), ..self }
    }

    /// How many bytes of values the cluster may hold on disk, in text or bytes as for
    /// [`memory_limit`](Self::memory_limit); each worker may hold an equal share. With 0 nothing is spilled. Default:
    /// half of what is free there.
    ///
    /// A task whose result finds no room, neither in memory nor on disk, fails with
    /// [`FailureKind::StoreFull`](crate::FailureKind); all others go on.
    pub fn spill_limit(self, limit: impl ByteSize) -> Self {
        Self { spill_limit: Some(limit.in_bytes()), ..self }
    }

    /// Lets the workers act as if they were on so many machines: they are dealt out in turn, and values travel over the
    /// network between those of different ones. For tests and measurements. Default: 1.
    pub fn nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// Gives each worker an amount of a resource that tasks can ask for by name.
    pub fn resource(mut self, name: impl Into<String>, amount: u64) -> Self {
        self.named.push(NamedResource { name: name.into().into_boxed_str(), amount });
        self
    }

    /// What is done with what the workers print. Default: [`WorkerLog::Inherit`].
    pub fn log(self, log: WorkerLog) -> Self {
        Self { log, ..self }
    }

    /// Whether a worker that was lost is started again. Default: yes. If not, the cluster ends with its last worker, or
    /// the last of any program.
    pub fn restart_workers(self, restart: bool) -> Self {
        Self { restart, ..self }
    }

    /// After how many deaths of workers a task is taken for their cause and stopped, at least 1. Default: 3.
    pub fn max_worker_deaths(self, deaths: u32) -> Self {
        Self { max_worker_deaths: Some(deaths), ..self }
    }

    /// The program the workers run; it must call [`init`](crate::init) first. Default: this very program, with the
    /// same arguments.
    pub fn worker_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// What [`worker_program`](Self::worker_program) is given to read on its command line. Default: nothing.
    pub fn worker_arguments(self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { arguments: arguments.into_iter().map(Into::into).collect(), ..self }
    }

    /// Adds workers that run another program in Rust, which must call [`init`](crate::init) first. Each task runs where the
    /// program has its function; a data set's pipeline too.
    pub fn workers_of(mut self, program: impl Into<PathBuf>, workers: usize) -> Self {
        self.others.push((program.into(), workers));
        self
    }

    /// Adds workers for functions in Python, which [`python`](crate::python()) calls. Default: none.
    ///
    /// They run the interpreter that [`python`](Self::python) names, or the environment variable `QUILTWORK_PYTHON`, or
    /// else `python3`; the package `quiltwork` must be installed for it.
    pub fn python_workers(self, workers: usize) -> Self {
        Self { python_workers: workers, ..self }
    }

    /// The interpreter that workers for Python run.
    pub fn python(self, interpreter: impl Into<PathBuf>) -> Self {
        Self { python: Some(interpreter.into()), ..self }
    }

    /// Adds a folder in which workers for Python look for modules first. Default: the folder this program runs in.
    pub fn python_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.python_path.push(folder.into());
        self
    }

    /// Starts the cluster; ready when all workers have joined.
    ///
    /// # Errors
    /// If an option makes no sense, this process is a worker itself, or the workers do not join: because `main` never
    /// calls [`init`](crate::init), say, or because they end.
    ///
    /// # Panics
    /// If the program has two tasks of the same name in one module, such as within two functions.
    pub async fn start(self) -> Result<LocalCluster> {
        LocalCluster::start(self.plan()?).await
    }

    /// Like [`start`](Self::start), for programs without async.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    ///
    /// # Panics
    /// As for [`start`](Self::start).
    pub fn start_blocking(self) -> Result<LocalCluster> {
        LocalCluster::start_blocking(self.plan()?)
    }

    fn plan(self) -> Result<Plan> {
        init::refuse_uninitialised_child();
        init::refuse_inside_worker()?;
        // Two tasks of one name are told here and once, not by every worker.
        let _ = quiltwork_worker::registry_hash();
        let companies = self.companies();
        let workers = companies.iter().fold(0_usize, |all, company| all.saturating_add(company.workers));
        if workers == 0 {
            return Err(invalid("a cluster of 0 workers would never run a task", "ask for `.workers(1)` or more"));
        }
        check_at_most(workers, "workers")?;
        if self.slots == 0 {
            return Err(invalid("a worker with 0 slots would never run a task", "ask for `.slots(1)` or more"));
        }
        check_at_most(self.slots, "slots")?;
        if self.max_worker_deaths == Some(0) {
            return Err(invalid("no task can start if 0 worker deaths are allowed", "allow 1 or more"));
        }
        if !(1..=workers).contains(&self.nodes) {
            let message = format!("{} nodes for {workers} workers: each node needs a worker", self.nodes);
            return Err(invalid(message, "ask for 1 or more nodes, and no more than workers"));
        }
        Ok(Plan {
            mixed: self.python_workers > 0 || self.others.iter().any(|(_, workers)| *workers > 0),
            companies,
            workers,
            slots: u32::try_from(self.slots).expect("it is at most 1024"),
            memory: memory_of_each(self.memory_limit, workers)?,
            value_limit: self.value_limit.transpose()?,
            store: StorePlan {
                memory: self.shared_memory,
                memory_limit: self.store_limit.transpose()?,
                disk: self.spill,
                disk_limit: self.spill_limit.transpose()?,
            },
            nodes: self.nodes,
            named: named_resources(self.named)?,
            log: prepared(self.log)?,
            restart: self.restart,
            max_worker_deaths: self.max_worker_deaths,
        })
    }

    fn companies(&self) -> Vec<Company> {
        let arguments = &self.arguments;
        let own = self.program.clone().map(|program| Command { program, arguments: arguments.clone() });
        let own = Company { command: own, workers: self.workers.unwrap_or_else(machine::processors) };
        let others = self.others.iter().map(|(program, workers)| {
            let command = Command { program: program.clone(), arguments: Vec::new() };
            Company { command: Some(command), workers: *workers }
        });
        let python = python::command(self.python.clone(), self.slots, &self.python_path);
        let python = Company { command: Some(python), workers: self.python_workers };
        let all = [own].into_iter().chain(others).chain([python]);
        all.filter(|company| company.workers > 0).collect()
    }
}

fn check_at_most(count: usize, what: &str) -> Result<()> {
    if count <= MOST {
        return Ok(());
    }
    let message = format!("{count} {what} are more than a machine can use: at most {MOST}");
    Err(invalid(message, "about one per processor is fastest"))
}

fn memory_of_each(limit: Option<Result<u64>>, workers: usize) -> Result<u64> {
    match limit.transpose()? {
        Some(limit) if limit < LEAST_MEMORY => {
            let message = format!("a memory limit of {} leaves nothing to tasks", ByteCount(limit));
            Err(invalid(message, "allow 16 MiB or more, or leave it out for the default"))
        }
        Some(limit) => Ok(limit),
        None => Ok(machine::memory().map_or(UNKNOWN_MEMORY, |bytes| bytes / 5 * 4 / workers as u64).max(LEAST_MEMORY)),
    }
}

fn named_resources(mut named: Vec<NamedResource>) -> Result<Box<[NamedResource]>> {
    named.sort_by(|a, b| a.name.cmp(&b.name));
    if named.first().is_some_and(|resource| resource.name.is_empty()) {
        return Err(invalid("a resource needs a name", "write for example `.resource(\"gpu\", 1)`"));
    }
    if let Some(binding) = named.iter().find(|resource| resource.is_binding()) {
        let message = format!("the resource `{}` has a name by which the cluster binds tasks", binding.name);
        return Err(invalid(message, "let it begin with something else than `worker:`, `node:` and `runs:`"));
    }
    if let Some(pair) = named.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let message = format!("the resource `{}` is given twice", pair[0].name);
        return Err(invalid(message, "give the sum once"));
    }
    Ok(named.into_boxed_slice())
}

fn prepared(log: WorkerLog) -> Result<WorkerLog> {
    if let WorkerLog::Directory(folder) = &log {
        std::fs::create_dir_all(folder).map_err(|error| {
            let message = format!("cannot make the log folder `{}`: {error}", folder.display());
            Error::Local(Problem::new(message).with_hint("give a folder this user may write to"))
        })?;
    }
    Ok(log)
}

fn invalid(message: impl Into<String>, hint: &'static str) -> Error {
    Error::Invalid(Problem::new(message).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_hint() {
        let cases = [
            (builder().workers(0), "0 workers"),
            (builder().workers(1025), "1025 workers"),
            (builder().slots(0), "0 slots"),
            (builder().slots(usize::MAX), "slots are more"),
            (builder().memory_limit("much"), "`much`"),
            (builder().memory_limit(0), "memory limit of 0"),
            (builder().memory_limit("15MiB"), "memory limit of 15 MiB"),
            (builder().value_limit("-1"), "`-1`"),
            (builder().store_limit("full"), "`full`"),
            (builder().spill_limit("all"), "`all`"),
            (builder().workers(2).nodes(3), "3 nodes for 2 workers"),
            (builder().nodes(0), "0 nodes"),
            (builder().resource("", 1), "needs a name"),
            (builder().resource("gpu", 1).resource("gpu", 2), "`gpu` is given twice"),
            (builder().resource("worker:3", 1), "`worker:3` has a name"),
            (builder().max_worker_deaths(0), "0 worker deaths"),
            (builder().log(WorkerLog::Directory("/proc/none".into())), "/proc/none"),
        ];
        for (builder, said) in cases {
            let error = builder.plan().err().unwrap_or_else(|| panic!("accepted: {said}"));
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.hint().is_some(), "{error}");
            assert!(!error.is_retryable(), "{error}");
        }
    }

    #[test]
    fn defaults_fit_this_machine() {
        let plan = builder().plan().expect("the defaults make sense");
        assert_eq!((plan.workers, plan.companies.len()), (machine::processors(), 1));
        assert_eq!(plan.slots, 1);
        let all = machine::memory().expect("Linux tells");
        assert!(plan.memory > 0 && plan.memory * plan.workers as u64 <= all / 5 * 4);
        let half_of_it = builder().workers(2 * plan.workers).plan().expect("it makes sense").memory;
        assert_eq!(half_of_it, plan.memory / 2);
    }

    #[test]
    fn workers_of_several_programs_are_counted_together() {
        let mixed = builder().workers(2).workers_of("other", 3).workers_of("none", 0).python_workers(1);
        let plan = mixed.plan().expect("it makes sense");
        let workers: Vec<usize> = plan.companies.iter().map(|company| company.workers).collect();
        assert_eq!((workers, plan.workers, plan.mixed), (vec![2, 3, 1], 6, true));
        assert!(!builder().workers(1).plan().expect("it makes sense").mixed);
        assert!(builder().workers(0).python_workers(1).plan().expect("it makes sense").mixed);
        assert!(builder().workers(0).workers_of("other", 1).plan().expect("it makes sense").mixed);
        assert!(builder().workers(1).workers_of("other", usize::MAX).plan().is_err());
    }

    #[test]
    fn resources_are_sorted_by_name() {
        let plan = builder().resource("tpu", 1).resource("gpu", 2).plan().expect("it makes sense");
        let names: Vec<&str> = plan.named.iter().map(|resource| &*resource.name).collect();
        assert_eq!(names, ["gpu", "tpu"]);
    }
}
