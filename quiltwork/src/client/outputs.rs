//! What a run of a graph may be asked for: a value, a list of values, and tuples of these.
use super::handle::{Handle, Target};
use super::tally::all_here;
use crate::argument::Portable;
use crate::error::Result;
use crate::graph::{Value, ValueKey};
use std::task::{Poll, Waker};

/// The outputs of a graph: [`Value<T>`], `Vec<Value<T>>`, arrays and tuples of these, or `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the output of a graph",
    label = "expected `Value<_>`, a `Vec` or an array of them, or a tuple of these"
)]
pub trait Outputs: sealed::Outputs {
    /// What the run gives: `T` for each `Value<T>`.
    type Results: Send;
    /// Live references instead: `Handle<T>` for each `Value<T>`.
    type Handles: Send;

    #[doc(hidden)]
    fn handles(&self, targets: &mut dyn Iterator<Item = Target>) -> Self::Handles;
    #[doc(hidden)]
    fn results(&self, targets: &mut dyn Iterator<Item = Target>) -> Result<Self::Results>;
}

mod sealed {
    use crate::graph::ValueKey;

    pub trait Outputs: Send {
        /// Appends the outputs in their order.
        fn keys(&self, keys: &mut Vec<ValueKey>);
    }
}

/// The outputs in their order.
pub(super) fn keys_of(outputs: &impl Outputs) -> Vec<ValueKey> {
    let mut keys = Vec::new();
    outputs.keys(&mut keys);
    keys
}

/// Waits for all values and reads them.
pub(super) async fn results_of<O: Outputs>(outputs: O, targets: Vec<Target>) -> Result<O::Results> {
    let targets = all_here(targets).await?;
    outputs.results(&mut targets.into_iter())
}

/// Reads a value that is here.
pub(super) fn read<T: Portable>(target: &Target) -> Result<T> {
    match target.poll_result(Waker::noop()) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("a value that is here stays here"),
    }
}

fn next(targets: &mut dyn Iterator<Item = Target>) -> Target {
    targets.next().expect("one target for each key")
}

impl<T> sealed::Outputs for Value<T> {
    fn keys(&self, keys: &mut Vec<ValueKey>) {
        keys.push(self.key());
    }
}

#[diagnostic::do_not_recommend]
impl<T: Portable> Outputs for Value<T> {
    type Results = T;
    type Handles = Handle<T>;

    fn handles(&self, targets: &mut dyn Iterator<Item = Target>) -> Handle<T> {
        Handle::new(next(targets))
    }

    fn results(&self, targets: &mut dyn Iterator<Item = Target>) -> Result<T> {
        read(&next(targets))
    }
}

impl<O: sealed::Outputs> sealed::Outputs for Vec<O> {
    fn keys(&self, keys: &mut Vec<ValueKey>) {
        self.iter().for_each(|output| output.keys(keys));
    }
}

#[diagnostic::do_not_recommend]
impl<O: Outputs> Outputs for Vec<O> {
    type Results = Vec<O::Results>;
    type Handles = Vec<O::Handles>;

    fn handles(&self, targets: &mut dyn Iterator<Item = Target>) -> Self::Handles {
        self.iter().map(|output| output.handles(targets)).collect()
    }

    fn results(&self, targets: &mut dyn Iterator<Item = Target>) -> Result<Self::Results> {
        self.iter().map(|output| output.results(targets)).collect()
    }
}

impl<O: sealed::Outputs, const N: usize> sealed::Outputs for [O; N] {
    fn keys(&self, keys: &mut Vec<ValueKey>) {
        self.iter().for_each(|output| output.keys(keys));
    }
}

#[diagnostic::do_not_recommend]
impl<O: Outputs, const N: usize> Outputs for [O; N] {
    type Results = [O::Results; N];
    type Handles = [O::Handles; N];

    fn handles(&self, targets: &mut dyn Iterator<Item = Target>) -> Self::Handles {
        self.each_ref().map(|output| output.handles(targets))
    }

    fn results(&self, targets: &mut dyn Iterator<Item = Target>) -> Result<Self::Results> {
        let results = self.iter().map(|output| output.results(targets)).collect::<Result<Vec<_>>>()?;
        Ok(results.try_into().unwrap_or_else(|_| unreachable!("one result for each output")))
    }
}

/// Tuples of outputs are outputs.
macro_rules! tuples_are_outputs {
    ($(($($output:ident $place:tt),*))*) => {$(
        impl<$($output: sealed::Outputs),*> sealed::Outputs for ($($output,)*) {
            fn keys(&self, _keys: &mut Vec<ValueKey>) {
                $(self.$place.keys(_keys);)*
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($output: Outputs),*> Outputs for ($($output,)*) {
            type Results = ($($output::Results,)*);
            type Handles = ($($output::Handles,)*);

            #[allow(clippy::unused_unit, reason = "the empty tuple is a tuple like the others")]
            fn handles(&self, _targets: &mut dyn Iterator<Item = Target>) -> Self::Handles {
                ($(self.$place.handles(_targets),)*)
            }

            fn results(&self, _targets: &mut dyn Iterator<Item = Target>) -> Result<Self::Results> {
                Ok(($(self.$place.results(_targets)?,)*))
            }
        }
    )*};
}

tuples_are_outputs! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}
