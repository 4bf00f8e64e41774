//! A product's plugin that misbehaves on request: `config` names what it does, and only the function `detect` does it,
//! `path` and `edits` answer what `config` holds. It is honest where it is not asked to be otherwise.
//!
//! The sandbox's tests also use it with bytes exchanged in place: every string here that they exchange is named in
//! `host/src/plugin/tests/mod.rs`.

#![allow(clippy::unwrap_used, reason = "a guest may die")]

wit_bindgen::generate!({ world: "product-plugin", path: "../../../wit", generate_all });

use exports::upgraded::plugin::{meta, product};
use upgraded::plugin::types::{
    Act, Call, Change, Component, Edit, Error, Failure, Finding, Hop, Installed, Once, Release, Role, ServiceRef,
    Severity, Wave,
};
use upgraded::plugin::{checkout, files, http, process, run, services};

struct Evil;
export!(Evil);

/// The tests exchange the reference and the pattern for worse ones of the same length.
const SCHEMA: &str = r##"{
    "type": "object",
    "properties": {
        "do": { "type": "string", "pattern": "^[a-z0-9 -]{0,40}$" },
        "with": { "$ref": "#/$defs/text-of-any-kind" }
    },
    "$defs": { "text-of-any-kind": { "type": "string" } }
}"##;

impl meta::Guest for Evil {
    fn describe() -> meta::Info {
        meta::Info {
            name: "evil".into(),
            version: "0.1.0".into(),
            role: Role::Product,
            needs: vec![],
            config_schema: SCHEMA.into(),
        }
    }
}

impl product::Guest for Evil {
    fn releases(c: Call) -> Result<Vec<Release>, Error> {
        let release = |version: String| Release { version, published: None, breaking: false, notes: vec![], url: None };
        match text(&c.config, "do") {
            "many" => Ok((0..500_000).map(|n| release(n.to_string())).collect()),
            _ => Ok(vec![release("1.0.0".into())]),
        }
    }

    fn detect(c: Call) -> Result<Installed, Error> {
        if text(&c.config, "do") == "tell" {
            return Err(Error::Invalid(c.config));
        }
        act(text(&c.config, "do"), text(&c.config, "with")).map(installed)
    }

    fn path(c: Call, installed: Installed, wanted: String) -> Result<Vec<Hop>, Error> {
        let from = installed.version.as_str();
        Ok(match text(&c.config, "do") {
            "nowhere" => vec![hop(from, "7.7.7", "main")],
            "gap" => vec![hop(from, "1.1.0", "main"), hop("1.2.0", &wanted, "main")],
            "cycle" => vec![hop(from, "1.1.0", "main"), hop("1.1.0", from, "main"), hop(from, &wanted, "main")],
            "none" => vec![],
            "stranger" => vec![hop(from, &wanted, "elsewhere")],
            _ => vec![hop(from, "1.1.0", "main"), hop("1.1.0", &wanted, "main")],
        })
    }

    fn preflight(c: Call, _: Hop) -> Result<Vec<Finding>, Error> {
        let finding =
            Finding { id: "fine".into(), severity: Severity::Info, message: "all is well".into(), hint: None };
        match text(&c.config, "do") {
            "refuse" => Err(Error::Invalid("no downgrade".into())),
            _ => Ok(vec![finding]),
        }
    }

    fn edits(c: Call, _: Hop) -> Result<Vec<Edit>, Error> {
        let change = Change::Set(vec![("VERSION".into(), "2".into())]);
        Ok(vec![Edit { path: text(&c.config, "with").into(), change, why: "the version".into() }])
    }

    fn verify(c: Call, _: String) -> Result<Vec<Finding>, Error> {
        // Lives in the instance: a second call would see it if instances were used again.
        static mut CALLS: u32 = 0;
        let calls = unsafe {
            CALLS += 1;
            CALLS
        };
        let message = format!("call {calls} of {}", c.step);
        Ok(vec![Finding { id: "calls".into(), severity: Severity::Info, message, hint: None }])
    }
}

