//! What a whole data set comes to: one value, made of what every partition came to, in their order. Nothing runs here.
use super::error::DataError;
use super::flow::{Flow, Halt, Inputs};
use super::partitioned::Partitioned;
use super::piece::PieceWriter;
use super::plan::{Draft, Feed, StageId, Width};
use super::record::Record;
use std::fmt;
use std::sync::Arc;

/// One value that a pipeline makes, described but not yet made.
#[must_use = "a value that nobody needs is not made"]
pub struct Single<T> {
    draft: Draft,
    feeds: Vec<Feed>,
    steps: Vec<&'static str>,
    make: Arc<Makes<T>>,
}

type Makes<T> = dyn Fn(&Inputs) -> Result<T, DataError> + Send + Sync;

impl<T: 'static> Single<T> {
    /// What `make` makes of everything a stage left.
    pub(super) fn of_all(
        draft: Draft,
        stage: StageId,
        step: &'static str,
        make: impl Fn(&Inputs) -> Result<T, DataError> + Send + Sync + 'static,
    ) -> Self {
        Self { draft, feeds: vec![Feed::All(stage)], steps: vec![step], make: Arc::new(make) }
    }

    /// Changes the value.
    pub fn map<U: 'static>(mut self, change: impl Fn(T) -> U + Send + Sync + 'static) -> Single<U> {
        self.steps.push("map");
        let make = self.make;
        let make = Arc::new(move |inputs: &Inputs| make(inputs).map(&change));
        Single { draft: self.draft, feeds: self.feeds, steps: self.steps, make }
    }
}

impl<T: Record> Single<T> {
    /// The stage of one task that makes the value.
    pub(super) fn made(self) -> StageId {
        let Self { draft, feeds, steps, make } = self;
        let one = (Width::fixed(1), Width::none());
        draft.stage::<T>(steps.join(" → "), one, feeds, move |inputs| PieceWriter::note(&make(inputs)?))
    }
}

impl<T: 'static> Partitioned<T> {
    /// How many records there are.
    pub fn count(self) -> Single<u64> {
        self.folded("count", || 0, |count, _| count + 1, |sum, count| sum + count)
    }

    /// Folds the records of each partition, in their order and beginning with a clone of `init`, and joins what they
    /// come to, in the order of the partitions. A partition without records comes to `init`.
    pub fn fold<A>(
        self,
        init: A,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        join: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Single<A>
    where
        A: Record + Clone + Sync,
    {
        self.folded("fold", move || init.clone(), add, join)
    }

    /// Every partition comes to something, and these are joined; without partitions it is what `init` makes.
    pub(super) fn folded<A: Record>(
        self,
        step: &'static str,
        init: impl Fn() -> A + Clone + Send + Sync + 'static,
        add: impl Fn(A, T) -> A + Send + Sync + 'static,
        join: impl Fn(A, A) -> A + Send + Sync + 'static,
    ) -> Single<A> {
        let draft = self.draft.clone();
        let begin = init.clone();
        let stage = self.into_stage::<A>(step, Width::none(), move |flow, inputs| {
            let mut all = Some(begin());
            flow.for_each_batch(inputs, |batch| {
                let before = all.take().expect("it was put back");
                all = Some(batch.into_iter().fold(before, &add));
                Ok(())
            })?;
            PieceWriter::note(&all)
        });
        let make = move |inputs: &Inputs| {
            let parts = inputs.feed(0).iter().map(|piece| piece.note::<Option<A>>(0));
            let parts = parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
            Ok(parts.reduce(&join).unwrap_or_else(&init))
        };
        Single::of_all(draft, stage, step, make)
    }
}

impl<T: Record> Partitioned<T> {
    /// Joins all records, two and two, in their order; `None` if there are none. `join` must be associative, but need
    /// not be commutative.
    pub fn reduce(self, join: impl Fn(T, T) -> T + Clone + Send + Sync + 'static) -> Single<Option<T>> {
        let add = join.clone();
        let both = move |one: Option<T>, other: Option<T>| match (one, other) {
            (Some(one), Some(other)) => Some(join(one, other)),
            (one, None) => one,
            (None, other) => other,
        };
        let add = move |all: Option<T>, record| match all {
            Some(all) => Some(add(all, record)),
            None => Some(record),
        };
        self.folded("reduce", || None, add, both)
    }

    /// All records in one list, in their order.
    pub fn collect(self) -> Single<Vec<T>> {
        let draft = self.draft.clone();
        let stage = self.made();
        Single::of_all(draft, stage, "collect", |inputs| Flow::of_feed(0).collect(inputs))
    }

    /// The first `count` records, in one partition. Every partition is made as far as it may be needed.
    pub fn take(self, count: usize) -> Self {
        let draft = self.draft.clone();
        let stage = self.fused("take", |flow| first(flow, count)).made();
        let flow = first(Flow::of_feed(0), count);
        Self::fed_by(draft, vec![Feed::All(stage)], Width::fixed(1), "take", flow)
    }
}

/// The first `count` records of a flow; the rest is not made.
pub(super) fn first<T: 'static>(flow: Flow<T>, count: usize) -> Flow<T> {
    Flow::new(move |inputs, sink| {
        let mut left = count;
        if left == 0 {
            return Ok(());
        }
        let end = flow.run(inputs, &mut |mut batch| {
            batch.truncate(left);
            left -= batch.len();
            sink(batch)?;
            if left == 0 { Err(Halt::Enough) } else { Ok(()) }
        });
        match end {
            Err(Halt::Enough) if left == 0 => Ok(()),
            end => end,
        }
    })
}

impl<T> Clone for Single<T> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            feeds: self.feeds.clone(),
            steps: self.steps.clone(),
            make: Arc::clone(&self.make),
        }
    }
}

impl<T> fmt::Debug for Single<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Single({} from {:?})", self.steps.join(" → "), self.feeds)
    }
}
