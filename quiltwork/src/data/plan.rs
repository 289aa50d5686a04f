//! What a pipeline is made of before anything runs: stages that feed each other. It knows no records and no cluster.
use super::error::DataError;
use super::flow::Inputs;
use super::seen::FixedHasher;
use crate::Blob;
use std::any::type_name;
use std::cell::RefCell;
use std::fmt;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;

/// One of a plan's stages, by its place.
pub(super) type StageId = usize;

/// What a stage's task takes from another stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Feed {
    /// What was made of the same partition.
    Same(StageId),
    /// What every task of that stage meant for this partition.
    Bucket(StageId),
    /// Everything.
    All(StageId),
}

impl Feed {
    pub(super) const fn stage(self) -> StageId {
        match self {
            Self::Same(stage) | Self::Bucket(stage) | Self::All(stage) => stage,
        }
    }
}

/// How many partitions: so many, or as many as the widest of some stages has, which is known only when the inputs are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Width {
    fixed: u32,
    of: Vec<StageId>,
}

/// What a stage's task does.
pub(super) type Work = Arc<dyn Fn(&Inputs) -> Result<Blob, DataError> + Send + Sync>;

/// One task for each of some partitions.
pub(super) struct Stage {
    /// The steps it is made of, as people call them.
    pub(super) steps: String,
    /// The type of what it makes.
    pub(super) makes: &'static str,
    pub(super) width: Width,
    /// Into how many parts each task splits what it makes.
    pub(super) targets: Width,
    pub(super) feeds: Vec<Feed>,
    /// `None` for what is given to the pipeline.
    pub(super) work: Option<Work>,
}

/// The stages so far of a plan that is being made. Clones are the same plan.
#[derive(Clone, Default)]
pub(super) struct Draft(Rc<RefCell<Vec<Stage>>>);

impl Draft {
    /// Adds a stage whose tasks do `work`, and make an `M` of each partition, or one for each target.
    pub(super) fn stage<M>(
        &self,
        steps: impl Into<String>,
        (width, targets): (Width, Width),
        feeds: Vec<Feed>,
        work: impl Fn(&Inputs) -> Result<Blob, DataError> + Send + Sync + 'static,
    ) -> StageId {
        let work: Option<Work> = Some(Arc::new(work));
        self.add(Stage { steps: steps.into(), makes: type_name::<M>(), width, targets, feeds, work })
    }

    /// Adds what will be given to the pipeline: partitions of `T`.
    pub(super) fn given<T>(&self) -> StageId {
        let (steps, makes) = ("given".to_owned(), type_name::<T>());
        let (width, targets) = (Width::none(), Width::none());
        self.add(Stage { steps, makes, width, targets, feeds: Vec::new(), work: None })
    }

    fn add(&self, stage: Stage) -> StageId {
        let mut stages = self.0.borrow_mut();
        stages.push(stage);
        stages.len() - 1
    }

    /// The plan that makes these stages; whatever nobody needs is left out when it runs.
    pub(super) fn finish(self, roots: Vec<StageId>) -> Plan {
        Plan { stages: self.0.take(), roots }
    }
}

/// All stages of a pipeline, each after those that feed it.
pub(super) struct Plan {
    stages: Vec<Stage>,
    roots: Vec<StageId>,
}

impl Plan {
    pub(super) fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The stages whose pieces are the pipeline's output.
    pub(super) fn roots(&self) -> &[StageId] {
        &self.roots
    }

    /// A number that differs if another plan was made.
    pub(super) fn fingerprint(&self) -> u64 {
        let stages =
            self.stages.iter().map(|stage| (&stage.steps, stage.makes, &stage.width, &stage.targets, &stage.feeds));
        FixedHasher::default().hash_one((stages.collect::<Vec<_>>(), &self.roots))
    }

    /// Which stages must run.
    pub(super) fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.stages.len()];
        self.roots.iter().for_each(|root| needed[*root] = true);
        for (at, stage) in self.stages.iter().enumerate().rev() {
            if needed[at] {
                stage.feeds.iter().for_each(|feed| needed[feed.stage()] = true);
            }
        }
        needed
    }

    /// How many partitions every stage has, if the inputs have so many.
    pub(super) fn widths(&self, inputs: &[u32]) -> Vec<u32> {
        let mut inputs = inputs.iter();
        let mut widths = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let width = match stage.work {
                Some(_) => stage.width.among(&widths),
                None => *inputs.next().expect("a plan takes the inputs it was made for"),
            };
            widths.push(width);
        }
        widths
    }
}

impl Width {
    /// Of a stage that splits nothing.
    pub(super) fn none() -> Self {
        Self::default()
    }

    pub(super) const fn fixed(fixed: u32) -> Self {
        Self { fixed, of: Vec::new() }
    }

    /// As many as that stage has.
    pub(super) fn of(stage: StageId) -> Self {
        Self { fixed: 0, of: vec![stage] }
    }

    /// The wider of both.
    pub(super) fn wider(mut self, other: Self) -> Self {
        self.of.extend(other.of);
        Self { fixed: self.fixed.max(other.fixed), of: self.of }
    }

    /// The number, if stages have so many partitions.
    pub(super) fn among(&self, widths: &[u32]) -> u32 {
        self.of.iter().map(|stage| widths[*stage]).fold(self.fixed, u32::max)
    }
}

/// One line for each stage: what it does and what feeds it.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed = self.needed();
        for (at, stage) in self.stages.iter().enumerate().filter(|(at, _)| needed[*at]) {
            write!(f, "{at}: {}", stage.steps)?;
            for (feed, word) in stage.feeds.iter().zip(std::iter::once("from").chain(std::iter::repeat("and"))) {
                let manner = match feed {
                    Feed::Same(_) => "",
                    Feed::Bucket(_) => "its parts of ",
                    Feed::All(_) => "all of ",
                };
                write!(f, " {word} {manner}{}", feed.stage())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
