//! Secrets are named in files and resolved at the moment of use. Their values never enter a log, an error, a plugin or
//! the journal: [`Secret`] prints as `***`, and is neither shown nor serialised.

use rustix::process::getegid;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// More is a mistaken path and no secret.
const SECRET_BYTES: u64 = 64 * 1024;

/// Where a secret lies: `file:/path`, `env:NAME` (of the daemon), `credential:NAME` (systemd's `$CREDENTIALS_DIRECTORY`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    File(PathBuf),
    Environment(String),
    Credential(String),
}

/// A secret's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }
    /// Only for the place that hands it to a process's environment or a request's header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret `{0}` is not there")]
    Missing(String),
    #[error("the secret `{name}` can be read by others (mode {mode:o}); `chmod 600 {path}` keeps it to its owner")]
    Exposed { name: String, path: String, mode: u32 },
    #[error("the secret `{name}` can't be read")]
    Unreadable { name: String, source: std::io::Error },
    #[error("the secret `{name}` is {why}")]
    Malformed { name: String, why: &'static str },
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretSource::File(path) => write!(f, "file:{}", path.display()),
            SecretSource::Environment(name) => write!(f, "env:{name}"),
            SecretSource::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

/// Why a source is malformed. It never repeats the text: a secret's value may stand where its name should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretSourceError {
    #[error("a secret's source is `file:/path`, `env:NAME` or `credential:NAME`")]
    Form,
    #[error("the path of a secret's file is absolute: `file:/path`")]
    Relative,
    #[error("the name of an environment variable is letters, digits and `_`: `env:NAME`")]
    VariableName,
    #[error("the name of a credential is a file's name: `credential:NAME`")]
    CredentialName,
}

impl FromStr for SecretSource {
    type Err = SecretSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once(':').ok_or(SecretSourceError::Form)?;
        match kind {
            "file" if Path::new(name).is_absolute() && !name.contains('\0') => Ok(Self::File(name.into())),
            "file" => Err(SecretSourceError::Relative),
            "env" if is_variable_name(name) => Ok(Self::Environment(name.into())),
            "env" => Err(SecretSourceError::VariableName),
            "credential" if is_file_name(name) => Ok(Self::Credential(name.into())),
            "credential" => Err(SecretSourceError::CredentialName),
            _ => Err(SecretSourceError::Form),
        }
    }
}

/// What a process's environment can hold as a name, as shells see it.
pub(super) fn is_variable_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

impl SecretSource {
    /// Reads the value; one trailing line end is not part of it.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            SecretSource::File(path) => self.read(path, Exposure::Refused),
            SecretSource::Environment(variable) => {
                let value = std::env::var_os(variable).ok_or_else(|| SecretError::Missing(self.to_string()))?;
                self.accept(value.into_encoded_bytes())
            }
            SecretSource::Credential(name) => {
                let folder =
                    std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::Missing(self.to_string()))?;
                self.read(&Path::new(&folder).join(name), Exposure::TheFoldersMatter)
            }
        }
    }

    fn read(&self, path: &Path, exposure: Exposure) -> Result<Secret, SecretError> {
        let unreadable = |source| SecretError::Unreadable { name: self.to_string(), source };
        // Not blocking: a named pipe in the place of the file must not hold the daemon up.
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = match std::fs::File::options().read(true).custom_flags(flags).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(SecretError::Missing(self.to_string()));
            }
            Err(error) => return Err(unreadable(error)),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(SecretError::Malformed { name: self.to_string(), why: "no file" });
        }
        if let Exposure::Refused = exposure
            && is_exposed(metadata.mode(), metadata.gid())
        {
            let (name, path) = (self.to_string(), path.display().to_string());
            return Err(SecretError::Exposed { name, path, mode: metadata.mode() & 0o7777 });
        }
        let mut bytes = Vec::new();
        file.take(SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        self.accept(bytes)
    }

    fn accept(&self, bytes: Vec<u8>) -> Result<Secret, SecretError> {
        let malformed = |why| SecretError::Malformed { name: self.to_string(), why };
        if bytes.len() as u64 > SECRET_BYTES {
            return Err(malformed("longer than 64 KiB"));
        }
        let mut value = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8"))?;
        if value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
        match value.as_str() {
            "" => Err(malformed("empty")),
            text if text.contains('\0') => Err(malformed("not text: it holds a zero byte")),
            _ => Ok(Secret(value)),
        }
    }
}

