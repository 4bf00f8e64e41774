//! Real repositories in temporary folders.

use super::*;
use crate::driver::project::Rights;
use crate::driver::testing;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

struct Shop {
    folder: TempDir,
    checkout: Checkout,
    cx: StepContext,
}

/// A repository with the lightweight tag `v1` and the annotated tag `v2`, and a deployment that fetches from it.
fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let origin = folder.path().join("origin");
    fs::create_dir(&origin).unwrap();
    git(&origin, &["init", "--quiet", "--initial-branch=main"]);
    release(&origin, "1", &["tag", "v1"]);
    release(&origin, "2", &["tag", "--annotate", "--message=two", "v2"]);
    let checkout = checkout(folder.path(), "exec ./build");
    Shop { cx: testing::changing(folder.path(), "r1-stage"), checkout, folder }
}

pub fn shop_folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn checkout_of(folder: &Path, repository: &str) -> Checkout {
    checkout_from(folder, "exec ./build", repository)
}

fn checkout(folder: &Path, script: &str) -> Checkout {
    checkout_from(folder, script, &folder.join("origin").display().to_string())
}

fn checkout_from(folder: &Path, script: &str, repository: &str) -> Checkout {
    let layout = Layout::new(&folder.join("shop"));
    fs::create_dir_all(&layout.directory).unwrap();
    let commands = BTreeMap::from([("build".to_owned(), testing::command(&["/bin/sh", "-c", script]))]);
    let idle = Duration::from_secs(60);
    let processes = Processes::new(commands, Some(layout.clone()), idle, testing::machine(folder));
    Checkout::new(&testing::deployment(folder), Some(layout), Some(repository.to_owned()), Arc::new(processes), idle)
}

fn release(origin: &Path, version: &str, tag: &[&str]) {
    fs::write(origin.join("VERSION"), version).unwrap();
    fs::write(origin.join("build"), "#!/bin/sh\necho built in $PWD\necho x >> built\n").unwrap();
    git(origin, &["add", "--all"]);
    git(origin, &["update-index", "--chmod=+x", "build"]);
    git(origin, &["commit", "--quiet", "--message", version]);
    git(origin, tag);
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    let output = command.args(arguments).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Shop {
    fn origin(&self) -> PathBuf {
        self.folder.path().join("origin")
    }
    fn layout(&self) -> Layout {
        Layout::new(&self.folder.path().join("shop"))
    }
    fn commit(&self, revision: &str) -> String {
        git(&self.origin(), &["rev-parse", &format!("{revision}^{{commit}}")])
    }
    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.layout().directory.join(path)).unwrap()
    }
}

