//! Where the build put the programs: beside the test that runs.

use std::path::PathBuf;

pub struct Programs {
    pub upgraded: PathBuf,
    pub upgradectl: PathBuf,
    pub notes: PathBuf,
    /// Of `decisiongraph`.
    pub mix: PathBuf,
    pub tessallite: PathBuf,
    pub evose: PathBuf,
    pub infrahub: PathBuf,
    pub aegis: PathBuf,
    pub components: PathBuf,
}

impl Programs {
    pub fn find() -> Self {
        let test = std::env::current_exe().expect("a test has a path");
        // target/debug/deps/test-0123456789abcdef
        let built = test.parent().and_then(|deps| deps.parent()).expect("a test lies in `deps`").to_owned();
        let program = |name: &str| {
            let path = built.join(name);
            let how = "`cargo build --workspace --bins --features upgraded/failpoints` makes it";
            assert!(path.is_file(), "`{}` is missing; {how}, and `cargo xtask test` does", path.display());
            path
        };
        let components = match std::env::var_os("UPGRADED_COMPONENTS") {
            Some(folder) => folder.into(),
            None => built.parent().expect("`debug` lies in the target folder").join("components"),
        };
        for name in [
            "notes",
            "decisiongraph",
            "tessallite",
            "evose",
            "infrahub",
            "aegis",
            "generic",
            "source",
            "cloud-run",
            "cloud-sql",
            "compose",
            "helm",
            "podman",
            "sqlite",
            "files",
            "postgres",
            "mysql",
        ] {
            let path = components.join(format!("{name}.wasm"));
            assert!(path.is_file(), "`{}` is missing; `cargo xtask components` makes it", path.display());
        }
        Self {
            upgraded: program("upgraded"),
            upgradectl: program("upgradectl"),
            notes: program("notes"),
            mix: program("mix"),
            tessallite: program("tessallite"),
            evose: program("evose"),
            infrahub: program("infrahub"),
            aegis: program("aegis"),
            components,
        }
    }
}
