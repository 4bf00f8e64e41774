//! What a person reads of each mistake, and what a sound file becomes.

mod claims;
mod hooks;
mod pods;
mod release;
mod repository;

use super::*;
use crate::config::*;
use crate::model::{Info, Need, Role};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

fn plugin(name: &str, role: Role, schema: Value) -> (String, Info) {
    let (version, config_schema, mysql) = ("0.1.0".into(), schema.to_string(), name == "mysql");
    (name.into(), Info { name: name.into(), version, role, needs: vec![], config_schema, mysql })
}

fn catalog() -> BTreeMap<String, Info> {
    let generic = json!({
        "type": "object",
        "properties": {
            "tag-prefix": { "type": "string", "description": "What stands before the version in a tag." },
            "probes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": { "url": { "type": "string" }, "expect": { "type": "integer", "minimum": 100, "maximum": 599 } },
                    "required": ["url"],
                    "additionalProperties": false,
                },
            },
            "order": { "enum": ["semver", "tags"] },
            "token": { "type": "object", "required": ["secret"] },
        },
        "additionalProperties": false,
    });
    let files = json!({ "properties": { "paths": { "type": ["array", "object"] }, "exclude": { "type": "array", "items": { "type": "string", "pattern": "^[^/]" } } } });
    let postgres =
        json!({ "properties": { "database": { "type": "string", "x-site": "name" } }, "required": ["schema-owner"] });
    let mut catalog = BTreeMap::from([
        plugin("generic", Role::Product, generic),
        plugin("source", Role::Platform, json!({ "properties": { "build": { "type": "string" } } })),
        plugin("files", Role::Datastore, files),
        plugin("sqlite", Role::Datastore, json!({ "properties": {} })),
        plugin("postgres", Role::Datastore, json!({ "properties": {} })),
        plugin("strict", Role::Datastore, postgres),
        plugin(
            "broken",
            Role::Datastore,
            json!({ "properties": { "a": { "$ref": "https://example.org/schema.json" } } }),
        ),
        plugin("picky", Role::Product, json!({})),
    ]);
    let need = |role, plugins: &[&str]| Need {
        role,
        plugins: plugins.iter().map(|p| p.to_string()).collect(),
        optional: false,
    };
    catalog.get_mut("picky").unwrap().needs =
        vec![need(Role::Datastore, &["postgres"]), need(Role::Platform, &["compose", "helm"])];
    catalog
}

fn parse(text: &str) -> Result<Deployment, Diagnostics> {
    Deployment::parse("shop", Path::new("shop.toml"), text, &catalog(), SecretCheck::Resolve)
}

/// What a person reads in a terminal.
fn said(text: &str) -> String {
    parse(text).expect_err("this file has mistakes").render(false)
}

/// A whole file but for what a test adds to it.
fn with(rest: &str) -> String {
    format!(
        "product = \"generic\"\nversion = \"1.4.0\"\n\n[platform]\nplugin = \"source\"\ndirectory = \"/opt/shop\"\n{rest}"
    )
}

