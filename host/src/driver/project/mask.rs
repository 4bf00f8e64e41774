//! Secrets in the project's own files: plugins, plans and journals see `${upgraded:secret:KEY:1f9a}` in their stead, and
//! the host fills the value in again where it writes.
//!
//! The digits tell one value from another; they are too few to find it by trying. Where a value without quotes stands within
//! braces or brackets of YAML, the placeholder is `"${upgraded:secret:KEY:1f9a:plain}"`, quotes and all: it could not stand there
//! without them.

use super::dotenv;
use super::scalars::{Scalar, scalars};
use crate::effect::hex;
use crate::model::VerbError;
use regex::{Captures, Regex};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

const DIGEST_DIGITS: usize = 4;

/// Where a secret stands in a text.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    key: String,
    range: Range<usize>,
    /// The whole of a value that has no quotes, within braces or brackets.
    plain: bool,
}

impl Span {
    fn new(key: impl Into<String>, range: Range<usize>) -> Self {
        Self { key: key.into(), range, plain: false }
    }

    fn placeholder(&self, text: &str) -> String {
        let digest = hex(&Sha256::digest(&text[self.range.clone()]));
        let secret = format!("upgraded:secret:{}:{}", self.key, &digest[..DIGEST_DIGITS]);
        if self.plain { format!("\"${{{secret}:plain}}\"") } else { format!("${{{secret}}}") }
    }
}

pub fn mask(path: &str, raw: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(raw) else { return raw.to_vec() };
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for span in spans(path, text) {
        masked.push_str(&text[at..span.range.start]);
        masked.push_str(&span.placeholder(text));
        at = span.range.end;
    }
    masked.push_str(&text[at..]);
    masked.into_bytes()
}

/// What stands in a text, by its placeholder.
pub fn values(path: &str, raw: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(raw).unwrap_or_default();
    let value = |span: Span| (span.placeholder(text), text[span.range].to_owned());
    spans(path, text).into_iter().map(value).collect()
}

/// `text` with the secrets of `old` where its placeholders are, or with those that are known otherwise.
pub fn fill(
    path: &str, text: &[u8], old: Option<&[u8]>, known: &BTreeMap<String, String>,
) -> Result<Vec<u8>, VerbError> {
    static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r#""\$\{upgraded:secret:([^:{}]+):[0-9a-f]{4}:plain\}""#,
            r"|\$\{upgraded:secret:([^:{}]+):[0-9a-f]{4}(?::plain)?\}"
        ))
        .expect("a constant")
    });
    let Ok(text) = std::str::from_utf8(text) else { return Ok(text.to_vec()) };
    let values = values(path, old.unwrap_or_default());
    let value = |placeholder: &str| values.get(placeholder).or_else(|| known.get(placeholder)).cloned();
    let mut missing = None;
    let filled = PLACEHOLDER.replace_all(text, |found: &Captures| {
        // Who wrote the file anew may have left its quotes out.
        value(&found[0]).or_else(|| value(&format!("\"{}\"", &found[0]))).unwrap_or_else(|| {
            missing = found.get(1).or(found.get(2)).map(|key| key.as_str().to_owned());
            String::new()
        })
    });
    match missing {
        Some(key) => Err(VerbError::Conflict(format!(
            "the secret `{key}` that is to stand in `{path}` is not in the file that it replaces, or has changed"
        ))),
        None => Ok(filled.into_owned().into_bytes()),
    }
}

/// In order, none within another.
fn spans(path: &str, text: &str) -> Vec<Span> {
    let format = Format::of(path);
    let scalars = match format {
        Format::Settings { yaml: true, .. } => scalars(text).unwrap_or_default(),
        _ => Vec::new(),
    };
    let plain: Vec<&Range<usize>> =
        scalars.iter().filter(|scalar| scalar.plain && scalar.in_flow).map(|scalar| &scalar.range).collect();
    let plain_around = |at: usize| {
        let until = plain.partition_point(|range| range.start <= at);
        plain[..until].last().filter(|range| range.contains(&at)).map(|range| (*range).clone())
    };
    let mut spans = match format {
        Format::Dotenv => dotenv_spans(text),
        // Of a program's own syntax, maybe, which has no pairs.
        Format::Settings { bare: true, yaml: false } => {
            settings_spans(text, true).into_iter().chain(whole(path, text)).collect()
        }
        Format::Settings { bare, .. } => settings_spans(text, bare),
        Format::Other => whole(path, text).into_iter().collect(),
    };
    // Lines know nothing of where such a value ends.
    spans.retain(|span| plain_around(span.range.start).is_none());
    if let Format::Settings { bare, .. } = format {
        spans.extend(scalar_spans(text, &scalars, bare));
    }
    spans.extend(key_blocks(text));
    spans.extend(accounts_in_urls(text));
    for span in &mut spans {
        if let Some(whole) = plain_around(span.range.start) {
            (span.range, span.plain) = (whole, true);
        }
    }
    spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    let mut end = 0;
    spans.retain(|span| {
        let kept = span.range.start >= end && !span.range.is_empty();
        if kept {
            end = span.range.end;
        }
        kept
    });
    spans
}

