//! Holds a component against what the host offers, before anything is linked: so that the refusal names everything that
//! is wrong, and not the first thing that a linker trips over.

use super::error::PluginError;
use crate::capability;
use crate::model::Role;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The contract that this host speaks.
pub const CONTRACT: &str = "0.1.0";
const PACKAGE: &str = "upgraded:plugin";
const ROLES: [Role; 3] = [Role::Product, Role::Platform, Role::Datastore];

/// Bytes that are no component are named for what they are.
pub fn is_component(bytes: &[u8], file: &str) -> Result<(), PluginError> {
    let why = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => "it is a core module; built for `wasm32-wasip2`, it would be one",
        [0, b'a', b's', b'm', ..] => "it is WebAssembly of an unknown version",
        [0x7f, b'E', b'L', b'F', ..] => "it is native code, and the host compiles components itself",
        [] => "it is empty",
        _ => "it is not WebAssembly",
    };
    Err(PluginError::NotAComponent { file: file.into(), why: why.into() })
}

/// The component's role, once its imports and exports fit.
pub fn check(component: &Component, engine: &Engine, file: &str) -> Result<Role, PluginError> {
    let exports = component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    check_names(&imports(component, engine), &exports, file)
}

/// Whether the server that a datastore is granted is one of MySQL or MariaDB.
pub fn is_for_mysql(component: &Component, engine: &Engine) -> bool {
    imports_mysql(&imports(component, engine))
}

fn imports(component: &Component, engine: &Engine) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// And no verb for the other kind.
fn imports_mysql(imports: &[String]) -> bool {
    let has =
        |interface: &str| imports.iter().any(|name| split(name).is_some_and(|it| (it.0, it.1) == (PACKAGE, interface)));
    has("mysql") && !has("postgres")
}

fn check_names(imports: &[String], exports: &[String], file: &str) -> Result<Role, PluginError> {
    for name in exports.iter().chain(imports) {
        if let Some((PACKAGE, _, version)) = split(name)
            && !fits(version, CONTRACT)
        {
            let found = format!("`{PACKAGE}@{version}`");
            return Err(PluginError::Contract { file: file.into(), found, offered: CONTRACT });
        }
    }
    let role = role_of(exports, file)?;
    let wanted: Vec<String> = imports.iter().filter(|name| !is_offered(name, role)).cloned().collect();
    if wanted.is_empty() {
        return Ok(role);
    }
    let own = capability::offered(role).iter().map(|interface| format!("{PACKAGE}/{interface}@{CONTRACT}"));
    let offered = own.chain(capability::WASI.iter().map(|name| format!("{name}@0.2"))).collect();
    Err(PluginError::Imports { file: file.into(), role, wanted, offered })
}

fn role_of(exports: &[String], file: &str) -> Result<Role, PluginError> {
    let has =
        |interface: &str| exports.iter().any(|name| split(name).is_some_and(|it| (it.0, it.1) == (PACKAGE, interface)));
    let roles: Vec<Role> = ROLES.into_iter().filter(|role| has(&role.to_string())).collect();
    match roles[..] {
        [role] if has("meta") => Ok(role),
        [] | [_] => {
            let exports = exports.iter().take(20).cloned().collect();
            Err(PluginError::NoRole { file: file.into(), contract: "upgraded:plugin@0.1.0", exports })
        }
        _ => Err(PluginError::ManyRoles { file: file.into(), roles: roles.iter().map(Role::to_string).collect() }),
    }
}

fn is_offered(name: &str, role: Role) -> bool {
    match split(name) {
        Some((PACKAGE, interface, _)) => capability::offered(role).contains(&interface),
        Some((package, interface, version)) => {
            fits(version, "0.2.0") && capability::WASI.contains(&format!("{package}/{interface}").as_str())
        }
        None => false,
    }
}

