//! A partitioned data set inside a pipeline, and the steps that look at one record at a time: they are fused, nothing
//! runs.
use super::error::DataError;
use super::flow::{Flow, Inputs, pour};
use super::plan::{Draft, Feed, StageId, Width};
use super::record::Record;
use super::seen::mix;
use crate::Blob;
use std::fmt::{self, Display};

/// Records in partitions, described but not yet made: what a [`#[quiltwork::pipeline]`](macro@crate::pipeline) works
/// with.
///
/// Every method describes a step and returns at once. Steps that look at one record at a time cost no task of their
/// own: they run in the task that makes or reads the partition. A data set that is cloned and used twice is made twice,
/// unless [`persist`](Self::persist) says otherwise.
///
/// **Order.** The records of a data set have one order: partition after partition. Every step says what becomes of it,
/// and no step lets it depend on which task ends first.
#[must_use = "a step that nobody needs is left out"]
pub struct Partitioned<T> {
    pub(super) draft: Draft,
    pub(super) feeds: Vec<Feed>,
    pub(super) width: Width,
    pub(super) flow: Flow<T>,
    /// The steps since the last stage.
    pub(super) steps: Vec<&'static str>,
    /// The stage that left exactly these records.
    pub(super) made: Option<StageId>,
}

impl<T: 'static> Partitioned<T> {
    /// Changes every record.
    pub fn map<U: 'static>(self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Partitioned<U> {
        self.batchwise("map", move |batch| Ok(batch.into_iter().map(&change).collect()))
    }

    /// Changes every record, or fails: the first `Err` ends the run, or the attempt if there are
    /// [retries](super::Pipeline::retries) left.
    pub fn try_map<U: 'static, E: Display>(
        self,
        change: impl Fn(T) -> Result<U, E> + Send + Sync + 'static,
    ) -> Partitioned<U> {
        let change = move |record| change(record).map_err(|error| DataError::Step(error.to_string()));
        self.batchwise("try_map", move |batch| batch.into_iter().map(&change).collect())
    }

    /// Keeps the records for which `keep` is true.
    pub fn filter(self, keep: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.batchwise("filter", move |mut batch| {
            batch.retain(&keep);
            Ok(batch)
        })
    }

    /// Makes any number of records of each one, kept in its place.
    pub fn flat_map<I>(self, change: impl Fn(T) -> I + Send + Sync + 'static) -> Partitioned<I::Item>
    where
        I: IntoIterator<Item: 'static>,
    {
        self.batchwise("flat_map", move |batch| Ok(batch.into_iter().flat_map(&change).collect()))
    }

    /// Changes every partition as a whole. It is held in memory for that.
    pub fn map_partitions<U: 'static, I>(self, change: impl Fn(Vec<T>) -> I + Send + Sync + 'static) -> Partitioned<U>
    where
        I: IntoIterator<Item = U>,
    {
        self.fused("map_partitions", |upstream| {
            Flow::new(move |inputs, sink| pour(change(upstream.collect(inputs)?).into_iter(), sink))
        })
    }

    /// Puts a key before every record, which makes the steps by key possible.
    pub fn key_by<K: 'static>(self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Partitioned<(K, T)> {
        self.batchwise("key_by", move |batch| Ok(batch.into_iter().map(|record| (key(&record), record)).collect()))
    }

    /// Keeps about this part of the records (0 none, 1 all). The same seed keeps the same places of each partition,
    /// whatever stands there.
    pub fn sample(self, fraction: f64, seed: u64) -> Self {
        // A fraction of all numbers of 53 bits, which `f64` can tell apart.
        let below = (fraction.clamp(0.0, 1.0) * (1_u64 << 53) as f64).round();
        self.fused("sample", |upstream| {
            Flow::new(move |inputs, sink| {
                let seed = mix(seed ^ mix(u64::from(inputs.partition)));
                let mut place = 0;
                upstream.run(inputs, &mut |mut batch| {
                    batch.retain(|_| {
                        place += 1;
                        ((mix(seed ^ place) >> 11) as f64) < below
                    });
                    sink(batch)
                })
            })
        })
    }

    /// Another shape of the same records, which is no step of its own: `None` for what cannot be.
    pub(super) fn reshaped<U: 'static>(self, shape: fn(T) -> Option<U>) -> Partitioned<U> {
        let Self { draft, feeds, width, flow, steps, .. } = self;
        let flow = flow.then(move |batch| Ok(batch.into_iter().filter_map(shape).collect()));
        Partitioned { draft, feeds, width, flow, steps, made: None }
    }

    /// A step that is fused with those before it.
    pub(super) fn fused<U>(self, step: &'static str, change: impl FnOnce(Flow<T>) -> Flow<U>) -> Partitioned<U> {
        let Self { draft, feeds, width, flow, mut steps, .. } = self;
        steps.push(step);
        Partitioned { draft, feeds, width, flow: change(flow), steps, made: None }
    }

    fn batchwise<U: 'static>(
        self,
        step: &'static str,
        change: impl Fn(Vec<T>) -> Result<Vec<U>, DataError> + Send + Sync + 'static,
    ) -> Partitioned<U> {
        self.fused(step, |flow| flow.then(change))
    }

    /// Ends the fused steps with a stage whose tasks do `work` with the records.
    pub(super) fn into_stage<M>(
        mut self,
        step: &'static str,
        targets: Width,
        work: impl Fn(&Flow<T>, &Inputs) -> Result<Blob, DataError> + Send + Sync + 'static,
    ) -> StageId {
        self.steps.push(step);
        let Self { draft, feeds, width, flow, steps, .. } = self;
        draft.stage::<M>(steps.join(" → "), (width, targets), feeds, move |inputs| work(&flow, inputs))
    }
}

impl<T: Record> Partitioned<T> {
    /// Makes the records once, however often they are used, and keeps them with the workers meanwhile.
    pub fn persist(self) -> Self {
        let draft = self.draft.clone();
        Self::of_stage(draft, self.made())
    }

    /// What is given to a pipeline.
    pub(super) fn given(draft: Draft) -> Self {
        let stage = draft.given::<T>();
        Self::of_stage(draft, stage)
    }

    /// The stage that makes these records.
    pub(super) fn made(self) -> StageId {
        match self.made {
            Some(stage) => stage,
            None => self.into_stage::<T>("keep", Width::none(), Flow::write),
        }
    }

    /// The records a stage left.
    pub(super) fn of_stage(draft: Draft, stage: StageId) -> Self {
        let made = Some(stage);
        Self { made, ..Self::fed_by(draft, vec![Feed::Same(stage)], Width::of(stage), "read", Flow::of_feed(0)) }
    }
}

impl<T: 'static> Partitioned<T> {
    /// The records a flow makes of these feeds.
    pub(super) fn fed_by(draft: Draft, feeds: Vec<Feed>, width: Width, step: &'static str, flow: Flow<T>) -> Self {
        Self { draft, feeds, width, flow, steps: vec![step], made: None }
    }
}

impl<T> Clone for Partitioned<T> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            feeds: self.feeds.clone(),
            width: self.width.clone(),
            flow: self.flow.clone(),
            steps: self.steps.clone(),
            made: self.made,
        }
    }
}

impl<T> fmt::Debug for Partitioned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partitioned({} from {:?})", self.steps.join(" → "), self.feeds)
    }
}
