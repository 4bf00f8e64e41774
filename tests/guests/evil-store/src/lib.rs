//! A datastore's plugin that misbehaves on request: `config` names what `mark` does.

wit_bindgen::generate!({ world: "datastore-plugin", path: "../../../wit", generate_all });

use exports::upgraded::plugin::{datastore, meta};
use upgraded::plugin::types::{Call, Error, Finding, Hop, Role};
use upgraded::plugin::{postgres, sqlite, trees};

struct Evil;
export!(Evil);

impl meta::Guest for Evil {
    fn describe() -> meta::Info {
        meta::Info {
            name: "evil-store".into(),
            version: "0.1.0".into(),
            role: Role::Datastore,
            needs: vec![],
            config_schema: r#"{"type":"object"}"#.into(),
        }
    }
}

impl datastore::Guest for Evil {
    fn preflight(_: Call, _: Hop) -> Result<Vec<Finding>, Error> {
        Ok(vec![])
    }
    fn fence(_: Call) -> Result<String, Error> {
        Ok(String::new())
    }
    fn mark(c: Call) -> Result<String, Error> {
        let with = text(&c.config, "with");
        match text(&c.config, "do") {
            "trees" => trees::mark(with),
            "put-back" => trees::put_back("files", with).map(|()| "put back".into()),
            "sqlite" => sqlite::mark(with),
            "swap" => trees::swap("files", with).map(|()| "swapped".into()),
            "postgres" => postgres::versions().map(|v| v.server.to_string()),
            "query" => {
                let session = postgres::connect(None)?;
                session.query("SELECT 1").map(|rows| format!("{rows:?}"))
            }
            "sessions" => {
                let mut sessions = vec![];
                loop {
                    sessions.push(postgres::connect(None)?);
                }
            }
            _ => Ok("a mark".into()),
        }
    }
    fn unfence(_: Call) -> Result<(), Error> {
        Ok(())
    }
    fn freeze(_: Call) -> Result<bool, Error> {
        Ok(false)
    }
    fn backup(c: Call, _: Option<String>) -> Result<datastore::BackupRef, Error> {
        Ok(datastore::BackupRef { artifacts: vec![text(&c.config, "with").into()], manifest: String::new() })
    }
    fn manifest(_: Call, frozen: Option<String>) -> Result<String, Error> {
        Ok(frozen.unwrap_or_else(|| "live".into()))
    }
    fn restore(_: Call, _: datastore::Origin) -> Result<(), Error> {
        Ok(())
    }
    fn discard(_: Call, _: String) -> Result<(), Error> {
        Ok(())
    }
}

/// The value of a key of a flat JSON object of strings without escapes; empty where there is none.
fn text<'a>(config: &'a str, key: &str) -> &'a str {
    let Some((_, rest)) = config.split_once(&format!("\"{key}\":\"")) else { return "" };
    rest.split('"').next().unwrap_or_default()
}
