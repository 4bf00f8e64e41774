//! Only the version's value changes, whatever the file looks like.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn everything_else_stays() {
    for (old, new) in [
        ("version = \"1.4.0\"\n", "version = \"2.0.0\"\n"),
        (
            "version='1.4.0'   # edit this\r\nproduct = \"x\"\r\n",
            "version='2.0.0'   # edit this\r\nproduct = \"x\"\r\n",
        ),
        ("\u{feff}# a\n\n  version  =  \"1\"", "\u{feff}# a\n\n  version  =  \"2.0.0\""),
        ("\"version\" = \"\"\"1\"\"\"\t\n", "\"version\" = \"\"\"2.0.0\"\"\"\t\n"),
        ("'version' = '''\n1'''\n", "'version' = '''2.0.0'''\n"),
        ("version = ''\n", "version = '2.0.0'\n"),
        ("version = \"\"\n", "version = \"2.0.0\"\n"),
        ("version = 1.4 # a number\n", "version = \"2.0.0\" # a number\n"),
        ("version = 2024-01-01\n[a]\nversion = \"1\"\n", "version = \"2.0.0\"\n[a]\nversion = \"1\"\n"),
        ("a = { version = \"1\" }\nversion = \"\\u0031\"", "a = { version = \"1\" }\nversion = \"2.0.0\""),
        ("a.version = \"1\"\n\"ver\\u0073ion\" = \"1\"\n", "a.version = \"1\"\n\"ver\\u0073ion\" = \"2.0.0\"\n"),
    ] {
        assert_eq!(with_version(old, "2.0.0").unwrap(), new, "{old:?}");
    }
}

#[test]
fn a_version_that_needs_other_quotes_gets_them() {
    for (old, version, new) in [
        ("version = '1'", "a'b", "version = \"a'b\""),
        ("version = '''1'''", "a'b", "version = \"a'b\""),
        ("version = \"1\"", "a\"\\b", "version = \"a\\\"\\\\b\""),
        ("version = \"\"\"1\"\"\"", "\"\"\"\"", "version = \"\"\"\\\"\\\"\\\"\\\"\"\"\""),
    ] {
        assert_eq!(with_version(old, version).unwrap(), new);
        assert_eq!(new.parse::<toml::Table>().unwrap()["version"].as_str(), Some(version));
    }
}

#[test]
fn the_same_version_changes_no_byte() {
    let text = "version = \"\\u0031\"\n";
    assert_eq!(with_version(text, "1").unwrap(), text);
}

#[test]
fn what_can_not_be_edited_is_refused() {
    for text in ["", "a = 1", "[a]\nversion = \"1\""] {
        assert!(matches!(with_version(text, "2"), Err(EditError::NoVersion)), "{text}");
    }
    for text in ["version.a = 1", "[version]\n", "[[version]]\n", "version = [\"1\"]", "version = {}"] {
        assert!(matches!(with_version(text, "2"), Err(EditError::NoValue)), "{text}");
    }
    assert!(matches!(with_version("version = ", "2"), Err(EditError::Syntax(_))));
    assert!(matches!(with_version("version = \"1\"\nversion = \"1\"", "2"), Err(EditError::Syntax(_))));
    for version in ["", " ", "1 2", "1\n", "a\u{7f}", "a\u{202e}b", "\u{feff}1"] {
        assert!(matches!(with_version("version = \"1\"", version), Err(EditError::Version(_))), "{version:?}");
    }
}