#[tokio::test]
async fn tags_and_commits_are_found_and_nothing_else() {
    let shop = shop();
    let (one, two) = (shop.commit("v1"), shop.commit("v2"));
    let expected = vec![("v1".to_owned(), one.clone()), ("v2".to_owned(), two.clone())];
    assert_eq!(shop.checkout.releases(&shop.cx).await.unwrap(), expected);
    for (revision, commit) in [("v1", &one), ("v2", &two), (&one[..7], &one), (&two, &two)] {
        assert_eq!(shop.checkout.fetch(&shop.cx, revision).await.unwrap(), *commit, "{revision}");
    }
    for revision in ["main", "HEAD", "v3", "--upload-pack=touch /tmp/x", "-v", "v1^", "v1 v2", "", "../v1"] {
        let error = shop.checkout.fetch(&shop.cx, revision).await.unwrap_err();
        assert!(matches!(error, VerbError::Invalid(_) | VerbError::NotFound(_)), "{revision}: {error}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_changes_nothing_that_was_resolved() {
    let shop = shop();
    let before = shop.commit("v1");
    assert_eq!(shop.checkout.fetch(&testing::reading(shop.folder.path()), "v1").await.unwrap(), before);
    git(&shop.origin(), &["tag", "--force", "v1", "main"]);
    release(&shop.origin(), "3", &["tag", "v3"]);
    assert_eq!(shop.checkout.fetch(&shop.cx, "v3").await.unwrap(), shop.commit("v3"));
    assert_eq!(shop.checkout.fetch(&shop.cx, "v1").await.unwrap(), before);
    assert!(shop.checkout.releases(&shop.cx).await.unwrap().contains(&("v1".to_owned(), before)));
    assert!(shop.cx.activity.tail().iter().any(|line| line.starts_with("the tag `v1` was moved")));
}

#[tokio::test]
async fn without_the_repository_the_mirror_answers() {
    let shop = shop();
    shop.checkout.fetch(&shop.cx, "v1").await.unwrap();
    let before = shop.checkout.releases(&shop.cx).await.unwrap();
    fs::rename(shop.origin(), shop.folder.path().join("away")).unwrap();
    assert_eq!(shop.checkout.releases(&shop.cx).await.unwrap(), before);
    assert_eq!(shop.checkout.fetch(&shop.cx, "v2").await.unwrap(), before[1].1);
    assert!(matches!(shop.checkout.fetch(&shop.cx, "v9").await, Err(VerbError::Unavailable(_))));
}

#[tokio::test]
async fn a_commit_on_no_branch_is_fetched_by_its_digits() {
    let shop = shop();
    git(&shop.origin(), &["checkout", "--quiet", "--detach"]);
    release(&shop.origin(), "lone", &["checkout", "--quiet", "main"]);
    let lone = git(&shop.origin(), &["rev-parse", "@{1}"]);
    assert_eq!(shop.checkout.fetch(&shop.cx, &lone).await.unwrap(), lone);
}

#[tokio::test]
async fn a_release_is_laid_out_built_and_activated_once() {
    let shop = shop();
    let one = shop.checkout.fetch(&shop.cx, "v1").await.unwrap();
    let two = shop.checkout.fetch(&shop.cx, "v2").await.unwrap();
    assert_eq!(shop.checkout.active(&shop.cx).await.unwrap(), None);
    assert!(matches!(shop.checkout.activate(&shop.cx, &one).await, Err(VerbError::NotFound(_))));
    for _ in 0..2 {
        shop.checkout.prepare(&shop.cx, &one, Some("build")).await.unwrap();
        shop.checkout.prepare(&shop.cx, &two, None).await.unwrap();
    }
    assert_eq!(shop.text(&format!("releases/{one}/built")), "x\n");
    for (commit, version, tag) in [(&one, "1", "v1"), (&two, "2", "v2"), (&one, "1", "v1")] {
        for _ in 0..2 {
            shop.checkout.activate(&shop.cx, commit).await.unwrap();
        }
        assert_eq!(shop.text("current/VERSION"), version);
        let active = shop.checkout.active(&shop.cx).await.unwrap();
        assert_eq!(active, Some((commit.clone(), Some(tag.to_owned()))));
    }
    for wrong in ["../../etc", "v1", &one[..39], &one.to_uppercase()] {
        assert!(shop.checkout.prepare(&shop.cx, wrong, None).await.is_err());
        assert!(shop.checkout.activate(&shop.cx, wrong).await.is_err());
    }
}

#[tokio::test]
async fn a_build_that_fails_leaves_nothing_that_counts() {
    let shop = shop();
    let one = shop.checkout.fetch(&shop.cx, "v1").await.unwrap();
    let failing = checkout(shop.folder.path(), "touch half; echo no compiler; exit 2");
    let error = failing.prepare(&shop.cx, &one, Some("build")).await.unwrap_err();
    assert_eq!(error.to_string(), "the command `build` ended with 2:\nno compiler");
    assert!(matches!(failing.activate(&shop.cx, &one).await, Err(VerbError::NotFound(_))));
    shop.checkout.prepare(&shop.cx, &one, Some("build")).await.unwrap();
    assert!(!shop.layout().release(&Commit::parse(&one).unwrap()).join("half").exists());
    shop.checkout.activate(&shop.cx, &one).await.unwrap();
}

#[tokio::test]
async fn what_a_killed_git_left_locked_is_cleared_away() {
    let shop = shop();
    shop.checkout.fetch(&shop.cx, "v1").await.unwrap();
    release(&shop.origin(), "3", &["tag", "v3"]);
    for lock in ["packed-refs.lock", "refs/tags/v3.lock", "config.lock"] {
        fs::create_dir_all(shop.layout().mirror().join("refs/tags")).unwrap();
        fs::write(shop.layout().mirror().join(lock), "").unwrap();
    }
    assert_eq!(shop.checkout.fetch(&shop.cx, "v3").await.unwrap(), shop.commit("v3"));
}

#[tokio::test]
async fn a_submodule_is_refused_by_name() {
    let shop = shop();
    let one = shop.commit("v1");
    git(&shop.origin(), &["update-index", "--add", "--cacheinfo", &format!("160000,{one},vendor/lib")]);
    git(&shop.origin(), &["commit", "--quiet", "--message", "module"]);
    git(&shop.origin(), &["tag", "v4"]);
    let commit = shop.checkout.fetch(&shop.cx, "v4").await.unwrap();
    let error = shop.checkout.prepare(&shop.cx, &commit, None).await.unwrap_err();
    assert!(error.to_string().starts_with("`vendor/lib` is a submodule"), "{error}");
}

/// A machine without Git LFS: the note of where such a file is, is the file itself.
#[tokio::test]
async fn a_file_that_lies_elsewhere_is_refused_by_name() {
    let shop = shop();
    fs::write(shop.origin().join(".gitattributes"), "*.jar filter=lfs diff=lfs merge=lfs -text\n").unwrap();
    fs::create_dir(shop.origin().join("lib")).unwrap();
    fs::write(shop.origin().join("lib/shop.jar"), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    release(&shop.origin(), "5", &["tag", "v5"]);
    let commit = shop.checkout.fetch(&shop.cx, "v5").await.unwrap();
    let error = shop.checkout.prepare(&shop.cx, &commit, None).await.unwrap_err();
    assert!(error.to_string().starts_with("`lib/shop.jar` is kept by Git LFS"), "{error}");
}

#[tokio::test]
async fn effects_say_what_became_of_them() {
    let shop = shop();
    let one = shop.checkout.fetch(&shop.cx, "v1").await.unwrap();
    let effect = |verb: &str| Effect {
        step: "r1-stage".into(),
        attempt: 1,
        number: 0,
        verb: verb.into(),
        arguments: String::new(),
        handle: shop.layout().release(&Commit::parse(&one).unwrap()).display().to_string(),
        repeatable: true,
    };
    assert_eq!(shop.checkout.fence_and_probe(&effect("checkout.publish")).await, Verdict::NotDone);
    shop.checkout.prepare(&shop.cx, &one, None).await.unwrap();
    let done = Verdict::Done(serde_json::Value::Null);
    assert_eq!(shop.checkout.fence_and_probe(&effect("checkout.publish")).await, done);
    assert_eq!(shop.checkout.fence_and_probe(&effect("checkout.activate")).await, Verdict::NotDone);
    shop.checkout.activate(&shop.cx, &one).await.unwrap();
    assert_eq!(shop.checkout.fence_and_probe(&effect("checkout.activate")).await, done);
}

#[tokio::test]
async fn a_file_of_a_commit_is_read_with_placeholders_whether_it_was_fetched_or_not() {
    let shop = shop();
    fs::write(shop.origin().join(".env"), "TOKEN=hunter22\n").unwrap();
    release(&shop.origin(), "3", &["tag", "v3"]);
    let (two, three) = (shop.commit("v2"), shop.commit("v3"));
    assert_eq!(shop.checkout.read(&shop.cx, &two, "VERSION").await.unwrap(), b"2");
    assert_eq!(shop.checkout.read(&shop.cx, &three, "VERSION").await.unwrap(), b"3");
    let settings = shop.checkout.read(&shop.cx, &three, ".env").await.unwrap();
    assert!(!String::from_utf8_lossy(&settings).contains("hunter22"));
    for path in ["none", "../VERSION", "VERSION/x", ""] {
        assert!(shop.checkout.read(&shop.cx, &three, path).await.is_err(), "{path}");
    }
    assert!(matches!(shop.checkout.read(&shop.cx, "v3", "VERSION").await, Err(VerbError::Invalid(_))));
    assert!(!shop.layout().releases().exists(), "nothing was laid out");
}

#[tokio::test]
async fn a_commits_files_are_listed_and_put_into_the_project_with_what_they_hold() {
    let shop = shop();
    let origin = shop.origin();
    fs::create_dir(origin.join("docker")).unwrap();
    fs::write(origin.join("docker/compose.yaml"), "environment:\n  DB_PASSWORD: change-me\n").unwrap();
    fs::write(origin.join("docker/with space.conf"), "x").unwrap();
    std::os::unix::fs::symlink("compose.yaml", origin.join("docker/link")).unwrap();
    release(&origin, "3", &["tag", "v3"]);
    let commit = shop.checkout.fetch(&shop.cx, "v3").await.unwrap();
    let all = ["VERSION", "build", "docker/compose.yaml", "docker/with space.conf"];
    let files = async |under: &str| shop.checkout.files(&shop.cx, &commit, under).await.unwrap();
    assert_eq!(files("").await.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), all);
    assert_eq!(files("docker/").await.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), all[2..]);
    let programs: Vec<_> = files("").await.into_iter().filter(|file| file.executable).map(|file| file.path).collect();
    assert_eq!(programs, ["build"]);
    assert!(shop.checkout.files(&shop.cx, &commit, "nowhere").await.unwrap().is_empty());

    let masked = shop.checkout.read(&shop.cx, &commit, "docker/compose.yaml").await.unwrap();
    assert!(!String::from_utf8_lossy(&masked).contains("change-me"));
    let project = crate::driver::project::Project::new(Some(shop.layout().directory));
    project.put(&shop.cx, "compose.yaml", None, Some(&masked), Rights::AsBefore).await.unwrap();
    assert_eq!(shop.text("compose.yaml"), "environment:\n  DB_PASSWORD: change-me\n");
    assert_eq!(project.read(&shop.cx, "compose.yaml").await.unwrap(), masked);
}
