//! What a project's own files say: addresses of databases, targets, scripts.

use super::{Postgres, Script, text_of};
use compose_files::variables;
use reqwest::Url;
use std::path::Path;

const ENVIRONMENT_FILES: [&str; 4] = [".env", ".env.production", "shared/.env", "current/.env"];
const VARIABLES: [&str; 4] = ["DATABASE_URL", "POSTGRES_URL", "DB_URL", "PG_URL"];
const MIGRATIONS: [&str; 6] = ["migrate", "db-migrate", "db:migrate", "migrations", "migrate:up", "migration:run"];

/// The PostgreSQL database that an environment file names.
pub(super) fn postgres(folder: &Path) -> Option<Postgres> {
    ENVIRONMENT_FILES.iter().find_map(|file| {
        let variables = variables(&text_of(&folder.join(file))?);
        let get = |name: &str| variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let by_url = || VARIABLES.iter().find_map(|name| from_url(get(name)?, &format!("{name} in {file}")));
        let by_parts = || {
            Some(Postgres {
                host: get("PGHOST").unwrap_or("/run/postgresql").to_owned(),
                port: get("PGPORT").and_then(|port| port.parse().ok()),
                user: get("PGUSER").map(str::to_owned),
                database: get("PGDATABASE")?.to_owned(),
                has_password: get("PGPASSWORD").is_some(),
                source: format!("PGDATABASE in {file}"),
            })
        };
        by_url().or_else(by_parts)
    })
}

fn from_url(text: &str, source: &str) -> Option<Postgres> {
    // Frameworks name their driver in the scheme: `postgresql+asyncpg://`.
    let (scheme, rest) = text.split_once("://")?;
    let kind = scheme.split('+').next()?;
    if !matches!(kind, "postgres" | "postgresql" | "pgsql" | "postgis") {
        return None;
    }
    let url = Url::parse(&format!("postgres://{rest}")).ok()?;
    let query = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let host = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let database = percent_decoded(url.path().trim_start_matches('/'))?;
    Some(Postgres {
        host: host.or_else(|| query("host")).unwrap_or_else(|| "/run/postgresql".into()),
        port: url.port(),
        user: Some(url.username()).filter(|user| !user.is_empty()).and_then(percent_decoded),
        database: Some(database).filter(|name| !name.is_empty())?,
        has_password: url.password().is_some(),
        source: source.to_owned(),
    })
}

fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

pub(super) fn build(folder: &Path) -> Option<Script> {
    script(folder, &["build"])
}

pub(super) fn migrate(folder: &Path) -> Option<Script> {
    script(folder, &MIGRATIONS)
}

/// A target of the Makefile, or else a script that is called so.
pub(super) fn named(folder: &Path, name: &str) -> Option<Script> {
    let file = format!("{name}.sh");
    let own = || folder.join(&file).is_file().then(|| Script { argv: vec![format!("./{file}")], source: file.clone() });
    target(folder, &[name]).or_else(own)
}

fn target(folder: &Path, names: &[&str]) -> Option<Script> {
    let (file, text) =
        ["Makefile", "GNUmakefile", "makefile"].iter().find_map(|file| Some((file, text_of(&folder.join(file))?)))?;
    let name = names.iter().find(|name| text.lines().any(|line| is_target(line, name)))?;
    Some(Script { argv: vec!["make".into(), (*name).into()], source: format!("the target `{name}` of {file}") })
}

/// A target of the Makefile, or else a script of package.json.
fn script(folder: &Path, names: &[&str]) -> Option<Script> {
    let packaged = || {
        let package: serde_json::Value = serde_json::from_str(&text_of(&folder.join("package.json"))?).ok()?;
        let scripts = package.get("scripts")?.as_object()?;
        let name = names.iter().find(|name| scripts.contains_key(**name))?;
        let with = |lock: &str| folder.join(lock).exists();
        let manager = if with("pnpm-lock.yaml") {
            "pnpm"
        } else if with("yarn.lock") {
            "yarn"
        } else {
            "npm"
        };
        let argv = vec![manager.into(), "run".into(), (*name).into()];
        Some(Script { argv, source: format!("the script `{name}` of package.json") })
    };
    target(folder, names).or_else(packaged)
}

fn is_target(line: &str, name: &str) -> bool {
    let Some((targets, rest)) = line.split_once(':') else { return false };
    !rest.starts_with(['=', ':'])
        && !line.starts_with(['\t', ' ', '#', '.'])
        && targets.split(' ').any(|target| target == name)
}
