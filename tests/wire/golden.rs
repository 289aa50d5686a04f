//! Compares what this build writes and reads with the golden file; `QUILTWORK_BLESS=1` rewrites the file instead.
use crate::catalogue::specimens;
use crate::specimen::{Reading, Specimen};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
# The bytes of one example of every message, checked by tests/wire/golden.rs.
# A changed line is a changed protocol: raise VERSION_MAX in runtime/protocol/src/handshake.rs, and let an older peer be
# refused or understood. `Hello` and `HelloReply` are read before versions are agreed on: they must never change.
# Rewrite with: QUILTWORK_BLESS=1 cargo test -p quiltwork-tests --test wire
";

#[test]
fn every_message_keeps_its_golden_bytes() {
    let specimens = specimens();
    if std::env::var_os("QUILTWORK_BLESS").is_some_and(|wish| wish == "1") {
        std::fs::write(path(), render(&specimens)).expect("the golden file can be written");
    }
    let text = std::fs::read_to_string(path()).expect("tests/wire/golden.txt is there");
    let mut golden = parse(&text);
    for specimen in &specimens {
        let name = &specimen.name;
        let bytes = golden.remove(name.as_str()).unwrap_or_else(|| panic!("golden.txt has no line for {name}"));
        assert_eq!(hex(&specimen.bytes), bytes, "{name} is written differently");
        assert_eq!(specimen.read(&unhex(bytes)), Reading::Same, "{name} is read differently");
    }
    assert!(golden.is_empty(), "golden.txt has lines for things that do not travel: {:?}", golden.keys());
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/golden.txt")
}

/// One line per specimen, an empty line between enums.
fn render(specimens: &[Specimen]) -> String {
    let mut text = HEAD.to_owned();
    let mut group = "";
    for specimen in specimens {
        let this = specimen.name.split('.').next().unwrap_or_default();
        if this != group {
            text.push('\n');
            group = this;
        }
        writeln!(text, "{} = {}", specimen.name, hex(&specimen.bytes)).expect("a string takes everything");
    }
    text
}

fn parse(text: &str) -> BTreeMap<&str, &str> {
    let mut lines = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, bytes) = line.split_once(" = ").unwrap_or_else(|| panic!("not `name = hex`: {line}"));
        assert!(lines.insert(name, bytes).is_none(), "golden.txt has two lines for {name}");
    }
    lines
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(|pair| digits(pair).unwrap_or_else(|| panic!("not hex: {text}"))).collect()
}