#[test]
fn a_sound_file() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = format!(
        r#"
product = "generic"
version = "1.4.0"

[settings]
tag-prefix = "v"
probes = [{{ url = "http://127.0.0.1:8080/", expect = 200 }}]
http = ["http://127.0.0.1:8080/", "https://EXAMPLE.org:443"]
token = {{ secret = "file:{secret}" }}

[platform]
plugin = "source"
directory = "/opt/shop/"
repository = "https://example.org/shop.git"
build = "build"

[platform.services.web]
unit = "shop.service"
health = "http://127.0.0.1:8080/health"

[platform.services.worker]
start = ["bin/worker", "start"]
stop = {{ argv = ["bin/worker", "stop"], user = "shop" }}
status = ["bin/worker", "status"]
log = "shared/worker.log"

[platform.commands.migrate]
argv = ["bin/migrate"]
directory = "current"
arguments = true
environment = {{ RAILS_ENV = "production", TOKEN = {{ secret = "file:{secret}" }} }}

[datastores.uploads]
plugin = "files"
paths = ["shared/uploads", "/srv/shop/media"]
exclude = ["cache"]

[datastores.main]
plugin = "sqlite"
paths = {{ main = "shared/shop.db" }}

[datastores.search]
plugin = "postgres"
server = {{ host = "/run/postgresql", user = "upgraded", database = "search" }}

[policy]
window = ["Sat 02:00-06:00 Europe/Berlin"]
approve = "always"
drill = "final"
disposable = ["path:tmp"]
keep-backups = 3
keep-frozen = "2d"
idle = "90s"
"#,
        secret = secret.display()
    );
    let deployment = parse(&text).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
    assert_eq!(
        deployment.bindings().map(|b| b.binding.name.as_str()).collect::<Vec<_>>(),
        ["product", "main", "uploads", "main", "search"]
    );
    assert_eq!(deployment.product.grants.http, ["http://127.0.0.1:8080", "https://example.org"]);
    assert_eq!(
        deployment.product.settings,
        json!({ "tag-prefix": "v", "probes": [{ "url": "http://127.0.0.1:8080/", "expect": 200 }], "token": { "secret": "token" } })
    );
    assert_eq!(deployment.product.grants.secrets["token"], SecretSource::File(secret));
    let platform = &deployment.platforms[0];
    assert_eq!(platform.settings, json!({ "build": "build" }));
    assert_eq!(platform.grants.directory.as_deref(), Some(Path::new("/opt/shop")));
    let migrate = &platform.grants.commands["migrate"];
    assert_eq!(migrate.directory.as_deref(), Some(Path::new("/opt/shop/current")));
    assert!(migrate.arguments && !migrate.reads_only);
    assert!(matches!(&migrate.environment["TOKEN"], EnvironmentValue::Secret(_)));
    let ServiceControl::Commands { stop, status, .. } = &platform.grants.services["worker"].control else { panic!() };
    assert!(status.reads_only);
    assert_eq!(stop.user.as_deref(), Some("shop"));
    assert_eq!(platform.grants.services["worker"].log.as_deref(), Some(Path::new("/opt/shop/shared/worker.log")));
    let uploads = &deployment.datastores[0];
    assert_eq!(uploads.settings, json!({ "paths": ["shared/uploads", "/srv/shop/media"], "exclude": ["cache"] }));
    assert_eq!(uploads.grants.paths["shared/uploads"], Path::new("/opt/shop/shared/uploads"));
    assert_eq!(deployment.datastores[1].settings, json!({}));
    assert_eq!(deployment.datastores[1].grants.paths["main"], Path::new("/opt/shop/shared/shop.db"));
    let server = deployment.datastores[2].grants.server.as_ref().unwrap();
    assert_eq!((server.port, server.maintenance.as_str()), (5432, "postgres"));
    assert_eq!(deployment.policy.keep_frozen, Duration::from_secs(2 * 86_400));
    assert_eq!(deployment.policy.idle, Duration::from_secs(90));
    assert!(!format!("{deployment:?}").contains("hunter2"));
}

#[test]
fn a_server_is_where_its_kind_usually_is() {
    let mut catalog = catalog();
    // By the file's name, which is another than the plugin's own.
    let (_, vendors) = plugin("mysql", Role::Datastore, json!({ "properties": {} }));
    catalog.extend([("shop-mysql-2".to_owned(), Info { name: "shop-mysql".into(), ..vendors })]);
    let server = |database: &str| {
        let table = "server = { service = \"db\", user = \"u\"";
        let text = with(&format!("[datastores.a]\nplugin = \"shop-mysql-2\"\n{table}, database = \"{database}\" }}\n"));
        Deployment::parse("shop", Path::new("shop.toml"), &text, &catalog, SecretCheck::Resolve)
    };
    let deployment = server("shop").expect("valid");
    let store = &deployment.datastores[0];
    assert_eq!((store.named.as_str(), store.binding.plugin.as_str()), ("shop-mysql-2", "shop-mysql"));
    let found = store.grants.server.clone().expect("granted");
    let service = found.service.expect("named");
    assert!(store.grants.mysql);
    assert_eq!((found.port, service.platform.as_str(), service.name.as_str()), (3306, "main", "db"));
    let mistakes = server("mysql").expect_err("the server's own database").to_string();
    assert!(mistakes.contains("is the maintenance database"), "{mistakes}");
}

