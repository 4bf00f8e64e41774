//! A dynamically linked program with all that it needs in an otherwise empty image.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program, its shared libraries and the loader, as [`crate::Engine::image`] takes them: the program at
/// `/usr/local/bin/<name>`, the others at the paths that they have here.
pub fn program_files(binary: &Path) -> Vec<(String, PathBuf)> {
    let name = binary.file_name().unwrap_or_else(|| panic!("`{}` names no program", binary.display()));
    let mut files = vec![(format!("/usr/local/bin/{}", name.to_string_lossy()), binary.to_owned())];
    let output = Command::new("ldd").arg(binary).output().unwrap_or_else(|error| panic!("`ldd`: {error}"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        let is_static = ["not a dynamic executable", "statically linked"].iter().any(|words| said.contains(words));
        assert!(is_static && binary.is_file(), "`ldd {}`: {said}", binary.display());
        return files;
    }
    files.extend(libraries(&said).into_iter().map(|path| (path.clone(), PathBuf::from(path))));
    files
}

/// Lines like `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn libraries(said: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in said.lines() {
        assert!(!line.contains("not found"), "a library is missing: {}", line.trim());
        let place = line.split_once("=>").map_or(line, |(_, place)| place).trim();
        let path = place.split(" (").next().unwrap_or_default();
        if path.starts_with('/') {
            paths.push(path.to_owned());
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ldd_says() {
        let said =
            "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x1)\n";
        assert_eq!(libraries(said), ["/lib/x/libc.so.6", "/lib64/ld.so.2"]);
        assert!(libraries("\tstatically linked\n").is_empty());
    }

    #[test]
    #[should_panic(expected = "a library is missing: liba.so => not found")]
    fn a_missing_library_is_named() {
        libraries("\tliba.so => not found\n");
    }
}
