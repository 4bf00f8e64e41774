//! What the built components import: what they use, and nothing that only the SDK knows of.
//!
//! `cargo xtask components` builds them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use wasmparser::{Parser, Payload};

/// Beside `types`, which has no verbs.
const USED: [(&str, &[&str]); 5] = [
    ("files", &["run", "trees"]),
    ("generic", &["checkout", "files", "http", "run", "services"]),
    ("source", &["checkout", "control", "process", "run", "services"]),
    ("sqlite", &["sqlite"]),
    ("mysql", &["mysql"]),
];

fn imports(component: &str) -> BTreeSet<String> {
    let folder = std::env::var_os("UPGRADED_COMPONENTS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("components"));
    let file = folder.join(format!("{component}.wasm"));
    let bytes = std::fs::read(&file)
        .unwrap_or_else(|e| panic!("`{}` is missing ({e}): `cargo xtask components` builds it", file.display()));
    let mut names = BTreeSet::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.expect("a component") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                names.extend(section.into_iter().map(|import| import.expect("an import").name.name.to_owned()));
            }
            _ => {}
        }
    }
    names
}

#[test]
fn a_component_imports_the_interfaces_that_it_uses_and_no_other() {
    for (component, used) in USED {
        let imports = imports(component);
        let ours = imports.iter().filter_map(|name| name.strip_prefix("upgraded:plugin/")?.split('@').next());
        let ours: Vec<&str> = ours.filter(|name| *name != "types").collect();
        assert_eq!(ours, used, "`{component}`");
    }
}

#[test]
fn a_component_asks_the_system_for_neither_files_nor_sockets() {
    for (component, _) in USED {
        for import in imports(component) {
            let refused = ["wasi:filesystem", "wasi:sockets", "wasi:http"];
            assert!(!refused.iter().any(|refused| import.starts_with(refused)), "`{component}` imports `{import}`");
        }
    }
}
