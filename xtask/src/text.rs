//! What must not stand in a file of the repository, and how large a source file may grow.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// STYLE: most files under 300 lines, none above this.
const LONGEST_FILE_LINES: usize = 500;

struct Word {
    /// In two halves, so that this file does not contain it.
    halves: (&'static str, &'static str),
    why: &'static str,
    sources_only: bool,
}

const WORDS: &[Word] = &[
    Word { halves: ("/wo", "rk/"), why: "a path of one machine", sources_only: false },
    Word { halves: ("/ro", "ot/"), why: "a path of one machine", sources_only: false },
    Word { halves: ("crates", ".io"), why: "a registry's host", sources_only: false },
    Word { halves: ("pypi", ".org"), why: "a registry's host", sources_only: false },
    Word { halves: ("proxy.", "golang"), why: "a registry's host", sources_only: false },
    Word { halves: ("deb.", "debian.org"), why: "a registry's host", sources_only: false },
    Word { halves: ("todo", "!("), why: "unfinished", sources_only: true },
    Word { halves: ("unimplemented", "!("), why: "unfinished", sources_only: true },
    Word { halves: ("dbg", "!("), why: "left over", sources_only: true },
    Word { halves: ("#[ig", "nore"), why: "a test never skips: it fails with its name", sources_only: true },
];

pub fn check(root: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("`git ls-files`")?;
    let mut wrong = Vec::new();
    for name in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|name| !name.is_empty()) {
        if name.ends_with(".lock") {
            continue;
        }
        // Binary files, and files that were removed but not yet committed so, have no words.
        let Ok(text) = fs::read_to_string(root.join(name)) else { continue };
        wrong.extend(problems(name, &text));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{} places:\n  {}", wrong.len(), wrong.join("\n  "))
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let is_source = name.ends_with(".rs");
    let mut wrong = Vec::new();
    for word in WORDS.iter().filter(|word| is_source || !word.sources_only) {
        let spelled = [word.halves.0, word.halves.1].concat();
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains(&spelled));
        wrong.extend(lines.map(|(number, _)| format!("{name}:{}: `{spelled}`: {}", number + 1, word.why)));
    }
    let length = text.lines().count();
    if is_source && length > LONGEST_FILE_LINES {
        wrong.push(format!("{name}: {length} lines; {LONGEST_FILE_LINES} at most, most files under 300"));
    }
    if is_source && name.contains("/src/") && !name.ends_with("main.rs") && !text.starts_with("//!") {
        wrong.push(format!("{name}:1: a module opens with `//!`: its job, what it must not do, who calls it"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_file_line_and_reason() {
        let text = format!("//! x\nlet a = {}\"later\");\n", ["todo", "!("].concat());
        assert_eq!(problems("host/src/a.rs", &text).len(), 1);
        assert!(problems("host/src/a.rs", &text)[0].starts_with("host/src/a.rs:2: "));
        assert_eq!(problems("notes.md", &text), Vec::<String>::new());
    }

    #[test]
    fn a_module_says_its_job() {
        assert_eq!(problems("host/src/a.rs", "fn a() {}\n").len(), 1);
        assert_eq!(problems("host/src/a.rs", "//! a\n"), Vec::<String>::new());
    }
}
