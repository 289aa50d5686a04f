//! What goes into a task's function and what comes out of it, as encoded bytes; it knows no task.
use crate::failure::TaskError;
use crate::reader::{Absences, ValueReader};
use bytes::Bytes;
use quiltwork_protocol::codec::{self, CodecError};
use quiltwork_types::{Encoding, TaskId};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The arguments of one attempt, taken one by one in the order of the function's parameters.
#[derive(Debug)]
pub struct Arguments {
    left: std::vec::IntoIter<Given>,
    taken: usize,
    /// Whether the result is wanted as plain data.
    plain: bool,
    /// Of those that are read piece by piece.
    absences: Arc<Absences>,
}

/// An argument, and the task whose result it is, if it is one.
pub(crate) type Given = (Option<TaskId>, Argument);

/// One argument, encoded.
#[derive(Debug)]
pub enum Argument {
    /// A literal or the result of another task.
    One((Encoding, Bytes)),
    /// A list made of the results of other tasks, each encoded by itself.
    List(Vec<(Encoding, Bytes)>),
    /// The result of another task, to be read piece by piece.
    Reader(ValueReader),
    /// A list made of the results of other tasks, each to be read piece by piece.
    Readers(Vec<ValueReader>),
}

impl Arguments {
    pub(crate) fn new(arguments: Vec<Given>, plain: bool, absences: Arc<Absences>) -> Self {
        Self { left: arguments.into_iter(), taken: 0, plain, absences }
    }

    /// Whether the result is wanted as plain data, which functions of every language read.
    #[must_use]
    pub fn wants_plain(&self) -> bool {
        self.plain
    }

    /// Where readers among the arguments note what they did not find.
    pub(crate) fn absences(&self) -> Arc<Absences> {
        Arc::clone(&self.absences)
    }

    /// Takes the next argument, which is for `parameter`.
    ///
    /// # Errors
    /// If there is none left, or it is not a value of type `T`.
    pub fn next<T: DeserializeOwned>(&mut self, parameter: &'static str) -> Result<T, TaskError> {
        self.next_with(parameter, |argument| match argument {
            Argument::One((encoding, bytes)) => codec::decode_value(encoding, &bytes),
            Argument::List(items) => codec::decode_list(&items),
            Argument::Reader(_) | Argument::Readers(_) => {
                let reason = "it is to be read piece by piece".to_owned();
                Err(CodecError::Decode { what: std::any::type_name::<T>(), reason })
            }
        })
    }

    /// Takes the next argument, which is for `parameter`, and reads it in a way of one's own.
    ///
    /// # Errors
    /// If there is none left, or it cannot be read.
    pub fn next_with<T>(
        &mut self,
        parameter: &'static str,
        read: impl FnOnce(Argument) -> Result<T, CodecError>,
    ) -> Result<T, TaskError> {
        self.taken += 1;
        let Some((maker, argument)) = self.left.next() else {
            return Err(self.refuse::<T>(parameter, "no argument was given for it".to_owned()));
        };
        read(argument).map_err(|error| {
            let made = maker.map(|task| format!("; it was made by {task}")).unwrap_or_default();
            self.refuse::<T>(parameter, format!("{error}{made}"))
        })
    }

    /// Says that the function has no further parameter.
    ///
    /// # Errors
    /// If there are arguments left.
    pub fn end(&self) -> Result<(), TaskError> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(TaskError::Surplus { taken: self.taken, given: self.taken + left }),
        }
    }

    /// Takes all arguments that are left.
    pub fn rest(&mut self) -> impl ExactSizeIterator<Item = Argument> {
        let rest = std::mem::take(&mut self.left);
        self.taken += rest.len();
        rest.map(|(_, argument)| argument)
    }

    fn refuse<T>(&self, parameter: &'static str, reason: String) -> TaskError {
        let expected = std::any::type_name::<T>();
        TaskError::Argument { parameter, number: self.taken, expected, reason }
    }
}

/// The encoded result of a task.
#[derive(Clone, Debug)]
pub struct Output {
    /// How to read it.
    pub encoding: Encoding,
    /// Its bytes.
    pub bytes: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    fn arguments(arguments: Vec<Argument>) -> Arguments {
        Arguments::new(arguments.into_iter().map(|argument| (None, argument)).collect(), false, Arc::default())
    }

    fn encoded<T: Serialize>(value: &T) -> (Encoding, Bytes) {
        (codec::encoding_of::<T>(), codec::encode_value(value).expect("plain data").into())
    }

    fn one<T: Serialize>(value: &T) -> Argument {
        Argument::One(encoded(value))
    }

    fn list<T: Serialize>(values: &[T]) -> Argument {
        Argument::List(values.iter().map(encoded).collect())
    }

    #[test]
    fn literals_and_lists_are_read_in_order() {
        let mut arguments = arguments(vec![one(&7_u32), list(&["a".to_owned(), "b".to_owned()]), list::<u8>(&[])]);
        assert_eq!(arguments.next::<u32>("n").unwrap(), 7);
        assert_eq!(arguments.next::<Vec<String>>("names").unwrap(), ["a", "b"]);
        assert_eq!(arguments.next::<Vec<u8>>("rest").unwrap(), []);
    }

    #[test]
    fn an_argument_of_another_type_is_refused_with_parameter_number_and_type() {
        let mut arguments = arguments(vec![one(&7_u32), one(&8_u32)]);
        arguments.next::<u32>("first").unwrap();
        let error = arguments.next::<String>("second").unwrap_err().to_string();
        assert!(error.starts_with("parameter `second` (number 2) expects a alloc::string::String: "), "{error}");
    }

    #[test]
    fn what_another_task_has_made_of_another_type_is_refused_with_that_task() {
        let maker = TaskId { job: quiltwork_types::JobId(1), index: 3 };
        let pickle = Argument::One((Encoding::Pickle, Bytes::from_static(b"x")));
        let mut arguments = Arguments::new(vec![(Some(maker), pickle)], false, Arc::default());
        let error = arguments.next::<u32>("n").unwrap_err().to_string();
        assert!(error.ends_with("of another type: a Python object in pickle; it was made by task 1.3"), "{error}");
    }

    #[test]
    fn an_argument_too_many_is_refused() {
        let mut arguments = arguments(vec![one(&7_u32), one(&8_u32)]);
        arguments.next::<u32>("n").unwrap();
        assert_eq!(arguments.end().unwrap_err().to_string(), "2 arguments were given, but it takes 1");
        arguments.next::<u32>("m").unwrap();
        arguments.end().unwrap();
    }

    #[test]
    fn an_argument_that_was_not_given_is_named() {
        let error = arguments(vec![]).next::<u32>("n").unwrap_err().to_string();
        assert!(error.contains("`n` (number 1)") && error.ends_with("no argument was given for it"), "{error}");
    }
}
