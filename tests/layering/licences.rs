//! What of others is in the build: licences, bans and origins, as deny.toml allows them (checked without cargo-deny).
use crate::workspace::{demand_none, read_toml, root};
use serde_json::Value;
use std::process::Command;
use std::sync::LazyLock;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One package of the build.
struct Package {
    name: String,
    licence: Option<String>,
    source: Option<String>,
}

/// Everything this machine needs to build and test the workspace.
static PACKAGES: LazyLock<Vec<Package>> = LazyLock::new(|| {
    let platform = host();
    let metadata =
        cargo(&["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &platform]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata writes JSON");
    let text = |package: &Value, key: &str| package[key].as_str().map(str::to_owned);
    let needed: Vec<&Value> =
        metadata["resolve"]["nodes"].as_array().expect("nodes").iter().map(|n| &n["id"]).collect();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .filter(|package| needed.contains(&&package["id"]))
        .map(|package| Package {
            name: text(package, "name").expect("a package has a name"),
            licence: text(package, "license"),
            source: text(package, "source"),
        })
        .collect()
});

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

fn host() -> String {
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("cargo knows its host").to_owned()
}

fn strings(section: &str, key: &str) -> Vec<String> {
    let deny = read_toml("deny.toml");
    let list = deny[section][key].as_array().unwrap_or_else(|| panic!("deny.toml: {section}.{key} is a list"));
    let name = |entry: &toml::Value| entry.as_str().or_else(|| entry.get("crate")?.as_str()).map(str::to_owned);
    list.iter().map(|entry| name(entry).unwrap_or_else(|| panic!("deny.toml: {entry} has no name"))).collect()
}

#[test]
fn every_licence_is_allowed() {
    let allowed = strings("licenses", "allow");
    let mut complaints = Vec::new();
    for package in PACKAGES.iter() {
        match &package.licence {
            None => complaints.push(format!("{} has no licence", package.name)),
            Some(licence) if !is_covered(licence, &allowed) => complaints.push(format!("{}: {licence}", package.name)),
            Some(_) => {}
        }
    }
    demand_none("these licences are not covered by deny.toml", &complaints);
}

#[test]
fn banned_crates_are_not_in_the_build() {
    let banned = strings("bans", "deny");
    let found: Vec<_> = PACKAGES.iter().map(|package| package.name.clone()).filter(|n| banned.contains(n)).collect();
    demand_none("deny.toml bans these crates (`cargo tree -i <crate>` says who brings them)", &found);
}

#[test]
fn everything_comes_from_crates_io_or_this_workspace() {
    let foreign = PACKAGES.iter().filter(|package| package.source.as_deref().is_some_and(|source| source != CRATES_IO));
    let found: Vec<_> = foreign.map(|package| format!("{}: {:?}", package.name, package.source)).collect();
    demand_none("these packages come from elsewhere", &found);
}

/// Whether an SPDX expression can be met with the allowed licences alone. `/` is what old manifests write for `OR`.
fn is_covered(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut covered = all_of(rest, allowed);
    while take(rest, "OR") {
        covered |= all_of(rest, allowed);
    }
    covered
}

fn all_of(rest: &mut &[&str], allowed: &[String]) -> bool {
    let mut covered = one(rest, allowed);
    while take(rest, "AND") {
        covered &= one(rest, allowed);
    }
    covered
}

/// A licence, perhaps with an exception (then the pair must be allowed), or an expression in parentheses.
fn one(rest: &mut &[&str], allowed: &[String]) -> bool {
    if take(rest, "(") {
        let covered = any_of(rest, allowed);
        return take(rest, ")") && covered;
    }
    match **rest {
        [licence, "WITH", exception, ref after @ ..] => {
            *rest = after;
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        [licence, ref after @ ..] => {
            *rest = after;
            allowed.iter().any(|name| name == licence)
        }
        [] => false,
    }
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let found = rest.first() == Some(&word);
    if found {
        *rest = &rest[1..];
    }
    found
}

#[test]
fn expressions_are_weighed_as_spdx_says() {
    let allowed: Vec<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).to_vec();
    let covered = [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "(MIT OR GPL-3.0) AND ISC",
        "GPL-3.0 AND X OR MIT",
        "(GPL-3.0 OR X) OR MIT",
        "Apache-2.0 WITH LLVM-exception",
    ];
    let uncovered =
        ["", "GPL-3.0", "MIT AND GPL-3.0", "MIT AND (GPL-3.0 OR X)", "Apache-2.0", "MIT WITH Y", "MIT MIT", "(MIT"];
    assert!(covered.iter().all(|expression| is_covered(expression, &allowed)));
    for expression in uncovered {
        assert!(!is_covered(expression, &allowed), "{expression:?} is covered");
    }
}
