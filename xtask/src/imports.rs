//! Holds the direction of imports inside the host: they point down, or sideways within one layer, never up.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top. ARCHITECTURE.md says what each is for.
const LAYERS: &[&[&str]] = &[
    &["daemon", "cli"],
    &["api"],
    &["trigger"],
    &["pipeline"],
    &["phase"],
    &["plugin"],
    &["capability"],
    &["driver"],
    &["vault", "journal"],
    &["effect", "context", "activity"],
    &["plan"],
    &["config"],
    &["model", "memory"],
];

pub fn check(root: &Path) -> Result<()> {
    let wrong = violations(&root.join("host/src"))?;
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} imports point up:\n  {}", wrong.len(), wrong.join("\n  "))
}

fn violations(source: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for file in rust_files(source)? {
        let relative = file.strip_prefix(source).context("a file lies beneath its folder")?;
        let path: Vec<String> = module_path(relative);
        // The crate's root and the binaries compose; everything may be named there.
        let Some(module) = path.first() else { continue };
        let text = fs::read_to_string(&file).with_context(|| format!("`{}`", file.display()))?;
        let Some(own) = layer(module) else {
            wrong.push(format!(
                "host/src/{}: the module `{module}` has no layer in xtask/src/imports.rs",
                relative.display()
            ));
            continue;
        };
        for (line, imported) in imports(&text, &path) {
            if layer(&imported).is_some_and(|other| other < own) {
                let place = format!("host/src/{}:{line}", relative.display());
                wrong.push(format!("{place}: `{module}` imports `{imported}`, which lies above it"));
            }
        }
    }
    wrong.sort();
    Ok(wrong)
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// `driver/git.rs` is `["driver", "git"]`; the crate's root and the binaries have no path.
fn module_path(relative: &Path) -> Vec<String> {
    let mut parts: Vec<String> = relative.with_extension("").iter().map(|p| p.to_string_lossy().into_owned()).collect();
    if matches!(parts.first().map(String::as_str), Some("lib" | "main" | "bin")) {
        return Vec::new();
    }
    parts.pop_if(|last| last == "mod");
    parts
}

/// Line and top module of each `crate::x`, and of each `super::x` that leads to the crate's root. A module's own tests
/// may name anything.
fn imports(text: &str, module: &[String]) -> Vec<(usize, String)> {
    let code = text.find("#[cfg(test)]\nmod ").map_or(text, |tests| &text[..tests]);
    let code: String = code.lines().map(|line| blank_comment(line) + "\n").collect();
    let to_root = "super::".repeat(module.len());
    let mut found = Vec::new();
    for prefix in ["crate::", &to_root] {
        for (at, _) in code.match_indices(prefix) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | ':')) {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            found.extend(first_names(&code[at + prefix.len()..]).into_iter().map(|name| (line, name)));
        }
    }
    found
}

fn blank_comment(line: &str) -> String {
    line.find("//").map_or(line, |comment| &line[..comment]).to_owned()
}

/// `a::b` is `a`; `{a::{b, c}, d}` is `a` and `d`.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return Vec::from_iter(name(rest));
    };
    let (mut names, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(name(&group[begin..at]));
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("`{}`", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_of_the_host_point_down() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root");
        assert_eq!(violations(&root.join("host/src")).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn finds_every_form() {
        let module = ["driver".to_owned(), "git".to_owned()];
        let text = "use crate::model::*;\n// crate::daemon::x\nuse crate::{\n  api::{a, b},\n  plan,\n};\nuse super::super::phase::x;\nfn f() { crate::trigger::look() }\n#[cfg(test)]\nmod tests { use crate::daemon::D; }";
        let mut found = imports(text, &module);
        found.sort();
        let found: Vec<_> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
        assert_eq!(found, [(1, "model"), (3, "api"), (3, "plan"), (7, "phase"), (8, "trigger")]);
    }

    #[test]
    fn one_super_is_the_parent_unless_the_parent_is_the_root() {
        assert_eq!(imports("use super::other;", &["driver".into(), "git".into()]), []);
        assert_eq!(imports("use super::other;", &["effect".into()]), [(1, "other".to_owned())]);
    }

    #[test]
    fn an_import_that_points_up_is_named_with_file_and_line() {
        let folder = std::env::temp_dir().join(format!("upgraded-imports-{}", std::process::id()));
        fs::create_dir_all(folder.join("driver")).unwrap();
        fs::write(folder.join("driver/git.rs"), "//! git\n\nuse crate::pipeline::Run;\n").unwrap();
        fs::write(folder.join("novelty.rs"), "").unwrap();
        let wrong = violations(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            wrong,
            [
                "host/src/driver/git.rs:3: `driver` imports `pipeline`, which lies above it",
                "host/src/novelty.rs: the module `novelty` has no layer in xtask/src/imports.rs",
            ]
        );
    }
}
