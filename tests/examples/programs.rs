//! Builds the examples once and runs them; what they print is judged by the tests.
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::Duration;

/// A guard against hanging, far beyond what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a program did.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The standard output of a program that ended well, which must be one JSON document.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert!(self.success, "the program failed:\n{}", self.stderr);
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not one JSON document ({e}):\n{}", self.stdout))
    }
}

/// Where an example was built, in the profile of this test.
pub(crate) fn example(name: &str) -> &'static Path {
    static BUILT: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(build);
    BUILT.get(name).unwrap_or_else(|| panic!("there is no example {name}"))
}

/// Runs an example to its end.
pub(crate) fn run(name: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new(example(name));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    let (done, ended) = mpsc::channel();
    thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        kill(pid, Signal::SIGKILL).expect("it still runs");
        panic!("{name} {arguments:?} hangs");
    };
    let output = output.expect("its output can be read");
    let text = |bytes| String::from_utf8(bytes).expect("programs print UTF-8");
    Run { success: output.status.success(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What the head of an example's source shows as its output.
pub(crate) fn promised(source: &str) -> String {
    let (_, shown) = source.split_once("//! ```text\n").expect("the head shows its output");
    let (shown, _) = shown.split_once("//! ```").expect("the output ends");
    shown.replace("//! ", "")
}

/// Builds all examples as this test was built, which is nothing to do after `cargo test --workspace`.
fn build() -> BTreeMap<String, PathBuf> {
    let (target, profile) = place();
    let output = Command::new(env!("CARGO"))
        .args(["build", "--workspace", "--examples", "--message-format=json-render-diagnostics"])
        .args(["--profile", &profile, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "the examples do not build:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8").lines().filter_map(executable).collect()
}

/// The example a line of cargo's messages tells of.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_example = target["kind"].as_array()?.iter().any(|kind| kind == "example");
    is_example.then_some(())?;
    Some((target["name"].as_str()?.to_owned(), message["executable"].as_str()?.into()))
}

/// The target folder and the profile of this test, which lies in `<target>/<profile>/deps`.
fn place() -> (PathBuf, String) {
    let test = std::env::current_exe().expect("a program knows its path");
    let built = test.ancestors().nth(2).expect("tests lie in a folder of a profile");
    let folder = built.file_name().and_then(|name| name.to_str()).expect("a profile has a name");
    let profile = if folder == "debug" { "dev" } else { folder };
    (built.parent().expect("profiles lie in the target folder").to_owned(), profile.to_owned())
}
