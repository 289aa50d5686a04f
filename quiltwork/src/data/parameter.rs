//! What pipelines take and what they make: parameters, what may stand for them, and outputs. Nothing runs here.
use super::dataset::{Dataset, Part, one_each};
use super::error::DataError;
use super::flow::Sections;
use super::partition::FilePartition;
use super::partitioned::Partitioned;
use super::piece::Piece;
use super::plan::{Draft, Plan, StageId};
use super::record::Record;
use super::single::Single;
use crate::Blob;
use bytes::Bytes;
use std::vec;

/// What a pipeline may take: data sets, as [`Partitioned`], and whatever is [`Record`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a pipeline",
    label = "expected a `Partitioned<_>` or a portable type",
    note = "a portable type derives serde's `Serialize` and `Deserialize`, is `Send` and owns what it holds"
)]
pub trait Parameter: Sized {
    #[doc(hidden)]
    fn take(givens: &mut Givens, parameter: &'static str) -> Result<Self, DataError>;
}

#[diagnostic::do_not_recommend]
impl<T: Record> Parameter for T {
    fn take(givens: &mut Givens, parameter: &'static str) -> Result<Self, DataError> {
        let bytes = givens.literals.next();
        let bytes = bytes.ok_or_else(|| DataError::Damaged(format!("parameter `{parameter}` was not given")))?;
        crate::from_bytes(&bytes).map_err(|error| DataError::Damaged(format!("parameter `{parameter}`: {error}")))
    }
}

impl<T: Record> Parameter for Partitioned<T> {
    fn take(givens: &mut Givens, _parameter: &'static str) -> Result<Self, DataError> {
        Ok(Self::given(givens.draft.clone()))
    }
}

/// What may stand where a pipeline takes a `P`: a [`Dataset`] of `T` for a `Partitioned<T>`, the file partitions of a
/// [`Listing`](super::Listing) for a `Partitioned<FilePartition>`, and a `P` itself if it is portable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be given where the pipeline takes `{P}`",
    label = "expected `{P}`, or a `Dataset` of its records if it is partitioned",
    note = "`quiltwork::data::from_iter` makes a `Dataset` of anything that can be iterated"
)]
pub trait IntoParameter<P> {
    #[doc(hidden)]
    fn into_parameter(self) -> Given;
}

/// Something given to a pipeline.
#[doc(hidden)]
pub struct Given(pub(super) Result<Form, DataError>);

pub(super) enum Form {
    Literal(Bytes),
    Data(Vec<Part>),
}

#[diagnostic::do_not_recommend]
impl<T: Record> IntoParameter<T> for T {
    fn into_parameter(self) -> Given {
        let encoded = crate::to_bytes(&self).map_err(|error| DataError::Unencodable(error.to_string()));
        Given(encoded.map(|bytes| Form::Literal(bytes.into())))
    }
}

#[diagnostic::do_not_recommend]
impl IntoParameter<String> for &str {
    fn into_parameter(self) -> Given {
        self.to_owned().into_parameter()
    }
}

#[diagnostic::do_not_recommend]
impl<T: Record> IntoParameter<Partitioned<T>> for Dataset<T> {
    fn into_parameter(self) -> Given {
        Given(Ok(Form::Data(self.into_parts())))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Record> IntoParameter<Partitioned<T>> for &Dataset<T> {
    fn into_parameter(self) -> Given {
        self.clone().into_parameter()
    }
}

#[diagnostic::do_not_recommend]
impl IntoParameter<Partitioned<FilePartition>> for Vec<FilePartition> {
    fn into_parameter(self) -> Given {
        Given(one_each(self).map(|files| Form::Data(files.into_parts())))
    }
}

/// What a pipeline makes: [`Partitioned`] and [`Single`], and arrays and tuples of these.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be what a pipeline makes",
    label = "expected `Partitioned<_>`, `Single<_>`, or an array or a tuple of these"
)]
pub trait Output {
    /// What running it gives: a `Vec<T>` for each `Partitioned<T>`, a `T` for each `Single<T>`.
    type Result: Send;

    #[doc(hidden)]
    fn roots(self, roots: &mut Vec<StageId>);
    #[doc(hidden)]
    fn read(blobs: &mut dyn Iterator<Item = Vec<Blob>>) -> Result<Self::Result, DataError>;
}

impl<T: Record> Output for Partitioned<T> {
    type Result = Vec<T>;

    fn roots(self, roots: &mut Vec<StageId>) {
        roots.push(self.made());
    }

    fn read(blobs: &mut dyn Iterator<Item = Vec<Blob>>) -> Result<Vec<T>, DataError> {
        let pieces: Vec<Piece> = next(blobs).into_iter().map(Piece::from).collect();
        let mut records = Vec::new();
        for batch in Sections::All.batches(&pieces) {
            records.append(&mut batch?);
        }
        Ok(records)
    }
}

impl<T: Record> Output for Single<T> {
    type Result = T;

    fn roots(self, roots: &mut Vec<StageId>) {
        roots.push(self.made());
    }

    fn read(blobs: &mut dyn Iterator<Item = Vec<Blob>>) -> Result<T, DataError> {
        let blob = next(blobs).pop().expect("a single value is one piece");
        Piece::from(blob).note(0)
    }
}

fn next(blobs: &mut dyn Iterator<Item = Vec<Blob>>) -> Vec<Blob> {
    blobs.next().expect("there are pieces of every output")
}

impl<O: Output, const N: usize> Output for [O; N] {
    type Result = [O::Result; N];

    fn roots(self, roots: &mut Vec<StageId>) {
        self.into_iter().for_each(|output| output.roots(roots));
    }

    fn read(blobs: &mut dyn Iterator<Item = Vec<Blob>>) -> Result<Self::Result, DataError> {
        let results = (0..N).map(|_| O::read(blobs)).collect::<Result<Vec<_>, _>>()?;
        Ok(results.try_into().unwrap_or_else(|_| unreachable!("one result for each output")))
    }
}

/// Tuples of outputs are outputs.
macro_rules! tuples_are_outputs {
    ($(($($output:ident $place:tt),*))*) => {$(
        impl<$($output: Output),*> Output for ($($output,)*) {
            type Result = ($($output::Result,)*);

            fn roots(self, roots: &mut Vec<StageId>) {
                $(self.$place.roots(roots);)*
            }

            fn read(blobs: &mut dyn Iterator<Item = Vec<Blob>>) -> Result<Self::Result, DataError> {
                Ok(($($output::read(blobs)?,)*))
            }
        }
    )*};
}

tuples_are_outputs! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
}

/// What was given to a pipeline, taken one by one in the order of its parameters, and the plan that grows from it.
#[doc(hidden)]
pub struct Givens {
    literals: vec::IntoIter<Bytes>,
    draft: Draft,
}

impl Givens {
    pub(super) fn new(literals: Vec<Bytes>) -> Self {
        Self { literals: literals.into_iter(), draft: Draft::default() }
    }

    /// The next parameter.
    ///
    /// # Errors
    /// If it is not there or not a `P`.
    pub fn next<P: Parameter>(&mut self, parameter: &'static str) -> Result<P, DataError> {
        P::take(self, parameter)
    }

    /// Ends the plan with what the pipeline makes.
    pub fn finish<O: Output>(self, output: O) -> Blueprint {
        let mut roots = Vec::new();
        output.roots(&mut roots);
        Blueprint(self.draft.finish(roots))
    }
}

/// The plan of a pipeline.
#[doc(hidden)]
pub struct Blueprint(pub(super) Plan);
