//! Releases that a test makes up: committed and tagged in the site's repository, as their vendor would.

use crate::Site;
use crate::machine::{succeed, write};
use std::fs;

pub struct Release<'a> {
    pub version: &'a str,
    /// The release that it was made from.
    pub base: &'a str,
    /// `release.toml` without the version.
    pub switches: &'a str,
    /// Its name and its statements; added to what the base has.
    pub migration: Option<(&'a str, String)>,
}

impl Site {
    pub fn publish(&self, release: &Release<'_>) {
        let (folder, version) = (self.path("repository"), release.version);
        let git = |arguments: &[&str]| succeed(self.git().args(arguments));
        git(&["checkout", "--quiet", "--detach", &format!("v{}", release.base)]);
        write(&folder.join("release.toml"), &format!("version = \"{version}\"\n{}\n", release.switches));
        if let Some((name, statements)) = &release.migration {
            write(&folder.join("migrations").join(name), statements);
        }
        git(&["add", "--all"]);
        git(&[
            "-c", "user.name=Notes", "-c", "user.email=notes@example.invalid", "commit", "--quiet", "--message", version,
        ]);
        git(&["tag", &format!("v{version}")]);
        git(&["checkout", "--quiet", "--force", "main"]);
        assert!(fs::exists(folder.join("release.toml")).expect("the work tree"), "main is checked out again");
    }
}
