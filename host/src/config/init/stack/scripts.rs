//! Commands that stand in a project's scripts, read and never run: of a shell, a Makefile, Cloud Build, or a written
//! procedure. What a shell would compute is not known, and stays as it is written.

use super::{files, text_at};
use crate::config::init::text_of;
use compose_files::Node;
use pod_files::{left, substituted, variables};
use regex::{Captures, Regex};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// Beneath the project's folder.
const FOLDERS: [&str; 4] = ["", "deploy", "scripts", "bin"];
const ENDINGS: [&str; 10] =
    [".sh", ".bash", ".mk", ".md", ".txt", "akefile", "ustfile", "deploy", "cloudbuild.yaml", "cloudbuild.yml"];
/// Explains to everybody, and not what was done here.
const EXPLAINS: &str = "README";
/// What may stand before a command.
const BEFORE: [&str; 9] = ["sudo", "exec", "time", "do", "then", "bash", "sh", "$", "-"];
/// Options without a value.
const FLAGS: [&str; 18] = [
    "--install",
    "-i",
    "--wait",
    "--wait-for-jobs",
    "--atomic",
    "--rollback-on-failure",
    "--create-namespace",
    "--debug",
    "--dry-run",
    "--force",
    "--reuse-values",
    "--reset-values",
    "--quiet",
    "-q",
    "--async",
    "--no-traffic",
    "--allow-unauthenticated",
    "--no-allow-unauthenticated",
];
const LOOPS: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// The program's first, without its folder.
    words: Vec<String>,
    pub file: String,
}

impl Command {
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// What follows these words, where the command begins with them.
    pub fn after(&self, verbs: &[&str]) -> Option<Vec<&str>> {
        let words = || self.words.iter().map(String::as_str).filter(|word| !matches!(*word, "beta" | "alpha"));
        let begins = words().skip(1).take(verbs.len()).eq(verbs.iter().copied());
        begins.then(|| bare(&words().skip(1 + verbs.len()).collect::<Vec<_>>()))
    }

    /// The values of an option by all its names, `--region R` and `--region=R`.
    pub fn options<'c>(&'c self, names: &'c [&str]) -> impl Iterator<Item = &'c str> {
        let pairs = self.words.iter().zip(self.words.iter().skip(1).map(Some).chain([None]));
        pairs.filter_map(move |(word, next)| match word.split_once('=') {
            Some((name, value)) if names.contains(&name) => Some(value),
            None if names.contains(&word.as_str()) => next.map(String::as_str),
            _ => None,
        })
    }

    pub fn option<'c>(&'c self, names: &'c [&str]) -> Option<&'c str> {
        self.options(names).last()
    }
}

/// As clusters, clouds and networks call things: neither a variable nor a word to be replaced, `SERVICE_NAME`.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(fits) && text.len() <= 53
}

/// Those of a program, in the order of the files.
pub(super) fn commands(directory: &Path, program: &str) -> Vec<Command> {
    let set: BTreeMap<String, String> =
        variables(&text_of(&directory.join(".env")).unwrap_or_default()).into_iter().collect();
    let mut found = Vec::new();
    for folder in FOLDERS {
        let place = directory.join(folder);
        for name in files(&place, &ENDINGS).into_iter().filter(|name| !name.starts_with(EXPLAINS)) {
            let Some(text) = text_of(&place.join(&name)) else { continue };
            let file = Path::new(folder).join(&name).display().to_string();
            let mut reading = Reading { program, set: set.clone(), loops: BTreeMap::new(), found: Vec::new() };
            match name.as_str() {
                build if build.contains("cloudbuild.") => reading.build(&file, &text),
                make if make.ends_with("akefile") || make.ends_with(".mk") => reading.script(&text.replace("$$", "$")),
                _ => reading.script(&text),
            }
            found.extend(reading.found.into_iter().map(|words| Command { words, file: file.clone() }));
        }
    }
    found
}

/// Without options and their values.
fn bare<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut bare = Vec::new();
    let mut words = words.iter().copied().peekable();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            bare.push(word);
        } else if !word.contains('=') && !FLAGS.contains(&word) {
            words.next_if(|value| !value.starts_with('-'));
        }
    }
    bare
}

struct Reading<'p> {
    program: &'p str,
    set: BTreeMap<String, String>,
    /// What a variable of a loop goes through.
    loops: BTreeMap<String, Vec<String>>,
    found: Vec<Vec<String>>,
}