/// What `detect` does; its answer is the version.
fn act(what: &str, with: &str) -> Result<String, Error> {
    match what {
        "empty" => Ok(String::new()),
        "spin" => loop {
            std::hint::black_box(());
        },
        "chatty-spin" => loop {
            run::cancelled();
        },
        "trap" => {
            run::log(run::Level::Info, "the last words", &[]);
            std::process::abort()
        }
        "panic" => panic!("a plugin's panic"),
        "exit" => std::process::exit(3),
        "recurse" => Ok(recurse(1).to_string()),
        "memory" => loop {
            std::mem::forget(std::hint::black_box(vec![1_u8; 1 << 20]));
        },
        "table" => grow_table(),
        "flood" => {
            for n in 0..100_000_u32 {
                run::log(run::Level::Info, &format!("line {n}"), &[]);
            }
            run::log(run::Level::Info, &"x".repeat(1 << 20), &[]);
            Ok("1.0.0".into())
        }
        "print" => {
            println!("to standard output");
            eprintln!("to standard error");
            Ok("1.0.0".into())
        }
        "huge" => Ok("x".repeat(200 << 20)),
        "large" => Ok("x".repeat(2 << 20)),
        "huge-log" => {
            run::log(run::Level::Info, &"x".repeat(100 << 20), &[]);
            Ok("1.0.0".into())
        }
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_secs(3600));
            Ok("1.0.0".into())
        }
        "naps" => {
            for _ in 0..20 {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Ok("1.0.0".into())
        }
        "environment" => Ok(format!("{} {}", std::env::args().count(), std::env::vars().count())),
        "other" => Err(Error::Other(Failure { code: "own-code".into(), message: "own words".into(), retryable: true })),
        "read" => files::read(with).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "services" => services::list().map(|list| format!("{} services", list.len())),
        "follow" => services::follow(&services::Watch {
            service: service("main"),
            success: "ready".into(),
            failure: with.into(),
            progress: None,
            idle_ms: 1000,
        }),
        "fetch" => checkout::fetch(with),
        "run" => process::run(&process::Command {
            name: with.into(),
            args: vec![],
            repeatable: true,
            success: None,
            progress: None,
            idle_ms: 60_000,
        })
        .map(|exit| format!("{} {}", exit.code, exit.tail)),
        // Asks again after every refusal.
        "stubborn" => loop {
            let _ = checkout::fetch(with);
            std::thread::sleep(std::time::Duration::from_millis(5));
        },
        "http" => http::send(&http::Request {
            method: "GET".into(),
            url: with.into(),
            headers: vec![],
            secret_headers: vec![],
            body: vec![],
            timeout_ms: 1000,
        })
        .map(|response| response.status.to_string()),
        _ => Ok("1.0.0".into()),
    }
}

fn installed(version: String) -> Installed {
    Installed { version, components: vec![Component { name: "web".into(), version: "1".into(), digest: None }] }
}

fn service(platform: &str) -> ServiceRef {
    ServiceRef { platform: platform.into(), name: "web".into() }
}

fn hop(source: &str, target: &str, platform: &str) -> Hop {
    Hop {
        source: source.into(),
        target: target.into(),
        breaking: false,
        acts: vec![
            Act::Command(Once {
                service: service(platform),
                argv: vec!["migrate".into()],
                success: None,
                repeatable: false,
                idle_ms: 1000,
            }),
            Act::Wave(Wave { services: vec![service(platform)], rolling: false, follow: vec![] }),
        ],
        undo: vec![],
        expand_only: false,
        rest: false,
        quiesce: vec![],
        gate: vec![],
        requires: vec![],
        expected_seconds: None,
        notes: vec![],
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1))) + 1
}

/// Handles of pollables live in a table of the host's; none is ever dropped.
fn grow_table() -> Result<String, Error> {
    loop {
        pollable();
    }
}

fn pollable() -> u32 {
    #[link(wasm_import_module = "wasi:clocks/monotonic-clock@0.2.0")]
    unsafe extern "C" {
        #[link_name = "subscribe-duration"]
        fn subscribe_duration(nanoseconds: u64) -> u32;
    }
    unsafe { subscribe_duration(1 << 40) }
}

/// The value of a key of a flat JSON object of strings without escapes; empty where there is none.
fn text<'a>(config: &'a str, key: &str) -> &'a str {
    let Some((_, rest)) = config.split_once(&format!("\"{key}\":\"")) else { return "" };
    rest.split('"').next().unwrap_or_default()
}
