//! A datastore's plugin that misbehaves on request. `do` names what `mark` does. With `at` it is honest and holds nothing,
//! but for the function of that name, which does what `does` names: in its first `times` attempts, or always.

wit_bindgen::generate!({ world: "datastore-plugin", path: "../../../wit", generate_all });

use exports::upgraded::plugin::{datastore, meta};
use upgraded::plugin::types::{Call, Error, Finding, Hop, Role};
use upgraded::plugin::{mysql, postgres, run, sqlite, trees};

struct Evil;
export!(Evil);

impl meta::Guest for Evil {
    fn describe() -> meta::Info {
        meta::Info {
            name: "evil-store".into(),
            version: "0.1.0".into(),
            role: Role::Datastore,
            needs: vec![],
            config_schema: SCHEMA.into(),
        }
    }
}

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "do": { "type": "string" },
        "with": { "type": "string" },
        "at": { "type": "string" },
        "does": { "type": "string" },
        "times": { "type": "string" }
    }
}"#;

impl datastore::Guest for Evil {
    fn preflight(c: Call, _: Hop) -> Result<Vec<Finding>, Error> {
        misbehave(&c, "preflight")?;
        Ok(vec![])
    }
    fn fence(c: Call) -> Result<String, Error> {
        misbehave(&c, "fence")?;
        Ok(if is_honest(&c) { "a mark".into() } else { String::new() })
    }
    fn mark(c: Call) -> Result<String, Error> {
        misbehave(&c, "mark")?;
        let with = text(&c.config, "with");
        match text(&c.config, "do") {
            "trees" => trees::mark(with),
            "put-back" => trees::put_back("files", with).map(|()| "put back".into()),
            "sqlite" => sqlite::mark(with),
            "mysql" => mysql::mark(),
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
    fn unfence(c: Call) -> Result<(), Error> {
        misbehave(&c, "unfence")
    }
    fn freeze(c: Call) -> Result<bool, Error> {
        misbehave(&c, "freeze")?;
        Ok(false)
    }
    fn backup(c: Call, _: Option<String>) -> Result<datastore::BackupRef, Error> {
        misbehave(&c, "backup")?;
        match is_honest(&c) {
            true => Ok(datastore::BackupRef { artifacts: vec![], manifest: NOTHING.into() }),
            false => {
                Ok(datastore::BackupRef { artifacts: vec![text(&c.config, "with").into()], manifest: String::new() })
            }
        }
    }
    fn manifest(c: Call, frozen: Option<String>) -> Result<String, Error> {
        misbehave(&c, "manifest")?;
        Ok(if is_honest(&c) { NOTHING.into() } else { frozen.unwrap_or_else(|| "live".into()) })
    }
    fn restore(c: Call, _: datastore::Origin) -> Result<(), Error> {
        misbehave(&c, "restore")
    }
    fn discard(c: Call, _: String) -> Result<(), Error> {
        misbehave(&c, "discard")
    }
}

const NOTHING: &str = "nothing\t0\t0";

fn is_honest(c: &Call) -> bool {
    !text(&c.config, "at").is_empty()
}

fn misbehave(c: &Call, function: &str) -> Result<(), Error> {
    let times = text(&c.config, "times").parse().unwrap_or(u32::MAX);
    if text(&c.config, "at") != function || c.attempt > times {
        return Ok(());
    }
    match text(&c.config, "does") {
        "trap" => {
            run::log(run::Level::Info, "the last words", &[]);
            std::process::abort()
        }
        "spin" => loop {
            std::hint::black_box(());
        },
        "memory" => loop {
            std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20]));
        },
        "flood" => {
            for n in 0..100_000_u32 {
                run::log(run::Level::Info, &format!("line {n}"), &[]);
            }
            Ok(())
        }
        "huge" => Err(Error::Invalid("x".repeat(200 << 20))),
        "ungranted" => trees::mark("/etc").map(|_| ()),
        _ => Ok(()),
    }
}

/// The value of a key of a flat JSON object of strings without escapes; empty where there is none.
fn text<'a>(config: &'a str, key: &str) -> &'a str {
    let Some((_, rest)) = config.split_once(&format!("\"{key}\":\"")) else { return "" };
    rest.split('"').next().unwrap_or_default()
}