#[test]
fn the_examples_are_sound() {
    let any = json!({ "additionalProperties": true });
    let catalog = BTreeMap::from([
        plugin("notes", Role::Product, any.clone()),
        plugin("generic", Role::Product, any.clone()),
        plugin("source", Role::Platform, any.clone()),
        plugin("sqlite", Role::Datastore, any.clone()),
        plugin("files", Role::Datastore, any),
    ]);
    for name in ["deployment.toml", "deployment-generic.toml"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/notes").join(name);
        let (deployment, text) = Deployment::load(&file, &catalog, SecretCheck::NameOnly)
            .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
        assert!(text.contains(&deployment.version));
        assert_eq!((deployment.platforms.len(), deployment.datastores.len()), (1, 2));
    }
}

#[test]
fn files_that_are_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    let said = || {
        let mistakes = Deployment::load(&file, &catalog(), SecretCheck::Resolve).unwrap_err().to_string();
        mistakes.replace(&folder.path().display().to_string(), "/etc")
    };
    let mut all = vec![said()];
    for bytes in [&b"version = \"1\"\nproduct = \"\xff\"\n"[..], &[b' '; 2 << 20]] {
        std::fs::write(&file, bytes).unwrap();
        all.push(said());
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(said(""));
}

#[test]
fn syntax() {
    insta::assert_snapshot!(said("product = generic\nversion = \"1.4.0\nprodct = 1\n[platform\nplugin = \"source\"\n"));
}

#[test]
fn a_file_without_its_end() {
    insta::assert_snapshot!(said("product = \"generic\"\nversion = \"1.4"));
}

#[test]
fn keys_that_are_not_known() {
    insta::assert_snapshot!(said(&with(
        "direktory = \"/x\"\nwhatever = 1\n[settings]\ntag-prefx = \"v\"\n[datastore.main]\nplugin = \"files\"\n[policy]\nwindows = []\n"
    )));
}

#[test]
fn versions() {
    for version in ["\"\"", "\"1.4 0\"", "1.4", "\"1\\n\"", "[\"1\"]"] {
        assert!(parse(&with("").replace("\"1.4.0\"", version)).is_err(), "{version}");
    }
    insta::assert_snapshot!(said(&with("").replace("\"1.4.0\"", "1.4")));
}

#[test]
fn plugins_that_are_not_there_or_of_another_role() {
    insta::assert_snapshot!(said(
        "product = \"sorce\"\nversion = \"1\"\n[platform]\nplugin = \"files\"\n[datastores.a]\nplugin = \"mongodb\"\n[datastores.b]\n"
    ));
}

#[test]
fn platforms_twice_and_not_at_all() {
    insta::assert_snapshot!("twice", said(&with("[platforms.main]\nplugin = \"source\"\n")));
    insta::assert_snapshot!("none", said("product = \"generic\"\nversion = \"1\"\n[platforms]\n"));
    insta::assert_snapshot!(
        "names",
        said(&with("[datastores.\"a b\"]\nplugin = \"files\"\n[datastores.a]\nplugin = \"files\"\n[datastores.a]\n"))
    );
}

#[test]
fn settings_that_the_schema_refuses() {
    insta::assert_snapshot!(said(&with(
        "[settings]\ntag-prefix = 1\norder = \"semvar\"\nprobes = [\n  { url = \"x\", expect = 700 },\n  { ulr = \"x\" },\n]\ntoken = \"hunter2\"\n[datastores.a]\nplugin = \"files\"\npaths = [\"a\"]\nexclude = [\"/a\"]\n[datastores.b]\nplugin = \"strict\"\n"
    )));
}

#[test]
fn no_message_repeats_a_value() {
    let mistakes = parse(&with("[settings]\ntoken = \"hunter2\"\n[datastores.a]\nplugin = \"postgres\"\nserver = { host = \"h\", user = \"u\", database = \"d\", password = \"hunter2\" }\n[datastores.b]\nplugin = \"files\"\npaths = [\"x\"]\nexclude = [{ secret = \"hunter2\" }]\n")).unwrap_err();
    assert_eq!(mistakes.list().len(), 3, "{mistakes}");
    assert!(!mistakes.to_string().contains("hunter2"));
    assert!(!serde_json::to_string(&mistakes).unwrap().contains("hunter2"));
    insta::assert_snapshot!(mistakes);
}

