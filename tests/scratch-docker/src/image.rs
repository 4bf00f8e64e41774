//! Images for a test: made without a builder, so that no cache of layers is left and a later pull is a real one.

use crate::Engine;
use crate::shelf::{PUSH, one_at_a_time};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// An image without files of its own.
pub const NO_FILES: &[(&str, &Path)] = &[];

#[derive(Clone, Debug, Default)]
pub struct ImageConfig {
    /// Empty: the base image's, where `cmd` is empty too.
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: Vec<(String, String)>,
    pub labels: Vec<(String, String)>,
    pub expose: Vec<u16>,
    /// Whether the engine keeps the image after the push.
    pub keep: bool,
}

impl Engine {
    /// Makes an image and pushes it. `reference` begins with [`Engine::registry`]; `base` is any reference, or `None` for
    /// an image with the files alone; each file is its path in the image and where it lies here. Files belong to root and
    /// keep their permissions.
    pub fn image(
        &self, reference: &str, base: Option<&str>, files: &[(impl AsRef<str>, impl AsRef<Path>)], config: &ImageConfig,
    ) {
        // Another that pushes the same removes it here when it has.
        let made = one_at_a_time(PUSH).and_then(|_guard| self.try_image(reference, base, files, config));
        made.unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same, or what `docker` said.
    pub fn try_image(
        &self, reference: &str, base: Option<&str>, files: &[(impl AsRef<str>, impl AsRef<Path>)], config: &ImageConfig,
    ) -> Result<(), String> {
        let beneath = reference.strip_prefix(self.registry()).is_some_and(|rest| rest.starts_with('/'));
        assert!(beneath, "`{reference}` can't be pushed: it has to begin with `{}/`", self.registry());
        let files = archive(files);
        let changes = config.changes(base.is_some());
        let changes: Vec<&str> = changes.iter().flat_map(|change| ["--change", change]).collect();
        match base {
            None => {
                self.feed(&[&["import"][..], &changes, &["-", reference]].concat(), &files)?;
            }
            Some(base) => {
                // A command has to be there for a container; `changes` says what the image gets.
                let command: &[&str] = if config.states_a_command() { &["unused"] } else { &[] };
                let container = self.try_to(&[&["create", "--quiet", base][..], command].concat())?;
                let made = self
                    .feed(&["cp", "-", &format!("{container}:/")], &files)
                    .and_then(|_| self.try_to(&[&["commit"][..], &changes, &[&container, reference]].concat()));
                // Also where an interruption ended what was before.
                let removed = self.try_to(&["rm", "--volumes", &container]);
                made.and(removed)?;
            }
        }
        self.try_to(&["push", "--quiet", reference])?;
        if !config.keep {
            self.try_to(&["image", "rm", reference])?;
        }
        Ok(())
    }
}

impl ImageConfig {
    fn states_a_command(&self) -> bool {
        !(self.entrypoint.is_empty() && self.cmd.is_empty())
    }

    /// Lines as a Dockerfile has them.
    fn changes(&self, has_base: bool) -> Vec<String> {
        let mut changes = Vec::new();
        if !self.entrypoint.is_empty() {
            changes.push(format!("ENTRYPOINT {}", json!(self.entrypoint)));
        }
        if self.states_a_command() || !has_base {
            changes.push(format!("CMD {}", json!(self.cmd)));
        }
        changes.extend(self.env.iter().map(|(name, value)| format!("ENV {name}={}", json!(value))));
        changes.extend(self.labels.iter().map(|(name, value)| format!("LABEL {}={}", json!(name), json!(value))));
        changes.extend(self.expose.iter().map(|port| format!("EXPOSE {port}")));
        changes
    }
}

/// Without entries for folders: in an image that has a link in a folder's place, the link stays.
fn archive(files: &[(impl AsRef<str>, impl AsRef<Path>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (inside, local) in files {
        let (inside, local) = (inside.as_ref(), local.as_ref());
        let content = fs::read(local).unwrap_or_else(|error| panic!("`{}`: {error}", local.display()));
        let mode = fs::metadata(local).expect("it was just read").permissions().mode();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode & 0o7777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let inside = inside.trim_start_matches('/');
        archive
            .append_data(&mut header, inside, content.as_slice())
            .unwrap_or_else(|error| panic!("{inside}: {error}"));
    }
    archive.into_inner().expect("it is memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stands_as_a_dockerfile_has_it() {
        let config = ImageConfig {
            entrypoint: vec!["/bin/say".into(), "a \"b\"".into()],
            env: vec![("A".into(), "x y".into())],
            labels: vec![("org.example/b".into(), "1".into())],
            expose: vec![80],
            ..ImageConfig::default()
        };
        let expected = [
            r#"ENTRYPOINT ["/bin/say","a \"b\""]"#,
            "CMD []",
            r#"ENV A="x y""#,
            r#"LABEL "org.example/b"="1""#,
            "EXPOSE 80",
        ];
        assert_eq!(config.changes(true), expected);
        assert!(ImageConfig::default().changes(true).is_empty(), "the base image's command stays");
    }
}
