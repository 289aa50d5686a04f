//! Calls of functions in Python, which run on workers for Python; how their arguments travel, but not how they are run.
use crate::Handle;
use crate::argument::{Argument, Form, Portable, Source};
use crate::array::{Array, ArrayItem};
use crate::blob::Blob;
use crate::call::{NamedArgument, TaskCall, interned};
use crate::error::{Error, Problem};
use crate::graph::Value;
use quiltwork_protocol::encode_plain;
use quiltwork_types::{Encoding, is_python};
use serde::Serialize;
use std::fmt;
use std::marker::PhantomData;

/// A function in Python that makes a `T`, named `module:function`.
///
/// Its calls are tasks like any other: they have options, they take results of other tasks, and other tasks take theirs.
/// They run on the cluster's workers for Python ([`python_workers`](crate::LocalClusterBuilder::python_workers)).
///
/// What is given travels as plain data: numbers, text, lists, maps, and types that derive serde's two traits, which are
/// dicts in Python. A [`Blob`] is a `memoryview` there, and an [`Array`] an array of numpy's; neither is copied. What it
/// returns comes back the same way, so `T` is what that can be read as.
///
/// The name is kept for the life of the process.
///
/// ```no_run
/// # async fn run(cluster: quiltwork::LocalCluster) -> quiltwork::Result<()> {
/// let mean = quiltwork::python::<f64>("statistics:mean");
/// let result = cluster.client().submit(mean.call(([1.0, 2.0, 6.0],)).retries(2)).await?;
/// assert_eq!(result, 3.0);
/// # Ok(())
/// # }
/// ```
#[must_use = "a function does nothing until it is called"]
pub fn python<T>(function: &str) -> PythonFunction<T> {
    PythonFunction { name: interned(function), makes: PhantomData }
}

/// A function in Python; see [`python`].
pub struct PythonFunction<T> {
    name: &'static str,
    makes: PhantomData<fn() -> T>,
}

impl<T> PythonFunction<T> {
    /// A call with these arguments, to be submitted. A single argument is a tuple as well: `call((x,))`.
    pub fn call<Kinds>(&self, arguments: impl PythonArguments<Kinds>) -> TaskCall<T> {
        let call = TaskCall::by_name(self.name, arguments.into_arguments(self.name)).plain();
        if is_python(self.name) {
            return call;
        }
        let message = format!("`{}` is not the name of a function in Python", self.name);
        call.refused(Error::Invalid(Problem::new(message).with_hint("write `module:function`")))
    }
}

impl<T> Clone for PythonFunction<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for PythonFunction<T> {}

impl<T> fmt::Debug for PythonFunction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PythonFunction({})", self.name)
    }
}

/// Arguments that are themselves encoded.
#[doc(hidden)]
#[derive(Debug)]
pub enum Data {}

/// Arguments that are made of results. A list of these cannot be told from encoded data but by a type of its own.
#[doc(hidden)]
#[derive(Debug)]
pub enum Results {}

