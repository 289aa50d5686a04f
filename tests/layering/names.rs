//! Names that say nothing: no crate, folder or module may have one.
use crate::workspace::{CRATES, SOURCES, demand_none};
use syn::visit::Visit;

const FORBIDDEN: &[&str] = &["core", "common", "util", "utils", "misc", "helper", "helpers"];

#[test]
fn no_crate_is_called_misc() {
    let parts = CRATES.iter().flat_map(|krate| krate.name.split('-').chain(krate.folder.split('/')));
    let complaints: Vec<_> = parts.filter(|part| FORBIDDEN.contains(part)).map(str::to_owned).collect();
    demand_none("these names say nothing", &complaints);
}

#[test]
fn no_module_is_called_misc() {
    let mut complaints = Vec::new();
    for source in SOURCES.iter() {
        let path = source.path.strip_suffix(".rs").expect("a Rust file");
        if path.split('/').any(|part| FORBIDDEN.contains(&part)) {
            complaints.push(source.path.clone());
        }
        let mut modules = Modules(Vec::new());
        modules.visit_file(&source.syntax());
        let bad = modules.0.into_iter().filter(|name| FORBIDDEN.contains(&name.as_str()));
        complaints.extend(bad.map(|name| format!("{}: mod {name}", source.path)));
    }
    demand_none("these names say nothing", &complaints);
}

struct Modules(Vec<String>);

impl<'ast> Visit<'ast> for Modules {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.0.push(module.ident.to_string());
        syn::visit::visit_item_mod(self, module);
    }
}
