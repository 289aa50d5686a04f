//! A pipeline with everything it was given: run on a cluster, in one thread, or left in the cluster. It describes no
//! step.
use super::dataset::{Dataset, Part};
use super::error::DataError;
use super::parameter::{Form, Given, Output};
use super::partitioned::Partitioned;
use super::plan::{Plan, Stage};
use super::record::Record;
use super::registry::Recipe;
use super::stages::{Place, make, piece, walk};
use crate::error::Problem;
use crate::{AsCompleted, Blob, Client, Error, Handle, TaskCall, as_completed};
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt;
use std::marker::PhantomData;
use std::pin::pin;

/// A pipeline and what it was given, to be run; made by a function that
/// [`#[quiltwork::pipeline]`](macro@crate::pipeline) stands on. Nothing runs before it is told to. It displays as its
/// stages.
#[must_use = "a pipeline does nothing until it is run"]
pub struct Pipeline<O> {
    prepared: Result<Prepared, DataError>,
    retries: u32,
    progress: bool,
    makes: PhantomData<fn() -> O>,
}

struct Prepared {
    name: &'static str,
    recipe: Recipe,
    plan: Plan,
    inputs: Vec<Vec<Part>>,
}

impl<O> Pipeline<O> {
    pub(crate) fn new<const N: usize>(name: &'static str, givens: [Given; N]) -> Self {
        Self { prepared: Prepared::new(name, givens), retries: 0, progress: false, makes: PhantomData }
    }

    /// How often a task that fails (an `Err` or a panic) may be tried again; 0 unless told otherwise. The death of a
    /// worker is no failure of a task and does not count.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Shows how many tasks are done, on standard error if that is a terminal.
    pub fn progress(mut self) -> Self {
        self.progress = true;
        self
    }
}

impl<O: Output> Pipeline<O> {
    /// Runs the pipeline on a cluster and brings its outputs here. If the future is dropped, the cluster gives up the
    /// run.
    ///
    /// # Errors
    /// If something given cannot travel, a step fails, or the link is lost.
    pub async fn run(self, client: &Client) -> crate::Result<O::Result> {
        let Submitted { pieces: outputs, tasks } = self.submit(client)?;
        let lengths: Vec<usize> = outputs.iter().map(Vec::len).collect();
        let pieces = watch(tasks, client.gather(outputs.into_iter().flatten())).await?;
        let mut pieces = pieces.into_iter();
        let mut outputs = lengths.into_iter().map(|length| pieces.by_ref().take(length).collect());
        O::read(&mut outputs).map_err(failed)
    }

    /// Runs the pipeline in this thread, without a cluster: the very same tasks, one after the other.
    ///
    /// # Errors
    /// If something given cannot travel, or a step fails.
    ///
    /// ```
    /// use quiltwork::data::{self, Partitioned, Single};
    ///
    /// #[quiltwork::pipeline]
    /// fn statistics(numbers: Partitioned<u64>, below: u64) -> (Single<u64>, Partitioned<(bool, u64)>) {
    ///     let small = numbers.filter(move |n| *n < below);
    ///     let by_parity = small.clone().key_by(|n| n % 2 == 0).reduce_by_key(|a, b| a + b);
    ///     (small.count(), by_parity.sort_by_key(|(even, _)| *even))
    /// }
    ///
    /// let numbers = data::from_iter(0..1000, 4)?;
    /// let (count, sums) = statistics(&numbers, 10).run_serially()?;
    /// assert_eq!((count, sums), (10, vec![(false, 25), (true, 20)]));
    /// # Ok::<(), data::DataError>(())
    /// ```
    pub fn run_serially(self) -> Result<O::Result, DataError> {
        let Prepared { recipe, inputs, .. } = self.prepared?;
        // As a worker would describe it.
        let plan = recipe.plan()?;
        let fetched = inputs.into_iter().map(|parts| parts.into_iter().map(Part::fetch).collect());
        let inputs = fetched.collect::<Result<Vec<Vec<Blob>>, _>>()?;
        let outputs = walk(&plan, inputs, |_, place, pieces| make(&plan, &place, pieces.into_iter().collect()))?;
        O::read(&mut outputs.into_iter())
    }

