//! What the macros' expansions call; no part of the public interface, free to change with the macros.
use crate::actor::{ActorType, Creation};
use crate::argument::{Argument, Portable};
use crate::call::TaskCall;
use crate::data::{self, Given, Pipeline};
use std::fmt::Display;
use std::ops::Deref;
use std::process::ExitCode;
use tokio::runtime::Builder;

pub use crate::actor::{Method, Resident, Run, job};
pub use crate::data::{Givens, PipelineEntry};
pub use inventory;
use quiltwork_worker::Argument as Encoded;
pub use quiltwork_worker::{
    ActorEntry, Arguments, Call, Instance, Product, TaskEntry, TaskError, block_on, copied_bytes, sent_bytes,
};

/// The call of a task by its path.
pub fn task_call<T, const N: usize>(path: &'static str, arguments: [(&'static str, Argument); N]) -> TaskCall<T> {
    TaskCall::new(path, arguments)
}

/// The call of an actor's constructor by its path.
pub fn creation<T: ActorType, const N: usize>(
    path: &'static str,
    arguments: [(&'static str, Argument); N],
) -> Creation<T> {
    Creation::new(path, arguments)
}

/// The pipeline by its path, with what it was given.
pub fn pipeline<O, const N: usize>(path: &'static str, givens: [Given; N]) -> Pipeline<O> {
    Pipeline::new(path, givens)
}

/// Takes the next argument of an attempt.
///
/// # Errors
/// If it is not there or not a `T`.
pub fn next_argument<T: Portable>(arguments: &mut Arguments, parameter: &'static str) -> Result<T, TaskError> {
    arguments.next_with(parameter, |argument| match argument {
        Encoded::One(value) => T::from_encoded(&value),
        Encoded::List(items) => T::from_list(&items),
        Encoded::Reader(reader) => T::from_reader(reader),
        Encoded::Readers(readers) => T::from_readers(readers),
    })
}

/// Encodes the result of an attempt as it is wanted.
///
/// # Errors
/// If it cannot be encoded.
pub fn finish<T: Portable>(arguments: &Arguments, output: T) -> Result<Product, TaskError> {
    let pieces = if arguments.wants_plain() {
        output.to_plain().map(|(encoding, bytes)| (encoding, vec![bytes]))
    } else {
        output.to_pieces()
    };
    let (encoding, pieces) = pieces.map_err(|error| TaskError::Unencodable(error.to_string()))?;
    Ok(Product::joined(encoding, pieces))
}

/// What workers run for the tasks of every pipeline.
///
/// # Errors
/// If the pipeline is another one here, or a step fails.
pub fn make_piece(arguments: &mut Arguments) -> Result<Product, TaskError> {
    let (recipe, place) = (next_argument(arguments, "recipe")?, next_argument(arguments, "place")?);
    let pieces = next_argument(arguments, "pieces")?;
    arguments.end()?;
    let made = data::make_piece(recipe, place, pieces);
    finish(arguments, made.map_err(|error| TaskError::user(&error))?)
}

/// What a function written to return a `Result` gives when it succeeds, whatever the alias is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `std::result::Result`",
    label = "a task that returns a type called `Result` must return the standard one, or an alias of it"
)]
pub trait TaskReturn {
    /// The type of the `Ok`.
    type Value;
}

impl<T, E> TaskReturn for Result<T, E> {
    type Value = T;
}

/// An error on its way to the client. The three traits below are tried in the order of their references, so that
/// `(&&&Fault(&error)).task_error()` keeps as much of the error as its type has.
#[derive(Debug)]
pub struct Fault<'a, E>(pub &'a E);

/// For errors: their sources travel too.
pub trait ViaError {
    /// The error as it travels.
    fn task_error(&self) -> TaskError;
}

/// For what dereferences to an error, such as `anyhow::Error` and `Box<dyn Error>`.
pub trait ViaDeref {
    /// The error as it travels.
    fn task_error(&self) -> TaskError;
}

/// For everything else.
pub trait ViaDisplay<E> {
    /// The error as it travels.
    fn task_error(&self) -> TaskError
    where
        E: Display;
}

impl<E: std::error::Error> ViaError for &&Fault<'_, E> {
    fn task_error(&self) -> TaskError {
        TaskError::user(self.0)
    }
}

impl<E: Deref<Target: std::error::Error>> ViaDeref for &Fault<'_, E> {
    fn task_error(&self) -> TaskError {
        TaskError::user(&**self.0)
    }
}

impl<E> ViaDisplay<E> for Fault<'_, E> {
    fn task_error(&self) -> TaskError
    where
        E: Display,
    {
        TaskError::displayed(self.0)
    }
}

/// What `main` may return.
#[diagnostic::on_unimplemented(
    message = "`main` cannot return `{Self}`",
    label = "expected `()`, `ExitCode`, or a `Result` of one of them whose error is `Display`"
)]
pub trait MainReturn {
    /// Ends the program: an error is printed.
    fn report(self) -> ExitCode;
}

impl MainReturn for () {
    fn report(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl MainReturn for ExitCode {
    fn report(self) -> ExitCode {
        self
    }
}

impl<T: MainReturn, E: Display> MainReturn for Result<T, E> {
    fn report(self) -> ExitCode {
        self.map_or_else(
            |error| {
                // With `#`, errors that know their sources print them on the same line.
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            },
            MainReturn::report,
        )
    }
}

/// Runs an async `main`.
///
/// # Panics
/// If the system does not give what an event loop needs.
pub fn run_async<F: Future>(main: F) -> F::Output {
    let runtime =
        Builder::new_current_thread().enable_all().build().expect("the system gives what an event loop needs");
    runtime.block_on(main)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// What a user's error becomes on its way: message and causes.
    macro_rules! travelled {
        ($error:expr) => {
            match (&&&Fault(&$error)).task_error() {
                TaskError::User { message, chain, .. } => (message, chain),
                other => panic!("{other:?}"),
            }
        };
    }

    fn caused() -> io::Error {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read part 3")]
        struct Reading(#[source] io::Error);
        io::Error::other(Reading(io::Error::other("the disk is gone")))
    }

    #[test]
    fn errors_travel_with_their_causes_whatever_wraps_them() {
        let message = "cannot read part 3".to_owned();
        let expected = (message, vec!["the disk is gone".to_owned()]);
        assert_eq!(travelled!(caused()), expected);
        assert_eq!(travelled!(Box::<dyn std::error::Error>::from(caused())), expected);
        assert_eq!(travelled!(Box::<dyn std::error::Error + Send + Sync>::from(caused())), expected);
        assert_eq!(travelled!(anyhow::Error::from(caused())), expected);
    }

    #[test]
    fn what_can_only_be_displayed_travels_by_its_text() {
        assert_eq!(travelled!("no".to_owned()), ("no".to_owned(), vec![]));
        assert_eq!(travelled!(7), ("7".to_owned(), vec![]));
    }

    #[test]
    fn a_program_that_fails_says_so_by_its_status() {
        assert_eq!(MainReturn::report(()), ExitCode::SUCCESS);
        assert_eq!(MainReturn::report(Ok::<_, String>(ExitCode::from(3))), ExitCode::from(3));
        assert_eq!(MainReturn::report(Err::<(), _>("no")), ExitCode::FAILURE);
    }
}
