//! The operator's settings: environment variables, from `.env`.

use crate::release::Release;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

const SECRET: &str = "EVOSE_SECRET";
const RENAMED_SECRET: &str = "EVOSE_APP_SECRET";

#[derive(Debug, Clone)]
pub struct Settings {
    pub mysql: Server,
    pub postgres: Server,
    /// Uploads.
    pub files: PathBuf,
    /// Signs sessions and seals the keys of models.
    pub secret: String,
    pub admin_password: String,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
}

impl Settings {
    pub fn read(release: &Release) -> Result<Self> {
        Self::from(release, |name| std::env::var(name).ok())
    }

    fn from(release: &Release, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &str| variable(name).with_context(|| format!("`{name}` is not set"));
        let server = |prefix: &str, port: u16, user: &str, database: &str| -> Result<Server> {
            let of = |part: &str| variable(&format!("{prefix}_{part}"));
            Ok(Server {
                host: of("HOST").unwrap_or_else(|| prefix.trim_start_matches("EVOSE_").to_lowercase()),
                port: match of("PORT") {
                    Some(text) => text.parse().with_context(|| format!("`{prefix}_PORT` is no port"))?,
                    None => port,
                },
                user: of("USER").unwrap_or_else(|| user.into()),
                password: needed(&format!("{prefix}_PASSWORD"))?,
                database: of("DATABASE").unwrap_or_else(|| database.into()),
            })
        };
        let (secret, other) = if release.renamed_secret { (RENAMED_SECRET, SECRET) } else { (SECRET, RENAMED_SECRET) };
        if release.renamed_secret && variable(secret).is_none() && variable(other).is_some() {
            bail!("`{SECRET}` is called `{RENAMED_SECRET}` since 2.0.0: give it that name, and keep its value");
        }
        Ok(Self {
            mysql: server("EVOSE_MYSQL", 3306, "evose", "evose")?,
            postgres: server("EVOSE_POSTGRES", 5432, "postgres", "evose_kb")?,
            files: variable("EVOSE_FILES").unwrap_or_else(|| "/data/files".into()).into(),
            secret: needed(secret)?,
            admin_password: needed("EVOSE_ADMIN_PASSWORD")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Catalogue;

    fn read(version: &str, secret: &str) -> Result<Settings> {
        let variable = |name: &str| match name {
            "EVOSE_MYSQL_PASSWORD" | "EVOSE_POSTGRES_PASSWORD" | "EVOSE_ADMIN_PASSWORD" => Some("x".into()),
            "EVOSE_POSTGRES_PORT" => Some("5433".into()),
            name if name == secret => Some("the secret".into()),
            _ => None,
        };
        Settings::from(Catalogue::read()?.find(version)?, variable)
    }

    #[test]
    fn a_major_version_refuses_the_old_name_of_the_secret() {
        assert_eq!(read("1.9.0", SECRET).unwrap().secret, "the secret");
        assert_eq!(read("2.0.0", RENAMED_SECRET).unwrap().secret, "the secret");
        let refused = read("2.0.0", SECRET).unwrap_err().to_string();
        assert!(refused.contains("is called `EVOSE_APP_SECRET` since 2.0.0"), "{refused}");
        assert!(read("1.9.0", RENAMED_SECRET).unwrap_err().to_string().contains("`EVOSE_SECRET` is not set"));
    }

    #[test]
    fn services_of_the_edition_are_the_defaults() {
        let settings = read("1.3.0", SECRET).unwrap();
        assert_eq!((settings.mysql.host.as_str(), settings.mysql.port), ("mysql", 3306));
        assert_eq!((settings.postgres.host.as_str(), settings.postgres.port), ("postgres", 5433));
    }
}