#[test]
fn a_schema_that_is_the_plugins_mistake() {
    insta::assert_snapshot!(said(&with("[datastores.a]\nplugin = \"broken\"\n")));
}

#[test]
fn schemas_that_go_in_circles() {
    let schemas = [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } } }),
        json!({ "$dynamicRef": "#x", "$dynamicAnchor": "x" }),
        json!({ "$recursiveRef": "#", "$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveAnchor": true }),
        json!({ "not": { "$ref": "#" } }),
        json!({ "if": { "$ref": "#" }, "then": { "$ref": "#" } }),
        json!({ "dependentSchemas": { "a": { "$ref": "#" } } }),
        json!({ "$id": "https://example.org/a", "$ref": "https://example.org/a" }),
        json!({ "properties": { "a": { "$ref": "#" } }, "additionalProperties": { "$ref": "#" } }),
    ];
    for schema in schemas {
        let catalog = BTreeMap::from([
            plugin("generic", Role::Product, schema.clone()),
            plugin("source", Role::Platform, json!({})),
        ]);
        let text = with("[settings]\na = { a = { a = 1 } }\n");
        let read = Deployment::parse("shop", Path::new("shop.toml"), &text, &catalog, SecretCheck::Resolve);
        assert_eq!(read.is_ok(), schema.get("properties").is_some(), "{schema}");
    }
}

#[test]
fn secrets() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::write(&open, "hunter2").unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let text = with(&format!(
        "[platform.commands.a]\nargv = [\"x\"]\n[platform.commands.a.environment]\nA = {{ secret = \"file:{0}/open\" }}\nB = {{ secret = \"file:{0}/none\" }}\nC = {{ secret = \"file:{0}\" }}\nD = {{ secret = \"file:x\" }}\nE = {{ secret = \"hunter2\" }}\nF = {{ secret = \"env:UPGRADED_TEST_NONE\" }}\nG = {{ secret = \"credential:db\" }}\nH = {{ secret = 1 }}\nI = 1\n1J = \"x\"\n",
        folder.path().display()
    ));
    let rendered = said(&text).replace(&folder.path().display().to_string(), "/tmp/secrets");
    insta::assert_snapshot!(rendered);
    let names_only = Deployment::parse(
        "shop",
        Path::new("shop.toml"),
        &with("[platform.commands.a]\nargv = [\"x\"]\nenvironment = { A = { secret = \"file:/none\" } }"),
        &catalog(),
        SecretCheck::NameOnly,
    );
    assert!(names_only.is_ok(), "a secret that is not there is not looked for");
}

#[test]
fn policies() {
    insta::assert_snapshot!(said(&with(
        "[policy]\nwindow = [\"Sat 02:00-06:00 Europe/Berln\", \"Sat\", 1]\napprove = \"breakin\"\ndrill = true\ndisposable = [\"cache\"]\nkeep-backups = 0\nkeep-frozen = \"2 fortnights\"\nidle = 90\n"
    )));
}

#[test]
fn grants() {
    insta::assert_snapshot!(said(
        "product = \"generic\"\nversion = \"1\"\nsettings = { http = [\"127.0.0.1:80\", \"http://a/b?c\", \"ftp://x\"] }\n[platform]\nplugin = \"source\"\ndirectory = \"opt/shop\"\nrepository = \"https://user:token@example.org/x.git\"\npaths = [\"a\"]\n[datastores.a]\nplugin = \"files\"\npaths = [\"../a\", \"\", 1]\n[datastores.b]\nplugin = \"postgres\"\nserver = { port = 70000, user = \"u\", database = \"postgres\", password = \"x\", hots = \"h\" }\n[datastores.c]\nplugin = \"files\"\npaths = \"a\"\n"
    ));
}

#[test]
fn engines_and_volumes() {
    insta::assert_snapshot!(said(
        "product = \"generic\"\nversion = \"1\"\n[platform]\nplugin = \"source\"\ndirectory = \"/opt/shop\"\nengine = \"tcp://10.0.0.1:2375\"\n[platform.compose]\nfiles = [\"../x.yaml\"]\nproject = \"Shop!\"\nprofile = \"a\"\n[datastores.a]\nplugin = \"files\"\npaths = { one = \"volume:shop data\", two = \"volume:shop_data\" }\n[datastores.b]\nplugin = \"files\"\npaths = [\"volume:shop_data\"]\n[datastores.c]\nplugin = \"postgres\"\nserver = { service = \"a/b/c\", user = \"u\", database = \"d\" }\n"
    ));
}

