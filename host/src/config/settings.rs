//! The daemon's own settings, `upgraded.toml`. Every key has a default; the file may be missing where the default path
//! is meant.

use super::diagnostic::{Diagnostics, Report};
use super::document::{self, Item, Table};
use super::read::read_text;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub deployments: PathBuf,
    pub plugins: PathBuf,
    pub state: PathBuf,
    pub vault: PathBuf,
    /// The vault's key; made at first start. Outside `state` and `vault`.
    pub vault_key: PathBuf,
    pub socket: PathBuf,
    /// Group that may use the socket beside root and the daemon's own account.
    pub socket_group: Option<String>,
    /// Runs at once.
    pub parallel: usize,
    /// How long a deployment's file must be quiet before it is read.
    pub debounce: Duration,
    /// How often deployments are looked at without an event.
    pub poll: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deployments: "/etc/upgraded/deployments".into(),
            plugins: "/usr/lib/upgraded/plugins".into(),
            state: "/var/lib/upgraded".into(),
            vault: "/var/lib/upgraded-vault".into(),
            vault_key: "/etc/upgraded/vault.key".into(),
            socket: "/run/upgraded/upgraded.sock".into(),
            socket_group: None,
            parallel: 2,
            debounce: Duration::from_millis(200),
            poll: Duration::from_secs(10),
        }
    }
}

impl Settings {
    pub const PATH: &str = "/etc/upgraded/upgraded.toml";

    /// Reads the file; where it is not there and `path` is [`Settings::PATH`], the defaults.
    pub fn load(path: &Path) -> Result<Self, Diagnostics> {
        if path == Path::new(Self::PATH) && matches!(path.try_exists(), Ok(false)) {
            return Ok(Self::default());
        }
        Self::parse(path, &read_text(path)?)
    }

    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostics> {
        let mut report = Report::new(file, text);
        let root = document::parse(text, &mut report);
        let settings = read(Table::document(&root), &mut report);
        report.finish(settings)
    }
}

fn read(mut root: Table, report: &mut Report) -> Option<Settings> {
    let default = Settings::default();
    let mut path = |key, default: PathBuf| match root.take(key) {
        None => Some(default),
        Some(item) => absolute(&item, report),
    };
    let deployments = path("deployments", default.deployments);
    let plugins = path("plugins", default.plugins);
    let state = path("state", default.state);
    let vault = path("vault", default.vault);
    let vault_key = path("vault-key", default.vault_key);
    let socket = path("socket", default.socket);
    let socket_group = match root.take("socket-group") {
        None => Some(None),
        Some(item) => item.text(report).map(|text| Some(text.to_owned())),
    };
    let parallel = match root.take("parallel") {
        None => Some(default.parallel as u64),
        Some(item) => item.integer(1..=64, report),
    };
    let debounce = duration(&mut root, "debounce", default.debounce, 10, report);
    let poll = duration(&mut root, "poll", default.poll, 100, report);
    let place = |key| root.look(key).map_or(0..0, |item: Item| item.span);
    if let (Some(state), Some(vault), Some(key)) = (&state, &vault, &vault_key) {
        for (name, folder) in [("state", state), ("vault", vault)] {
            if key.starts_with(folder) {
                let message =
                    format!("`vault-key` lies inside `{name}`, where it would be lost together with what it opens");
                let at = if root.look("vault-key").is_some() { place("vault-key") } else { place(name) };
                report.add_with_help(at, message, "keep it elsewhere, for example `/etc/upgraded/vault.key`");
            }
        }
        if vault == state {
            report.add_with_help(place("vault"), "`vault` and `state` are the same folder", "give each its own");
        }
    }
    root.finish(report);
    Some(Settings {
        deployments: deployments?,
        plugins: plugins?,
        state: state?,
        vault: vault?,
        vault_key: vault_key?,
        socket: socket?,
        socket_group: socket_group?,
        parallel: usize::try_from(parallel?).ok()?,
        debounce: debounce?,
        poll: poll?,
    })
}

fn absolute(item: &Item, report: &mut Report) -> Option<PathBuf> {
    let text = item.text(report)?;
    let path = Path::new(text);
    if !path.is_absolute() || path.components().any(|component| component == Component::ParentDir) {
        report.add(item.span.clone(), format!("`{}` must be an absolute path", item.path));
        return None;
    }
    Some(path.components().collect())
}

fn duration(
    root: &mut Table, key: &'static str, default: Duration, at_least_ms: u64, report: &mut Report,
) -> Option<Duration> {
    let Some(item) = root.take(key) else { return Some(default) };
    let read = item.duration(report)?;
    let day = Duration::from_secs(24 * 3600);
    if !(Duration::from_millis(at_least_ms)..=day).contains(&read) {
        report.add(item.span, format!("`{key}` must be from `{at_least_ms}ms` to `24h`"));
        return None;
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Diagnostics> {
        Settings::parse(Path::new("upgraded.toml"), text)
    }

    #[test]
    fn nothing_is_the_defaults() {
        assert_eq!(parse("").unwrap(), Settings::default());
        let folder = tempfile::tempdir().unwrap();
        let missing = Settings::load(&folder.path().join("upgraded.toml")).unwrap_err();
        assert!(missing.to_string().contains("can't be read"), "{missing}");
    }

    #[test]
    fn every_key_can_be_set() {
        let text = r#"
            deployments = "/a/d"
            plugins = "/a/p"
            state = "/a/s"
            vault = "/a/v"
            vault-key = "/a/k"
            socket = "/a/sock"
            socket-group = "ops"
            parallel = 4
            debounce = "50ms"
            poll = "1m"
        "#;
        let settings = Settings {
            deployments: "/a/d".into(),
            plugins: "/a/p".into(),
            state: "/a/s".into(),
            vault: "/a/v".into(),
            vault_key: "/a/k".into(),
            socket: "/a/sock".into(),
            socket_group: Some("ops".into()),
            parallel: 4,
            debounce: Duration::from_millis(50),
            poll: Duration::from_secs(60),
        };
        assert_eq!(parse(text).unwrap(), settings);
    }

    #[test]
    fn mistakes() {
        let text = "deploymets = \"/x\"\nstate = \"var\"\nparallel = 0\ndebounce = 5\npoll = \"1ms\"\nsocket = true\n";
        insta::assert_snapshot!(parse(text).unwrap_err().render(false));
    }

    #[test]
    fn the_key_lies_outside_of_what_it_opens() {
        insta::assert_snapshot!(parse("vault-key = \"/var/lib/upgraded/key\"\n").unwrap_err().render(false));
        assert!(parse("vault = \"/etc/upgraded\"").is_err());
        assert!(parse("vault = \"/var/lib/upgraded\"").is_err());
        assert!(parse("vault-key = \"/var/lib/upgraded-vault.key\"").is_ok());
    }
}
