//! A plan becomes tasks, one for each partition of each stage: the same walk and the same function for a cluster and one
//! thread.
use super::error::DataError;
use super::flow::Inputs;
use super::piece::Piece;
use super::plan::{Feed, Plan, Stage};
use super::registry::Recipe;
use crate::{Blob, BlobReaders, Handle, IntoArgument, TaskCall};
use serde::{Deserialize, Serialize};

/// Which task of a plan it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(super) stage: u32,
    pub(super) partition: u32,
    targets: u32,
    /// How many pieces there are of each feed.
    feeds: Vec<u32>,
}

/// The call that makes one partition of one stage. Its function is called like the pipeline, so it runs where that is
/// known.
pub(super) fn piece(
    pipeline: &'static str,
    recipe: &Handle<Recipe>,
    place: Place,
    fed: Vec<Handle<Blob>>,
) -> TaskCall<Blob> {
    let pieces = IntoArgument::<BlobReaders>::into_argument(fed);
    TaskCall::new(pipeline, [("recipe", recipe.into_argument()), ("place", place.into_argument()), ("pieces", pieces)])
}

/// What that task does. It describes the pipeline anew: that is how closures get here.
pub(crate) fn make_piece(recipe: Recipe, place: Place, pieces: BlobReaders) -> Result<Blob, DataError> {
    let plan = recipe.plan()?;
    make(&plan, &place, pieces)
}

/// Makes one partition of one stage of a plan.
pub(super) fn make(plan: &Plan, place: &Place, pieces: BlobReaders) -> Result<Blob, DataError> {
    let stage = plan.stages().get(place.stage as usize);
    let Some(work) = stage.and_then(|stage| stage.work.as_ref()) else {
        return Err(DataError::Damaged(format!("there is no stage {} to make", place.stage)));
    };
    let mut pieces = pieces.into_iter().map(Piece::from);
    let feeds = place.feeds.iter().map(|count| pieces.by_ref().take(*count as usize).collect()).collect();
    work(&Inputs { partition: place.partition, targets: place.targets, feeds })
}

/// Walks through all that must be made, each task after those that feed it, and returns the pieces of each output.
/// A piece is whatever `task` says: here, or a promise.
pub(super) fn walk<P: Clone, E>(
    plan: &Plan,
    inputs: Vec<Vec<P>>,
    mut task: impl FnMut(&Stage, Place, Vec<P>) -> Result<P, E>,
) -> Result<Vec<Vec<P>>, E> {
    let counts: Vec<u32> = inputs.iter().map(|pieces| small(pieces.len())).collect();
    let widths = plan.widths(&counts);
    let mut inputs = inputs.into_iter();
    let mut made: Vec<Vec<P>> = Vec::new();
    for ((at, stage), needed) in plan.stages().iter().enumerate().zip(plan.needed()) {
        let pieces = match stage.work {
            None => inputs.next().expect("a plan takes the inputs it was made for"),
            Some(_) if !needed => Vec::new(),
            Some(_) => {
                let targets = stage.targets.among(&widths);
                let piece = |partition| {
                    let (pieces, feeds) = fed(stage, partition, &made);
                    task(stage, Place { stage: small(at), partition, targets, feeds }, pieces)
                };
                (0..widths[at]).map(piece).collect::<Result<_, E>>()?
            }
        };
        made.push(pieces);
    }
    Ok(plan.roots().iter().map(|root| made[*root].clone()).collect())
}

/// The pieces that feed a task, and how many there are of each feed.
fn fed<P: Clone>(stage: &Stage, partition: u32, made: &[Vec<P>]) -> (Vec<P>, Vec<u32>) {
    let mut pieces = Vec::new();
    let feeds = stage.feeds.iter().map(|feed| {
        let before = pieces.len();
        match feed {
            Feed::Same(from) => pieces.push(made[*from][partition as usize].clone()),
            Feed::Bucket(from) | Feed::All(from) => pieces.extend(made[*from].iter().cloned()),
        }
        small(pieces.len() - before)
    });
    let feeds = feeds.collect();
    (pieces, feeds)
}

fn small(count: usize) -> u32 {
    u32::try_from(count).expect("2³² partitions do not fit into memory")
}