/// Whether a file's mode matters: systemd keeps credentials in a folder that only the service can enter.
enum Exposure {
    Refused,
    TheFoldersMatter,
}

/// Open to the world, or to a group that is not the daemon's own (`root:upgraded` with 640 keeps it to the daemon).
fn is_exposed(mode: u32, group: u32) -> bool {
    mode & 0o007 != 0 || (mode & 0o070 != 0 && group != getegid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, SecretSource) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (folder, SecretSource::File(path))
    }

    #[test]
    fn one_line_end_is_not_part_of_it() {
        for (content, value) in [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("a\r\n", "a"), ("a\n\n", "a\n")] {
            let (_folder, source) = file(content.as_bytes(), 0o600);
            assert_eq!(source.resolve().unwrap().reveal(), value);
        }
    }

    #[test]
    fn a_value_never_shows() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?} {secret:#?} {:?}", Some(&secret)), "*** *** Some(***)");
        for content in [&b"hunter2\xff"[..], b"hunter2\0", &[b'h'; 70_000]] {
            let (_folder, source) = file(content, 0o600);
            let error = source.resolve().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        assert!(!format!("{:?}", "hunter2".parse::<SecretSource>()).contains("hunter2"));
    }

    #[test]
    fn others_may_not_read_it() {
        for mode in [0o604, 0o666, 0o777, 0o602] {
            let (_folder, source) = file(b"x", mode);
            assert!(matches!(source.resolve(), Err(SecretError::Exposed { .. })), "{mode:o}");
        }
        for mode in [0o600, 0o400, 0o640] {
            let (_folder, source) = file(b"x", mode);
            assert!(source.resolve().is_ok(), "{mode:o}: the group is our own");
        }
        assert!(is_exposed(0o640, getegid().as_raw() + 1), "a group that isn't ours");
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| SecretSource::File(folder.path().join(name)).resolve();
        assert!(matches!(at("missing"), Err(SecretError::Missing(_))));
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(matches!(at("folder"), Err(SecretError::Malformed { .. })));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(matches!(at("pipe"), Err(SecretError::Malformed { .. })));
        let (_folder, empty) = file(b"\n", 0o600);
        assert!(matches!(empty.resolve(), Err(SecretError::Malformed { .. })));
        assert!(matches!(
            SecretSource::Environment("UPGRADED_NO_SUCH_VARIABLE".into()).resolve(),
            Err(SecretError::Missing(_))
        ));
    }

    #[test]
    fn sources() {
        assert_eq!("file:/a/b".parse(), Ok(SecretSource::File("/a/b".into())));
        assert_eq!("env:A_1".parse(), Ok(SecretSource::Environment("A_1".into())));
        assert_eq!("credential:db.pass".parse(), Ok(SecretSource::Credential("db.pass".into())));
        for (text, error) in [
            ("hunter2", SecretSourceError::Form),
            ("vault:x", SecretSourceError::Form),
            ("file:a", SecretSourceError::Relative),
            ("file:", SecretSourceError::Relative),
            ("env:1A", SecretSourceError::VariableName),
            ("env:", SecretSourceError::VariableName),
            ("credential:../x", SecretSourceError::CredentialName),
            ("credential:..", SecretSourceError::CredentialName),
        ] {
            assert_eq!(text.parse::<SecretSource>(), Err(error), "{text}");
        }
    }
}