#[test]
fn a_file_keeps_its_mode_and_a_link_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("real")).unwrap();
    std::fs::write(at("real/app.toml"), "version = '1' # now\r\n").unwrap();
    std::fs::set_permissions(at("real/app.toml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(at("real/app.toml"), Some(12), Some(34)).unwrap();
    symlink("real/app.toml", at("app.toml")).unwrap();

    assert!(set_version(&at("app.toml"), "2").unwrap());

    assert_eq!(std::fs::read_to_string(at("real/app.toml")).unwrap(), "version = '2' # now\r\n");
    assert_eq!(std::fs::read_link(at("app.toml")).unwrap().to_str(), Some("real/app.toml"));
    let metadata = std::fs::metadata(at("app.toml")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o640, 12, 34));
    assert_eq!(std::fs::read_dir(at("real")).unwrap().count(), 1, "nothing is left over");
    let inode = metadata.ino();
    assert!(!set_version(&at("app.toml"), "2").unwrap());
    assert_eq!(std::fs::metadata(at("app.toml")).unwrap().ino(), inode, "the same version writes nothing");
    let none = set_version(&at("none.toml"), "2").unwrap_err();
    assert!(matches!(&none, EditError::Io(_)) && none.to_string().contains("No such file"), "{none}");
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}",
        Just("version".to_owned()),
        Just("\"version\"".to_owned()),
        Just("'version'".to_owned()),
        Just("version.sub".to_owned()),
        "[a-z]{1,3}\\.version",
        "\"[a-z #=]{0,5}\"",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "\"[a-z0-9 #=é😀\\[\\]]{0,8}\"",
        "'[a-z0-9 #=\"\\\\]{0,8}'",
        "\"\"\"[a-z0-9 #=\n]{0,8}\"\"\"",
        "'''[a-z0-9 #=\n\"]{0,8}'''",
        "[1-9][0-9]{0,4}",
        "[1-9]\\.[0-9]",
        Just("true".to_owned()),
        Just("2024-05-06T07:08:09Z".to_owned()),
        Just("[ \"version\", # c\n 'x', ]".to_owned()),
        Just("{ version = \"inner\", a = 1 }".to_owned()),
    ]
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => (key(), "[ \t]{0,2}", "[ \t]{0,2}", value(), prop_oneof![Just(String::new()), Just("  # version = \"9\"".to_owned()), Just(" ".to_owned())])
            .prop_map(|(key, before, after, value, tail)| format!("{key}{before}={after}{value}{tail}")),
        1 => "# [a-z=\" ]{0,10}",
        1 => Just(String::new()),
        1 => "\\[[a-z]{1,3}\\]",
        1 => "\\[\\[[a-z]{1,3}\\]\\]",
    ]
}

fn document() -> impl Strategy<Value = String> {
    let version =
        (value(), prop_oneof![Just("version"), Just("\"version\""), Just("'version'"), Just("\"\\u0076ersion\"")])
            .prop_map(|(value, key)| format!("{key} = {value}"));
    let newline = prop_oneof![Just("\n"), Just("\r\n")];
    (
        any::<bool>(),
        prop::collection::vec(line(), 0..4),
        version,
        prop::collection::vec(line(), 0..6),
        newline,
        any::<bool>(),
    )
        .prop_map(|(mark, before, version, after, newline, last)| {
            let lines: Vec<String> = before.into_iter().chain([version]).chain(after).collect();
            let (mark, last) = (if mark { "\u{feff}" } else { "" }, if last { newline } else { "" });
            format!("{mark}{}{last}", lines.join(newline))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn only_the_version_changes(text in document(), version in "[a-z0-9.'\"\\\\+-]{1,10}") {
        let Ok(mut old) = text.parse::<toml::Table>() else {
            prop_assert!(with_version(&text, &version).is_err());
            return Ok(());
        };
        let edited = match old.get("version") {
            None | Some(toml::Value::Table(_) | toml::Value::Array(_)) => {
                prop_assert!(with_version(&text, &version).is_err());
                return Ok(());
            }
            Some(_) => with_version(&text, &version).unwrap(),
        };
        let new: toml::Table = edited.parse().unwrap();
        old.insert("version".into(), toml::Value::String(version.clone()));
        prop_assert_eq!(&new, &old);
        let root = DeTable::parse(&text).unwrap();
        let span = root.get_ref().get("version").unwrap().span();
        prop_assert!(edited.starts_with(&text[..span.start]) && edited.ends_with(&text[span.end..]));
        prop_assert_eq!(with_version(&edited, &version).unwrap(), edited, "once more changes nothing");
    }
}
