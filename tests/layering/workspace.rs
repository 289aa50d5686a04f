//! What the other files look at: manifests and sources of the workspace, read once.
use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use toml::Table;
use walkdir::{DirEntry, WalkDir};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are a folder of the workspace").to_owned()
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("cannot read {path}: {e}"))
}

/// A TOML file, by its path from the root.
pub(crate) fn read_toml(path: &str) -> Table {
    read(path).parse().unwrap_or_else(|e| panic!("{path} is not TOML: {e}"))
}

/// One member of the workspace.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) folder: String,
    pub(crate) manifest: Table,
}

impl Crate {
    /// All it depends on, for building, running or testing, by the packages' own names.
    pub(crate) fn dependencies(&self) -> Vec<String> {
        let everywhere = std::iter::once(&self.manifest);
        let somewhere = self.manifest.get("target").and_then(|t| t.as_table()).into_iter().flatten();
        everywhere.chain(somewhere.filter_map(|(_, table)| table.as_table())).flat_map(listed).collect()
    }
}

fn listed(table: &Table) -> Vec<String> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table());
    let renamed = |details: &toml::Value| details.get("package")?.as_str().map(str::to_owned);
    tables.flatten().map(|(name, details)| renamed(details).unwrap_or_else(|| name.clone())).collect()
}

/// The members, in the order of the root manifest.
pub(crate) static CRATES: LazyLock<Vec<Crate>> = LazyLock::new(|| {
    let root = read_toml("Cargo.toml");
    let members = root["workspace"]["members"].as_array().expect("a list of members");
    members.iter().map(|folder| member(folder.as_str().expect("a member is a path"))).collect()
});

fn member(folder: &str) -> Crate {
    let manifest = read_toml(&format!("{folder}/Cargo.toml"));
    let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
    Crate { name, folder: folder.to_owned(), manifest }
}

/// One Rust or Python file.
pub(crate) struct Source {
    /// From the root.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Every identifier and keyword of the code with the line it stands in; comments and strings have none.
    pub(crate) fn words(&self) -> Vec<(String, usize)> {
        let tokens: TokenStream = self.text.parse().unwrap_or_else(|e| panic!("{} is not Rust: {e}", self.path));
        let mut words = Vec::new();
        collect_words(tokens, &mut words);
        words
    }

    /// The file as syntax.
    pub(crate) fn syntax(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|e| panic!("{} is not Rust: {e}", self.path))
    }

    /// Whether it shows what must not compile, and why; such files follow no rule.
    fn is_counterexample(&self) -> bool {
        self.path.contains("tests/ui/")
    }
}

fn collect_words(tokens: TokenStream, words: &mut Vec<(String, usize)>) {
    for tree in tokens {
        match tree {
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Ident(ident) => words.push((ident.to_string(), ident.span().start().line)),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Every Rust file of the workspace.
pub(crate) static SOURCES: LazyLock<Vec<Source>> =
    LazyLock::new(|| files("rs").filter(|source| !source.is_counterexample()).collect());

/// Every Python file of the workspace.
pub(crate) static SCRIPTS: LazyLock<Vec<Source>> = LazyLock::new(|| files("py").collect());

/// The files whose names end so, in the order of their paths.
fn files(ending: &'static str) -> impl Iterator<Item = Source> {
    let root = root();
    let is_ours = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || name == "target")
    };
    let entries = WalkDir::new(&root).sort_by_file_name().into_iter().filter_entry(is_ours);
    let files = entries.map(|entry| entry.expect("the workspace can be read"));
    let files =
        files.filter(|entry| entry.file_type().is_file() && entry.path().extension().is_some_and(|e| e == ending));
    let sources: BTreeMap<String, String> = files
        .map(|entry| entry.path().strip_prefix(&root).expect("below the root").to_string_lossy().into_owned())
        .map(|path| (path.clone(), read(&path)))
        .collect();
    sources.into_iter().map(|(path, text)| Source { path, text })
}

/// Fails with all complaints at once, one per line.
pub(crate) fn demand_none(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}