impl Reading<'_> {
    fn script(&mut self, text: &str) {
        for words in plain(text).lines().flat_map(split) {
            self.take(&words);
        }
    }

    /// Steps of Cloud Build.
    fn build(&mut self, file: &str, text: &str) {
        let Ok(build) = Node::parse(file, "", text) else { return };
        for (name, value) in build.get("substitutions").map(Node::entries).unwrap_or_default() {
            self.set.extend(value.text().map(|value| (name.clone(), value.to_owned())));
        }
        for step in build.get("steps").map(Node::items).unwrap_or_default() {
            if let Some(script) = text_at(step, &["script"]) {
                self.script(script);
            }
            let args = step.get("args").map(Node::texts).unwrap_or_default();
            match &args[..] {
                ["-c" | "-ce" | "-ec" | "-eu" | "-euc", script, ..] => self.script(&script.replace("$$", "$")),
                [first, ..] => {
                    let named = [text_at(step, &["entrypoint"]), text_at(step, &["name"])];
                    let is_of_it = named.into_iter().flatten().any(|name| name.contains(self.program));
                    let of_sdk = named[1].is_some_and(|name| name.contains("cloud-sdk")) && self.program == "gcloud";
                    let before = (*first != self.program && (is_of_it || of_sdk)).then_some(self.program);
                    self.take(&before.into_iter().chain(args).map(str::to_owned).collect::<Vec<_>>());
                }
                [] => {}
            }
        }
    }

    fn take(&mut self, words: &[String]) {
        match words {
            [keyword, name, within, values @ ..] if keyword == "for" && within == "in" => {
                let values = values.iter().map(|value| substituted(value, &self.set)).collect::<Vec<_>>().join(" ");
                let values = values.split_whitespace().take(LOOPS).map(str::to_owned).collect();
                self.loops.insert(name.clone(), values);
                return;
            }
            [name, sign, values @ ..] if [":=", "?=", "="].contains(&sign.as_str()) => {
                return self.set(name, &values.join(" "));
            }
            _ => {}
        }
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let word = word.trim_start_matches('@');
            if word.rsplit('/').next() == Some(self.program) {
                let whole = std::iter::once(self.program.to_owned()).chain(words[at + 1..].iter().cloned());
                return self.expand(&whole.collect::<Vec<_>>());
            } else if let Some((name, value)) = word.split_once('=') {
                self.set(name, value);
            } else if !BEFORE.contains(&word) && !["export", "readonly", "local"].contains(&word) {
                return;
            }
            at += 1;
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        let value = substituted(value, &self.set);
        self.set.insert(name.to_owned(), value);
    }

    fn expand(&mut self, words: &[String]) {
        let filled = |set: &BTreeMap<String, String>| words.iter().map(|word| substituted(word, set)).collect();
        let is_used = |name: &str| words.iter().any(|word| left(word).contains(&name));
        match self.loops.iter().find(|(name, _)| is_used(name)) {
            None => self.found.push(filled(&self.set)),
            Some((name, values)) => {
                for value in values {
                    let mut set = self.set.clone();
                    set.insert(name.clone(), value.clone());
                    self.found.push(filled(&set));
                }
            }
        }
    }
}

/// Lines that go on are one; `$(NAME)` of a Makefile, `NAME=(a b)` and `${NAME[@]}` as a shell's plain variables.
fn plain(text: &str) -> String {
    static MADE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)").expect("it is a pattern"));
    static ARRAY: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"=\(([^()$]*)\)").expect("it is a pattern"));
    let text = text.replace("\\\n", " ").replace("[@]", "");
    let text = MADE.replace_all(&text, "$${$1}");
    ARRAY.replace_all(&text, |found: &Captures| format!("=\"{}\"", found[1].replace('\n', " "))).into_owned()
}

/// A line's commands as words. Quotes go; a comment ends it.
fn split(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut quote = None;
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), close) if open == close => quote = None,
            (Some('\''), inner) => word.get_or_insert_default().push(inner),
            (_, '\\') => {
                if let Some(next) = letters.next().filter(|next| !next.is_whitespace()) {
                    word.get_or_insert_default().push(next);
                }
            }
            (Some(_), inner) => word.get_or_insert_default().push(inner),
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ';' | '|' | '&' | '`' | '(' | ')') => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            (None, plain) => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    commands.push(words);
    commands
}