#[derive(Clone, Copy)]
enum Format {
    Dotenv,
    /// `bare`: a string may stand without quotes. `yaml`: it can be read as YAML.
    Settings {
        bare: bool,
        yaml: bool,
    },
    Other,
}

impl Format {
    fn of(path: &str) -> Self {
        if dotenv::is_dotenv(path) {
            return Format::Dotenv;
        }
        let extension = Path::new(path).extension().map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("toml") => Format::Settings { bare: false, yaml: false },
            Some("json") => Format::Settings { bare: false, yaml: true },
            Some("yaml" | "yml") => Format::Settings { bare: true, yaml: true },
            Some("ini" | "conf" | "cfg" | "properties") => Format::Settings { bare: true, yaml: false },
            _ => Format::Other,
        }
    }
}

/// A file that holds a secret and nothing else, as those that `secrets` of a Compose file name: in a folder of secrets, or
/// one line under a name that says so.
fn whole(path: &str, text: &str) -> Option<Span> {
    let path = Path::new(path);
    let (name, stem) = (path.file_name()?.to_string_lossy(), path.file_stem()?.to_string_lossy());
    let is_of_secrets = |folder: &OsStr| ["secrets", ".secrets"].iter().any(|name| folder.eq_ignore_ascii_case(name));
    let value = text.trim();
    let is_named = || !value.contains('\n') && [&name, &stem].iter().any(|name| looks_secret(name, value));
    if !path.parent()?.iter().any(is_of_secrets) && !is_named() {
        return None;
    }
    let start = text.len() - text.trim_start().len();
    Some(Span::new(name.replace([':', '{', '}'], "_"), start..start + value.len()))
}

fn dotenv_spans(text: &str) -> Vec<Span> {
    let entries = dotenv::parse(text).into_iter();
    entries
        .filter(|entry| looks_secret(&entry.key, &text[entry.inner.clone()]))
        .map(|entry| Span::new(entry.key, entry.inner))
        .collect()
}

fn settings_spans(text: &str, bare: bool) -> Vec<Span> {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r#"(?m)(?:^|[\s{,;\["'])(?<key>[A-Za-z_][A-Za-z0-9_.-]*)["']?[ \t]*[:=][ \t]*"#,
            r#"(?:"(?<double>(?:[^"\\\n]|\\.)+)"|'(?<single>[^'\n]+)'|(?<bare>[^\s"'\[{#&*|>,][^\n"'#]*?)["']?[ \t]*(?:[ \t]\#.*)?\r?$)"#
        ))
        .expect("a constant")
    });
    let span = |found: Captures| {
        let value = found.name("double").or(found.name("single")).or(found.name("bare").filter(|_| bare))?;
        let key = &found["key"];
        is_secret(key, value.as_str()).then(|| Span::new(key, value.range()))
    };
    PAIR.captures_iter(text).filter_map(span).collect()
}

/// What a key names, in whatever layout; of items of a list `KEY=value`.
fn scalar_spans(text: &str, scalars: &[Scalar], bare: bool) -> Vec<Span> {
    static ITEM: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?<key>[A-Za-z_][A-Za-z0-9_.-]*)=(?<value>.+)$").expect("a constant"));
    let span = |scalar: &Scalar| {
        let inner = &text[scalar.range.clone()];
        if let Some(key) = &scalar.key {
            let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let named: String = key.chars().map(|c| if fits(c) { c } else { '_' }).collect();
            return is_secret(key, inner).then(|| Span::new(named, scalar.range.clone()));
        }
        let found = ITEM.captures(inner)?;
        let value = found.name("value")?;
        let range = scalar.range.start + value.start()..scalar.range.start + value.end();
        is_secret(&found["key"], value.as_str()).then(|| Span::new(&found["key"], range))
    };
    scalars.iter().filter(|scalar| bare || !scalar.plain).filter_map(span).collect()
}

fn key_blocks(text: &str) -> Vec<Span> {
    static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----").expect("a constant")
    });
    BLOCK.find_iter(text).map(|found| Span::new("PRIVATE_KEY", found.range())).collect()
}