/// What may stand as an argument of a function in Python: plain data, bytes, arrays, and results of tasks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a function in Python",
    label = "not plain data, a `Blob`, an `Array` or a result",
    note = "plain data derives serde's `Serialize` (`cargo add serde --features derive`)",
    note = "a `TaskCall` becomes a `Value` by `graph.add(call)` and a `Handle` by `client.submit(call)`"
)]
pub trait PythonArgument<Kind> {
    #[doc(hidden)]
    fn into_plain(self, function: &'static str) -> Argument;
}

#[diagnostic::do_not_recommend]
impl<T: Serialize> PythonArgument<Data> for T {
    fn into_plain(self, _: &'static str) -> Argument {
        Argument(match encode_plain(&self) {
            Ok(bytes) => Form::Literal(Encoding::MessagePack, bytes.into()),
            Err(error) => Form::Unencodable(error.to_string()),
        })
    }
}

#[diagnostic::do_not_recommend]
impl PythonArgument<Data> for Blob {
    fn into_plain(self, _: &'static str) -> Argument {
        Argument::literal(&self)
    }
}

#[diagnostic::do_not_recommend]
impl<T: ArrayItem> PythonArgument<Data> for Array<T> {
    fn into_plain(self, _: &'static str) -> Argument {
        Argument::literal(&self)
    }
}

/// A result of a graph; when the call is added to it, its task is told to make it for every language.
#[diagnostic::do_not_recommend]
impl<T> PythonArgument<Results> for Value<T> {
    fn into_plain(self, _: &'static str) -> Argument {
        Argument(Form::Value(self.source()))
    }
}

#[diagnostic::do_not_recommend]
impl<T> PythonArgument<Results> for Vec<Value<T>> {
    fn into_plain(self, _: &'static str) -> Argument {
        Argument(Form::Values(self.iter().map(Value::source).collect()))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Portable> PythonArgument<Results> for Handle<T> {
    fn into_plain(self, function: &'static str) -> Argument {
        (&self).into_plain(function)
    }
}

#[diagnostic::do_not_recommend]
impl<T: Portable> PythonArgument<Results> for &Handle<T> {
    fn into_plain(self, function: &'static str) -> Argument {
        Argument(Form::Value(readable(self, function)))
    }
}

#[diagnostic::do_not_recommend]
impl<T: Portable> PythonArgument<Results> for Vec<Handle<T>> {
    fn into_plain(self, function: &'static str) -> Argument {
        Argument(Form::Values(self.iter().map(|handle| readable(handle, function)).collect()))
    }
}

/// The result, unless it is encoded for Rust alone.
fn readable<T: Portable>(handle: &Handle<T>, function: &str) -> Source {
    match handle.source() {
        Source::Handle(reference) if T::OF_RUST && !reference.cell().is_plain() => {
            let maker = reference.cell().name();
            let message =
                format!("`{function}` in Python cannot read the result of `{maker}`, which is made for Rust alone");
            let hint = "submit that task with `.plain()`, or bring the value with `Client::put_plain`";
            Source::Failed(Box::new(Error::Encode(Problem::new(message).with_hint(hint))))
        }
        source => source,
    }
}

/// The arguments of a function in Python: a tuple of up to eight.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the arguments of a function in Python",
    label = "not a tuple of arguments",
    note = "a single argument is a tuple as well: `(x,)`"
)]
pub trait PythonArguments<Kinds> {
    #[doc(hidden)]
    fn into_arguments(self, function: &'static str) -> Vec<NamedArgument>;
}

impl PythonArguments<()> for () {
    fn into_arguments(self, _: &'static str) -> Vec<NamedArgument> {
        Vec::new()
    }
}

macro_rules! tuples {
    ($(($($type:ident $kind:ident $name:ident $place:literal)*))*) => {$(
        impl<$($type: PythonArgument<$kind>, $kind),*> PythonArguments<($($kind,)*)> for ($($type,)*) {
            fn into_arguments(self, function: &'static str) -> Vec<NamedArgument> {
                let ($($name,)*) = self;
                vec![$(NamedArgument { parameter: $place, form: $name.into_plain(function).0 }),*]
            }
        }
    )*};
}

tuples! {
    (A KindA a "1")
    (A KindA a "1" B KindB b "2")
    (A KindA a "1" B KindB b "2" C KindC c "3")
    (A KindA a "1" B KindB b "2" C KindC c "3" D KindD d "4")
    (A KindA a "1" B KindB b "2" C KindC c "3" D KindD d "4" E KindE e "5")
    (A KindA a "1" B KindB b "2" C KindC c "3" D KindD d "4" E KindE e "5" F KindF f "6")
    (A KindA a "1" B KindB b "2" C KindC c "3" D KindD d "4" E KindE e "5" F KindF f "6" G KindG g "7")
    (A KindA a "1" B KindB b "2" C KindC c "3" D KindD d "4" E KindE e "5" F KindF f "6" G KindG g "7" H KindH h "8")
}