#[test]
fn drills_in_a_double_or_on_the_server() {
    let read = |policy: &str| parse(&with(&format!("[policy]\n{policy}\n"))).unwrap().policy.drill_in;
    assert_eq!((read(""), read("drill-in = \"server\"")), (DrillIn::Double, DrillIn::Server));
    assert!(said(&with("[policy]\ndrill-in = \"serve\"\n")).contains("did you mean `server`?"));
}

#[test]
fn relative_paths_need_a_directory() {
    insta::assert_snapshot!(said(
        "product = \"generic\"\nversion = \"1\"\n[platform]\nplugin = \"source\"\n[datastores.a]\nplugin = \"files\"\npaths = [\"a\"]\n"
    ));
}

#[test]
fn services_and_commands() {
    insta::assert_snapshot!(said(&with(
        r#"
[platform.services.a]
unit = "a.service"
start = ["a"]
[platform.services.b]
[platform.services.c]
unit = "c"
health = "localhost:80"
[platform.services.d]
start = "npm run start"
stop = ["npm run stop"]
[platform.services.e]
start = []
stop = [1]
status = { argv = ["x"], enviroment = {} }
[platform.commands.f]
argv = "a | b"
user = ""
reads-only = "yes"
[platform.commands."g h"]
argv = ["g"]
"#
    )));
}

#[test]
fn datastores_that_overlap() {
    insta::assert_snapshot!(said(&with(
        r#"
[datastores.a]
plugin = "files"
paths = ["data"]
[datastores.b]
plugin = "sqlite"
paths = ["data/app.db"]
[datastores.c]
plugin = "files"
paths = ["/opt"]
[datastores.d]
plugin = "postgres"
server = { host = "h", user = "u", database = "d" }
[datastores.e]
plugin = "postgres"
server = { host = "h", user = "other", database = "d" }
"#
    )));
}

#[test]
fn what_the_product_needs() {
    insta::assert_snapshot!(said(&with("").replace("generic", "picky")));
}

#[test]
fn every_mistake_is_reported_at_once_and_as_json() {
    let mistakes =
        parse("product = 1\nversion = \"\"\n[platform]\nplugin = \"nix\"\n[policy]\nidle = \"x\"\n").unwrap_err();
    assert_eq!(mistakes.list().iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 2, 4, 6]);
    insta::assert_json_snapshot!(mistakes);
    let back: Diagnostics = serde_json::from_value(serde_json::to_value(&mistakes).unwrap()).unwrap();
    assert_eq!(back.list(), mistakes.list());
    insta::assert_snapshot!("without_the_text", back.render(false));
}

#[test]
fn colour_is_the_same_text() {
    let mistakes = parse("").unwrap_err();
    let plain = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap().replace_all(&mistakes.render(true), "").into_owned();
    assert_ne!(mistakes.render(true), plain);
    assert_eq!(plain.lines().count(), mistakes.render(false).lines().count());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(400))]
    /// Whatever is cut out of a file or put into it, reading ends with a value or with mistakes within the text.
    #[test]
    fn no_text_panics(at in 0..400usize, length in 0..60usize, put in "[\\[\\]{}=\"'#.,a-z0-9é\u{feff}\r\n ]{0,12}") {
        let whole = with("[settings]\nprobes = [{ url = \"é\", expect = 700 }]\n[datastores.a]\nplugin = \"files\"\npaths = [\"a\"]\n[policy]\nidle = \"1s\"\n");
        let mut text: Vec<char> = whole.chars().collect();
        let at = at.min(text.len());
        let end = (at + length).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        if let Err(mistakes) = parse(&text) {
            proptest::prop_assert!(!mistakes.list().is_empty());
            for mistake in mistakes.list() {
                proptest::prop_assert!(text.get(mistake.span.clone()).is_some());
            }
            mistakes.render(false);
        }
    }
}
