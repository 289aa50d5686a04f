//! How a worker for Python is started from a program in Rust; it starts none.
use super::builder::Command;
use crate::error::Problem;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable that names the interpreter.
const VARIABLE: &str = "QUILTWORK_PYTHON";
/// The interpreter unless told otherwise.
const USUAL_NAME: &str = "python3";

/// What the interpreter ends with that has no package `quiltwork`.
pub(super) const STATUS_NO_PACKAGE: i32 = 79;

/// What a worker runs. The package is looked for first where the interpreter has it, and not in the folder this process
/// happens to be in; from then on modules are looked for in the folders that were named.
const BEGINNING: &str = "\
import sys
if sys.path[:1] == ['']:
    del sys.path[0]
try:
    from quiltwork.worker import main
except ModuleNotFoundError as error:
    if error.name != 'quiltwork':
        raise
    sys.exit(79)
sys.path[:0] = sys.argv[2:]
main(sys.argv[1])
";

/// The command of a worker for so many tasks at a time, which looks for modules in these folders first.
pub(super) fn command(interpreter: Option<PathBuf>, slots: usize, folders: &[PathBuf]) -> Command {
    let named = || std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let program = interpreter.or_else(named).unwrap_or_else(|| PathBuf::from(USUAL_NAME));
    let here = [PathBuf::from(".")];
    let folders = if folders.is_empty() { &here[..] } else { folders };
    let absolute = folders.iter().map(|folder| std::path::absolute(folder).unwrap_or_else(|_| folder.clone()));
    let arguments = ["-c".into(), BEGINNING.into(), slots.to_string().into()].into_iter();
    Command { program, arguments: arguments.chain(absolute.map(OsString::from)).collect() }
}

/// The interpreter has no package `quiltwork`.
pub(super) fn no_package(program: &Path) -> Problem {
    let message = format!("`{}` cannot be started as a worker: it has no package `quiltwork`", program.display());
    let hint = "install it for this interpreter (`pip install ./python` in Quiltwork's folder), or name another one by \
        `.python(…)` or the environment variable QUILTWORK_PYTHON";
    Problem::new(message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_that_is_understood_is_the_one_the_interpreter_ends_with() {
        assert!(BEGINNING.contains(&format!("sys.exit({STATUS_NO_PACKAGE})")));
    }

    #[test]
    fn modules_are_looked_for_in_the_folders_that_were_named_wherever_the_worker_runs() {
        let command = command(Some("/usr/bin/python3".into()), 2, &["tasks".into(), "/lib".into()]);
        let here = std::env::current_dir().expect("there is one");
        let expected = [OsString::from("2"), here.join("tasks").into(), "/lib".into()];
        assert_eq!((&*command.program, &command.arguments[2..]), (Path::new("/usr/bin/python3"), &expected[..]));
    }
}