fn accounts_in_urls(text: &str) -> Vec<Span> {
    static URL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@"']*:(?<password>[^@/\s"'${}]+)@"#).expect("a constant")
    });
    let password = |found: Captures| found.name("password").map(|password| password.range());
    URL.captures_iter(text).filter_map(password).map(|range| Span::new("PASSWORD", range)).collect()
}

/// What of a variable's value may be shown to nobody.
pub fn secret_parts<'a>(key: &str, value: &'a str) -> Vec<&'a str> {
    if looks_secret(key, value) {
        return vec![value];
    }
    accounts_in_urls(value).into_iter().map(|span| &value[span.range]).collect()
}

fn is_secret(key: &str, value: &str) -> bool {
    !key.eq_ignore_ascii_case("key") && looks_secret(key, value)
}

fn looks_secret(key: &str, value: &str) -> bool {
    static REFERENCE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})$").expect("a constant"));
    const ANYWHERE: [&str; 4] = ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET"];
    const AT_END: [&str; 9] =
        ["TOKEN", "KEY", "_PASS", "_PWD", "_DSN", "_SALT", "CREDENTIALS", "DATABASE_URL", "DATABASE_URI"];
    let key = key.to_uppercase().replace(['-', '.'], "_");
    let named = ANYWHERE.iter().any(|part| key.contains(part)) || AT_END.iter().any(|end| key.ends_with(end));
    named && !key.ends_with("PUBLIC_KEY") && !value.is_empty() && !REFERENCE.is_match(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(path: &str, text: &str) -> String {
        String::from_utf8(mask(path, text.as_bytes())).unwrap()
    }

    #[test]
    fn secrets_become_placeholders() {
        let text = "VERSION=1.3.0\nDB_PASSWORD=\"hunter2\"\nAPI_KEY=abc # of the shop\nDATABASE_URL=postgres://shop:pw@db/shop\nURL=http://a:b@c/\nSAME=${DB_PASSWORD}\n";
        insta::assert_snapshot!(masked(".env", text), @r#"
        VERSION=1.3.0
        DB_PASSWORD="${upgraded:secret:DB_PASSWORD:f52f}"
        API_KEY=${upgraded:secret:API_KEY:ba78} # of the shop
        DATABASE_URL=${upgraded:secret:DATABASE_URL:6ffa}
        URL=http://a:${upgraded:secret:PASSWORD:3e23}@c/
        SAME=${DB_PASSWORD}
        "#);
        let toml = "max_tokens = 5\n[db]\npassword = \"a\\\"b\"\nlink = { token = 'x y', port = 5 }\n";
        insta::assert_snapshot!(masked("shop.toml", toml), @r#"
        max_tokens = 5
        [db]
        password = "${upgraded:secret:password:e87f}"
        link = { token = '${upgraded:secret:token:887f}', port = 5 }
        "#);
        let yaml = "environment:\n  - POSTGRES_PASSWORD=abc\n  - \"TOKEN=def\"\n  PASSWORD: ${PASSWORD}\nsecret_key: plain text # why\nkey: name\n";
        insta::assert_snapshot!(masked("compose.yaml", yaml), @r#"
        environment:
          - POSTGRES_PASSWORD=${upgraded:secret:POSTGRES_PASSWORD:ba78}
          - "TOKEN=${upgraded:secret:TOKEN:cb83}"
          PASSWORD: ${PASSWORD}
        secret_key: ${upgraded:secret:secret_key:c9ec} # why
        key: name
        "#);
    }

    #[test]
    fn a_file_that_is_a_secret_is_one_placeholder() {
        for path in ["secrets/db.txt", "docker/.secrets/db", "db_password.txt", "config/api-token", "tls/server.key"] {
            let text = masked(path, "hunter2\n");
            assert!(text.starts_with("${upgraded:secret:") && text.ends_with(":f52f}\n"), "{path}: {text}");
            assert_eq!(fill(path, text.as_bytes(), Some(b"hunter2\n"), &BTreeMap::new()).unwrap(), b"hunter2\n");
        }
        assert!(!masked("secrets/users", "a:b\nc:d\n").contains("a:b"));
        for path in ["secrets/redis.conf", "secrets/db.cfg"] {
            let text = masked(path, "requirepass hunter2\npassword = hunter2\n");
            assert!(!text.contains("hunter2") && text.lines().count() == 1, "{path}: {text}");
        }
        assert_eq!(masked("redis.conf", "requirepass hunter2\n"), "requirepass hunter2\n");
        for path in ["docs/password.md", "VERSION", "public.key"] {
            assert_eq!(masked(path, "one\ntwo\n"), "one\ntwo\n", "{path}");
        }
        assert_eq!(masked("VERSION", "1.4.0\n"), "1.4.0\n");
    }

    #[test]
    fn what_is_masked_within_braces_is_yaml_still() {
        let old = "services:\n  web:\n    image: shop:1.3.0\n    environment: { DB_PASSWORD: hunter2, DB: shop } # x\n  \
                   worker: { image: 'shop:1.3.0', environment: [TOKEN=abc, \"A_KEY=d e\", 'URL=http://a:b@c/', u://a:b@c] }\n";
        let text = masked("compose.yaml", old);
        insta::assert_snapshot!(text, @r#"
        services:
          web:
            image: shop:1.3.0
            environment: { DB_PASSWORD: "${upgraded:secret:DB_PASSWORD:f52f:plain}", DB: shop } # x
          worker: { image: 'shop:1.3.0', environment: ["${upgraded:secret:TOKEN:0ffb:plain}", "A_KEY=${upgraded:secret:A_KEY:b9a7}", 'URL=http://a:${upgraded:secret:PASSWORD:3e23}@c/', "${upgraded:secret:PASSWORD:36b9:plain}"] }
        "#);
        let new =
            super::super::yaml::set("compose.yaml", &text, &[("services.worker.image".into(), "shop:1.4.0".into())]);
        let none = BTreeMap::new();
        let filled = fill("compose.yaml", new.unwrap().as_bytes(), Some(old.as_bytes()), &none).unwrap();
        assert_eq!(String::from_utf8(filled).unwrap(), old.replace("'shop:1.3.0'", "'shop:1.4.0'"));
        let unquoted =
            text.replace("\"${upgraded:secret:DB_PASSWORD:f52f:plain}\"", "${upgraded:secret:DB_PASSWORD:f52f:plain}");
        assert_eq!(fill("compose.yaml", unquoted.as_bytes(), Some(old.as_bytes()), &none).unwrap(), old.as_bytes());
    }

    #[test]
    fn a_value_is_as_secret_as_the_name_beside_it() {
        let pod = "env:\n- name: DB_PASSWORD\n  value: hunter2\n- name: MODE\n  value: fast\n- { value: \"a b\", name: API_TOKEN }\n";
        insta::assert_snapshot!(masked("pod-web.yaml", pod), @r#"
        env:
        - name: DB_PASSWORD
          value: ${upgraded:secret:DB_PASSWORD:f52f}
        - name: MODE
          value: fast
        - { value: "${upgraded:secret:API_TOKEN:c868}", name: API_TOKEN }
        "#);
        let json = "{ \"env\": [{ \"name\": \"DB_PASSWORD\", \"value\": \"hunter2\" }], \"secret\": 5 }";
        let expected = json.replace("hunter2", "${upgraded:secret:DB_PASSWORD:f52f}");
        assert_eq!(masked("values.json", json), expected);
    }

    #[test]
    fn a_secret_that_changed_is_not_filled_in() {
        let text = mask(".env", b"TOKEN=one\n");
        let none = BTreeMap::new();
        assert_eq!(fill(".env", &text, Some(b"A=1\nTOKEN=one\n"), &none).unwrap(), b"TOKEN=one\n");
        assert!(matches!(fill(".env", &text, Some(b"TOKEN=two\n"), &none), Err(VerbError::Conflict(_))));
        assert!(matches!(fill(".env", &text, None, &none), Err(VerbError::Conflict(_))));
        assert_eq!(fill(".env", &text, None, &values(".env", b"TOKEN=one\n")).unwrap(), b"TOKEN=one\n");
    }

    proptest! {
        #[test]
        fn what_is_masked_is_filled_in_again(
            path in prop::sample::select(vec![".env", "a.toml", "a.yaml", "a.json", "a.txt", "secrets/a"]),
            lines in prop::collection::vec(r#"(TOKEN|password|A_KEY|NAME)( ?[=:] ?)["']?[a-z:/@$#"'\\ ]{0,10}["']?"#, 0..6),
            flow in any::<bool>(),
        ) {
            let text = if flow { format!("{{ {} }}\n", lines.join(", ")) } else { lines.join("\n") };
            let masked = mask(path, text.as_bytes());
            let filled = fill(path, &masked, Some(text.as_bytes()), &BTreeMap::new()).unwrap();
            prop_assert_eq!(String::from_utf8(filled).unwrap(), text);
        }
    }
}
