//! What belongs to a database as a whole and to no object in it: owner, grants, limit, comment, labels, place, locale.
//! A template copy and `pg_restore` both leave them behind.
//!
//! They are lines of the manifest too, so that a backup can be restored where the live database is gone. Settings may
//! hold secrets: of them the manifest has a digest, a template copy is given them here, and the archive carries them.

use crate::facts::{Database, LIMIT_SETTING};
use crate::note::Note;
use crate::public::Public;
use crate::quote;
use crate::server::{Connection, cell};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use upgraded_sdk::{Error, Result};

/// What the lines of a manifest begin with.
pub const PREFIX: &str = "database/";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    pub owner: String,
    /// Who may do what, as `[grantee, privilege, may grant]`; an empty grantee is everybody.
    pub grants: Vec<(String, String, bool)>,
    pub limit: i64,
    pub comment: Option<String>,
    /// `[provider, label]`
    pub labels: Vec<(String, String)>,
    pub tablespace: String,
    pub encoding: String,
    pub locale: Locale,
    /// Number and digest.
    pub settings: (u64, String),
    /// Of the schema inside it that it was made with: what an archive may not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Public>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// `c`, `i` or `b`, as `pg_database` has it.
    pub provider: String,
    pub collate: String,
    pub ctype: String,
    pub locale: Option<String>,
}

impl Properties {
    pub fn read(connection: &impl Connection, database: &str) -> Result<Self> {
        let found = Database::find(connection, database)?;
        let found = found.ok_or_else(|| Error::not_found(format!("the server has no database `{database}`")))?;
        // Columns have changed their names between versions; their JSON takes all of them.
        let sql = format!(
            "SELECT pg_get_userbyid(d.datdba), \
             (SELECT coalesce(json_agg(json_build_array(CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, \
               privilege_type, is_grantable) ORDER BY grantee::regrole::text COLLATE \"C\", privilege_type, is_grantable), '[]') \
              FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba)))), \
             (SELECT coalesce(json_agg(json_build_array(provider, label) ORDER BY provider), '[]') FROM pg_shseclabel \
              WHERE objoid = d.oid AND classoid = 'pg_database'::regclass), \
             (SELECT spcname FROM pg_tablespace WHERE oid = d.dattablespace), pg_encoding_to_char(d.encoding), \
             coalesce(to_jsonb(d)->>'datlocprovider', 'c'), d.datcollate, d.datctype, \
             coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'), s.number, s.digest \
             FROM pg_database d, (SELECT count(*) AS number, encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' \
              ORDER BY line COLLATE \"C\"), ''), 'UTF8')), 'hex') AS digest FROM ({}) l) s WHERE d.datname = {}",
            settings_of(database),
            quote::literal(database)
        );
        let row = connection.row(&sql)?.ok_or_else(|| Error::not_found(format!("there is no `{database}`")))?;
        let json = |at: usize| serde_json::from_str::<Value>(cell(&row, at)?).map_err(unreadable);
        let note = Note::read(found.comment.as_deref());
        Ok(Self {
            owner: cell(&row, 0)?.into(),
            grants: serde_json::from_value(json(1)?).map_err(unreadable)?,
            limit: note.as_ref().map_or(found.limit, |note| note.limit),
            comment: note.map_or(found.comment, |note| note.comment),
            labels: serde_json::from_value(json(2)?).map_err(unreadable)?,
            tablespace: cell(&row, 3)?.into(),
            encoding: cell(&row, 4)?.into(),
            locale: Locale {
                provider: cell(&row, 5)?.into(),
                collate: cell(&row, 6)?.into(),
                ctype: cell(&row, 7)?.into(),
                locale: row.get(8).cloned().flatten(),
            },
            settings: (crate::server::number(&row, 9)?, cell(&row, 10)?.into()),
            public: None,
        })
    }

    /// Of the connected database, with what stands inside it.
    pub fn read_inside(connection: &impl Connection, database: &str) -> Result<Self> {
        let public = Public::read(connection)?.filter(Public::is_kept);
        Ok(Self { public, ..Self::read(connection, database)? })
    }

    /// The lines of a manifest.
    pub fn lines(&self) -> Vec<String> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Vec::new() };
        fields
            .into_iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("settings", _) => format!("{PREFIX}{key}\t{}\t{}", self.settings.0, self.settings.1),
                (_, value) => format!("{PREFIX}{key}\t1\t{value}"),
            })
            .collect()
    }

    /// From the lines of a manifest.
    pub fn parse(manifest: &str) -> Result<Self> {
        let mut fields = serde_json::Map::new();
        for line in manifest.lines() {
            let mut parts = line.splitn(3, '\t');
            let (Some(id), Some(count), Some(value)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let Some(key) = id.strip_prefix(PREFIX) else { continue };
            let value = match key {
                "settings" => serde_json::json!([count.parse::<u64>().unwrap_or_default(), value]),
                _ => serde_json::from_str(value).map_err(unreadable)?,
            };
            fields.insert(key.into(), value);
        }
        serde_json::from_value(Value::Object(fields)).map_err(unreadable)
    }

    /// `CREATE DATABASE`: empty, of this owner, place and locale. Open to the host alone where it is a superuser.
    pub fn create(&self, database: &str, limit: i64) -> String {
        let Locale { provider, collate, ctype, locale } = &self.locale;
        let mut sql = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {} \
             CONNECTION LIMIT {limit}",
            quote::name(database),
            quote::name(&self.owner),
            quote::literal(&self.encoding),
            quote::literal(collate),
            quote::literal(ctype),
        );
        // To name the one that it would be anyway takes a right that few roles have.
        if self.tablespace != "pg_default" {
            sql.push_str(&format!(" TABLESPACE {}", quote::name(&self.tablespace)));
        }
        let own = locale.as_deref().map(quote::literal);
        match (provider.as_str(), own) {
            ("i", Some(own)) => sql.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {own}")),
            ("b", Some(own)) => sql.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {own}")),
            _ => {}
        }
        sql
    }

    /// Makes `database`'s grants these.
    pub fn grant(&self, maintenance: &impl Connection, database: &str) -> Result<Vec<String>> {
        if Self::read(maintenance, database)?.grants == self.grants {
            return Ok(Vec::new());
        }
        let name = quote::name(database);
        let mut sql = vec![
            format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
            format!("REVOKE ALL ON DATABASE {name} FROM {}", quote::name(&self.owner)),
        ];
        for (grantee, privilege, may_grant) in &self.grants {
            let to = if grantee.is_empty() { "PUBLIC".to_owned() } else { quote::name(grantee) };
            let option = if *may_grant { " WITH GRANT OPTION" } else { "" };
            sql.push(format!("GRANT {privilege} ON DATABASE {name} TO {to}{option}"));
        }
        Ok(sql)
    }

    pub fn label(&self, database: &str) -> Vec<String> {
        let name = quote::name(database);
        let labels = self.labels.iter();
        labels
            .map(|(provider, label)| {
                let (provider, label) = (quote::name(provider), quote::literal(label));
                format!("SECURITY LABEL FOR {provider} ON DATABASE {name} IS {label}")
            })
            .collect()
    }
}