    /// Submits all tasks.
    fn submit(self, client: &Client) -> crate::Result<Submitted> {
        let (retries, progress) = (self.retries, self.progress);
        let Prepared { name: function, recipe, plan, inputs } = self.prepared.map_err(failed)?;
        let brought = inputs.into_iter().map(|parts| parts.into_iter().map(|part| part.bring(client)).collect());
        let inputs = brought.collect::<crate::Result<Vec<Vec<Handle<Blob>>>>>()?;
        let shared = client.put(&recipe)?;
        let name = function.rsplit("::").next().unwrap_or(function);
        let mut tasks = Vec::new();
        let pieces = walk(&plan, inputs, |stage, place, pieces| {
            let call = options(piece(function, &shared, place.clone(), pieces), name, stage, &place).retries(retries);
            let handle = client.submit(call);
            if progress {
                tasks.push(handle.clone());
            }
            Ok::<_, Error>(handle)
        })?;
        Ok(Submitted { pieces, tasks: progress.then(|| as_completed(tasks)) })
    }
}

impl<T: Record> Pipeline<Partitioned<T>> {
    /// Runs the pipeline on a cluster and leaves its records there, to be given to other pipelines. Returns when they
    /// are made.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub async fn persist(self, client: &Client) -> crate::Result<Dataset<T>> {
        let Submitted { pieces: mut outputs, tasks } = self.submit(client)?;
        let pieces = outputs.pop().expect("a partitioned output is one list of pieces");
        watch(tasks, all_made(&pieces)).await?;
        Ok(Dataset::new(pieces.into_iter().map(Part::InCluster).collect()))
    }
}

/// Later stages go first: what is there is used up before more is made.
fn options(call: TaskCall<Blob>, pipeline: &str, stage: &Stage, place: &Place) -> TaskCall<Blob> {
    let priority = i32::try_from(place.stage).unwrap_or(i32::MAX);
    let name = format!("{pipeline}: {} of partition {}", stage.steps, place.partition);
    call.named(name).priority(priority).partition(place.partition)
}

impl Prepared {
    fn new<const N: usize>(name: &'static str, givens: [Given; N]) -> Result<Self, DataError> {
        let (mut literals, mut inputs) = (Vec::new(), Vec::new());
        for Given(form) in givens {
            match form? {
                Form::Literal(bytes) => literals.push(bytes),
                Form::Data(parts) => inputs.push(parts),
            }
        }
        let (recipe, plan) = Recipe::new(name, literals)?;
        Ok(Self { name, recipe, plan, inputs })
    }
}

/// A run that is on its way.
struct Submitted {
    /// Of each output.
    pieces: Vec<Vec<Handle<Blob>>>,
    /// All tasks, if someone wants to see them end.
    tasks: Option<AsCompleted<Blob>>,
}

/// Waits until all pieces are made, wherever they are; ends with the first failure.
async fn all_made(pieces: &[Handle<Blob>]) -> crate::Result<()> {
    let mut ended = as_completed(pieces.iter().cloned());
    while let Some((_, piece)) = ended.next().await {
        piece.failure().map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Waits for the end, and shows meanwhile how many tasks are done.
async fn watch<F: Future>(tasks: Option<AsCompleted<Blob>>, end: F) -> F::Output {
    let Some(mut tasks) = tasks else { return end.await };
    let style = ProgressStyle::with_template("{bar:30.cyan/dim} {pos}/{len} tasks  {elapsed}");
    let bar = ProgressBar::new(tasks.len() as u64).with_style(style.expect("the template is a valid one"));
    let mut end = pin!(end);
    let output = loop {
        tokio::select! {
            output = &mut end => break output,
            Some(_) = tasks.next() => bar.inc(1),
        }
    };
    bar.finish_and_clear();
    output
}

fn failed(error: DataError) -> Error {
    match error {
        DataError::Cluster(error) => error,
        other => Error::Invalid(Problem::new(other.to_string())),
    }
}

impl<O> fmt::Display for Pipeline<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prepared {
            Ok(prepared) => prepared.plan.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

impl<O> fmt::Debug for Pipeline<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.prepared.as_ref().map(|prepared| &prepared.recipe.pipeline);
        f.debug_struct("Pipeline").field("name", &name).finish_non_exhaustive()
    }
}
