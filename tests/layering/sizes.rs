//! How long files and functions may be, and which are longer by decision.
use crate::workspace::{SCRIPTS, SOURCES, demand_none};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

/// Files over the limit by decision, by path.
const LONG_FILES: &[&str] = &[];

/// Functions over the limit by decision: path and name.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

#[test]
fn files_stay_short() {
    let files = SOURCES.iter().chain(SCRIPTS.iter());
    let long: Vec<_> = files.filter(|source| source.text.lines().count() > FILE_LINES).collect();
    for exception in LONG_FILES {
        assert!(long.iter().any(|source| source.path == *exception), "{exception} is not long: no exception needed");
    }
    let complaints: Vec<_> = long
        .iter()
        .filter(|source| !LONG_FILES.contains(&source.path.as_str()))
        .map(|source| format!("{}: {} lines", source.path, source.text.lines().count()))
        .collect();
    demand_none(&format!("files have at most {FILE_LINES} lines"), &complaints);
}

#[test]
fn functions_stay_short() {
    let mut long = Vec::new();
    for source in SOURCES.iter() {
        let mut functions = Functions(Vec::new());
        functions.visit_file(&source.syntax());
        let over = functions.0.into_iter().filter(|function| function.lines > FUNCTION_LINES);
        long.extend(over.map(|function| (source.path.as_str(), function)));
    }
    for (path, name) in LONG_FUNCTIONS {
        let found = long.iter().any(|(p, function)| p == path && function.name == *name);
        assert!(found, "{name} in {path} is not long: no exception needed");
    }
    let complaints: Vec<_> = long
        .iter()
        .filter(|(path, function)| !LONG_FUNCTIONS.contains(&(path, function.name.as_str())))
        .map(|(path, function)| format!("{path}:{} {}: {} lines", function.start, function.name, function.lines))
        .collect();
    demand_none(&format!("functions have at most {FUNCTION_LINES} lines"), &complaints);
}

#[test]
fn a_function_is_measured_from_its_signature_to_its_brace() {
    let text = "/// Doc.\n#[inline]\nfn f(\n  a: u8,\n) {\n  fn g() {\n  }\n}\ntrait T { fn h(); }\n";
    let mut functions = Functions(Vec::new());
    functions.visit_file(&syn::parse_file(text).expect("Rust"));
    let measured: Vec<_> = functions.0.iter().map(|f| (f.name.as_str(), f.start, f.lines)).collect();
    assert_eq!(measured, [("f", 3, 6), ("g", 6, 2)]);
}

struct Function {
    name: String,
    start: usize,
    lines: usize,
}

struct Functions(Vec<Function>);

impl Functions {
    /// Without its documentation and attributes: they may be as long as they need.
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let start = signature.span().start().line;
        let lines = body.span().end().line - start + 1;
        self.0.push(Function { name: signature.ident.to_string(), start, lines });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