/// The settings of one database, for another: `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
pub fn copy_settings(maintenance: &impl Connection, from: &str, to: &str) -> Result<Vec<String>> {
    let rows = maintenance.query(&format!(
        "SELECT CASE r.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(r.setrole) END, split_part(s, '=', 1), \
         substr(s, strpos(s, '=') + 1) \
         FROM pg_db_role_setting r JOIN pg_database d ON d.oid = r.setdatabase, unnest(r.setconfig) s \
         WHERE d.datname = {} AND NOT starts_with(s, '{LIMIT_SETTING}=')",
        quote::literal(from)
    ))?;
    rows.iter()
        .map(|row| {
            let (role, setting, value) = (cell(row, 0)?, cell(row, 1)?, cell(row, 2)?);
            let target = match role {
                "" => format!("DATABASE {}", quote::name(to)),
                role => format!("ROLE {} IN DATABASE {}", quote::name(role), quote::name(to)),
            };
            Ok(format!("ALTER {target} SET {} TO {}", setting_name(setting), setting_value(setting, value)))
        })
        .collect()
}

/// `a.b` is one setting of two names.
fn setting_name(setting: &str) -> String {
    setting.split('.').map(quote::name).collect::<Vec<_>>().join(".")
}

/// Settings that PostgreSQL keeps as lists of quoted names; one literal would be one name.
fn setting_value(setting: &str, value: &str) -> String {
    const LISTS: &[&str] = &[
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    ];
    if !LISTS.contains(&setting) {
        return quote::literal(value);
    }
    let elements: Vec<String> = quote::list_elements(value).iter().map(|element| quote::literal(element)).collect();
    if elements.is_empty() { "''".into() } else { elements.join(", ") }
}

/// A line for each setting, but for our own.
fn settings_of(database: &str) -> String {
    format!(
        "SELECT concat_ws(' ', CASE r.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(r.setrole) END, s) AS line \
         FROM pg_db_role_setting r JOIN pg_database b ON b.oid = r.setdatabase, unnest(r.setconfig) s \
         WHERE b.datname = {} AND NOT starts_with(s, '{LIMIT_SETTING}=')",
        quote::literal(database)
    )
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::other("properties", format!("what the manifest says about the database as a whole can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties() -> Properties {
        Properties {
            owner: "app \"x\"".into(),
            grants: vec![("".into(), "CONNECT".into(), false), ("app".into(), "CREATE".into(), true)],
            limit: -1,
            comment: Some("two\nlines\tand a tab".into()),
            labels: Vec::new(),
            tablespace: "pg_default".into(),
            encoding: "UTF8".into(),
            locale: Locale { provider: "i".into(), collate: "C".into(), ctype: "C".into(), locale: Some("de".into()) },
            settings: (2, "abc".into()),
            public: Some(Public { owner: "app".into(), grants: [("".into(), "CREATE".into(), false)].into() }),
        }
    }

    #[test]
    fn lines_hold_everything() {
        let lines = properties().lines();
        assert!(lines.iter().all(|line| line.matches('\t').count() == 2 && !line.contains('\n')), "{lines:?}");
        assert_eq!(Properties::parse(&lines.join("\n")), Ok(properties()));
        let older: Vec<String> = lines.into_iter().filter(|line| !line.starts_with("database/public\t")).collect();
        let without = Properties { public: None, ..properties() };
        assert_eq!(without.lines(), older);
        assert_eq!(Properties::parse(&older.join("\n")), Ok(without));
    }

    #[test]
    fn databases_are_made_as_they_were() {
        assert_eq!(
            properties().create("shop_up_1_m", 0),
            "CREATE DATABASE \"shop_up_1_m\" OWNER \"app \"\"x\"\"\" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' \
             LC_CTYPE 'C' CONNECTION LIMIT 0 LOCALE_PROVIDER icu ICU_LOCALE 'de'"
        );
    }

    #[test]
    fn lists_stay_lists() {
        assert_eq!(setting_value("search_path", "\"$user\", public"), "'$user', 'public'");
        assert_eq!(setting_value("app.x", "a, b"), "'a, b'");
        assert_eq!(setting_name("app.x"), "\"app\".\"x\"");
    }
}