/// `package`, `interface` and `version` of `package/interface@version`.
fn split(name: &str) -> Option<(&str, &str, &str)> {
    let (path, version) = name.split_once('@')?;
    let (package, interface) = path.split_once('/')?;
    Some((package, interface, version))
}

/// Below 1.0, releases with the same second number fit one another.
fn fits(version: &str, offered: &str) -> bool {
    match (semver::Version::parse(version), semver::Version::parse(offered)) {
        (Ok(version), Ok(offered)) => {
            (version.major, version.minor) == (offered.major, offered.minor) && version.pre.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(imports: &[&str], exports: &[&str]) -> Result<Role, String> {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        check_names(&owned(imports), &owned(exports), "x.wasm").map_err(|error| error.to_string())
    }

    const META: &str = "upgraded:plugin/meta@0.1.0";
    const STORE: &str = "upgraded:plugin/datastore@0.1.0";

    #[test]
    fn what_fits_has_its_role() {
        let imports = ["upgraded:plugin/trees@0.1.0", "wasi:io/streams@0.2.6", "wasi:cli/environment@0.2.0"];
        assert_eq!(check(&imports, &[META, STORE]), Ok(Role::Datastore));
    }

    #[test]
    fn imports_say_of_which_kind_a_server_is() {
        let of = |names: &[&str]| imports_mysql(&names.iter().map(|name| name.to_string()).collect::<Vec<_>>());
        let (mysql, postgres) = ("upgraded:plugin/mysql@0.1.0", "upgraded:plugin/postgres@0.1.0");
        assert!(of(&[mysql, "upgraded:plugin/trees@0.1.0"]));
        assert!(!of(&[postgres]) && !of(&[mysql, postgres]) && !of(&["other:plugin/mysql@0.1.0"]));
    }

    #[test]
    fn a_refusal_names_everything_that_is_wanted_and_what_there_is() {
        let imports = ["upgraded:plugin/control@0.1.0", "wasi:sockets/tcp@0.2.0", "wasi:io/poll@0.3.0", "env"];
        let refused = check(&imports, &[META, STORE]).unwrap_err();
        insta::assert_snapshot!(refused);
    }

    #[test]
    fn another_contract_is_named() {
        let exports = ["upgraded:plugin/meta@0.2.0", "upgraded:plugin/datastore@0.2.0"];
        insta::assert_snapshot!(check(&[], &exports).unwrap_err());
    }

    #[test]
    fn a_role_that_is_missing_or_one_too_many_is_named() {
        insta::assert_snapshot!(check(&[], &["wasi:cli/run@0.2.0"]).unwrap_err());
        insta::assert_snapshot!(check(&[], &[STORE]).unwrap_err());
        insta::assert_snapshot!(check(&[], &[META, STORE, "upgraded:plugin/product@0.1.0"]).unwrap_err());
    }

    #[test]
    fn other_files_are_named_for_what_they_are() {
        let why = |bytes: &[u8]| is_component(bytes, "x.wasm").unwrap_err().to_string();
        insta::assert_snapshot!(why(b"\0asm\x01\0\0\0"));
        insta::assert_snapshot!(why(b"\x7fELF\x02"));
        insta::assert_snapshot!(why(b"hello"));
        assert!(is_component(b"\0asm\x0d\0\x01\0...", "x.wasm").is_ok());
    }

    #[test]
    fn the_offers_are_the_worlds_of_the_contract() {
        let wit = include_str!("../../../wit/upgraded.wit");
        for role in ROLES {
            let world = wit.split(&format!("world {role}-plugin {{")).nth(1).unwrap().split('}').next().unwrap();
            let imported = world.split(';').filter_map(|part| part.trim().strip_prefix("import "));
            let mut imported: Vec<_> = imported.chain(["types"]).collect();
            let mut offered = capability::offered(role).to_vec();
            imported.sort_unstable();
            offered.sort_unstable();
            assert_eq!(imported, offered, "{role}");
        }
        assert!(wit.contains(&format!("package {PACKAGE}@{CONTRACT};")));
    }
}
