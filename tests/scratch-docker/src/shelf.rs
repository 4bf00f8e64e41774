//! The images of one product in the engine's registry: its program on busybox, a release each.

use crate::image::NO_FILES;
use crate::{Engine, ImageConfig, program_files, registry_has};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Shelf {
    engine: Engine,
    program: PathBuf,
    registry: String,
}

impl Shelf {
    /// `program`: the product's, in every image.
    pub fn new(engine: &Engine, program: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(program).map_err(|error| format!("`{}`: {error}", program.display()))?;
        let short: String = Sha256::digest(&bytes)[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let registry = format!("{}/b{short}", engine.registry());
        Ok(Self { engine: engine.clone(), program: program.to_owned(), registry })
    }

    /// Where the images of this very program are: another build's are others.
    pub fn registry(&self) -> &str {
        &self.registry
    }
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Puts an image there, where it isn't there yet. It does not stay on the engine, so that whoever needs it pulls it.
    pub fn publish(&self, name: &str, config: &ImageConfig) -> Result<(), String> {
        let _guard = one_at_a_time(PUSH)?;
        if self.has(name) {
            return Ok(());
        }
        let common = format!("{}/program:1", self.registry);
        if !self.has("program:1") {
            let folder = tempfile::tempdir().map_err(|error| format!("a folder: {error}"))?;
            let files = program_files(&stripped(&self.program, folder.path())?);
            let config = ImageConfig { keep: true, ..ImageConfig::default() };
            self.engine.try_image(&common, Some(&self.engine.base("busybox:1")), &files, &config)?;
        }
        self.engine.try_image(&format!("{}/{name}", self.registry), Some(&common), NO_FILES, config)
    }

    /// A base image of the tests, beside the product's own.
    pub fn mirror(&self, name: &str) -> Result<(), String> {
        self.mirror_as(name, name)
    }

    /// The same, under another name.
    pub fn mirror_as(&self, base: &str, name: &str) -> Result<(), String> {
        let _guard = one_at_a_time(PUSH)?;
        if self.has(name) {
            return Ok(());
        }
        let reference = format!("{}/{name}", self.registry);
        let own = format!("{}/{base}", self.engine.registry());
        for arguments in [&["pull", "--quiet", &own][..], &["tag", &own, &reference], &["push", "--quiet", &reference]]
        {
            self.engine.try_to(arguments)?;
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        let (name, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let beneath = self.registry.strip_prefix(self.engine.registry()).unwrap_or_default().trim_start_matches('/');
        registry_has(self.engine.registry(), &format!("{beneath}/{name}"), tag)
    }
}

/// A registry that two push the same layers into says that they are unknown.
pub(crate) const PUSH: &str = "push";

/// As long as the file is there. Of all programs of tests on this machine, for what goes wrong where two do it at once.
pub(crate) fn one_at_a_time(what: &str) -> Result<File, String> {
    let path = std::env::temp_dir().join(format!("upgraded-tests-{what}.lock"));
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    options.and_then(|file| file.lock().map(|()| file)).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Without what only a debugger needs: it is copied into images.
fn stripped(program: &Path, folder: &Path) -> Result<PathBuf, String> {
    let out = folder.join(program.file_name().unwrap_or_default());
    let ended = Command::new("strip").arg("-o").arg(&out).arg(program).output();
    match ended.map_err(|error| format!("`strip`: {error}"))? {
        output if output.status.success() => Ok(out),
        output => Err(format!("`strip`: {}", String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}
