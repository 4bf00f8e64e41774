//! The watcher against a real folder, with each way in which files get saved.

use super::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

const DEBOUNCE: Duration = Duration::from_millis(40);
/// Nothing here waits for it but a watcher without events.
const NEVER: Duration = Duration::from_secs(3600);

struct Trial {
    folder: tempfile::TempDir,
    watcher: Watcher,
    receiver: mpsc::Receiver<Vec<Change>>,
    sentinels: usize,
}

use Kind::{Appeared, Changed, Gone};

impl Trial {
    async fn start() -> Self {
        Self::with(NEVER, true).await
    }

    async fn with(poll: Duration, events: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deployments")).unwrap();
        let settings = WatchSettings { folder: folder.path().join("deployments"), debounce: DEBOUNCE, poll };
        let (watcher, receiver) = start(settings, events);
        let mut trial = Self { folder, watcher, receiver, sentinels: 0 };
        // Once a first file is seen, the watches stand.
        trial.write("first.toml", "x");
        trial.expect(&[("first", Appeared)]).await;
        trial
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("deployments").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    /// In the folder of the deployments.
    fn shell(&self, script: &str) {
        let status = Command::new("sh").args(["-euc", script]).current_dir(self.at("")).status().unwrap();
        assert!(status.success(), "{script}");
    }

    /// Exactly these changes are reported, each once, and nothing else until a file that is written afterwards is.
    async fn expect(&mut self, expected: &[(&str, Kind)]) {
        let mut left: BTreeMap<&str, Kind> = expected.iter().copied().collect();
        while !left.is_empty() {
            for change in self.next().await {
                assert_eq!(left.remove(change.name.as_str()), Some(change.kind), "{change:?} of {expected:?}");
            }
        }
        self.sentinels += 1;
        let sentinel = format!("sentinel-{}", self.sentinels);
        self.write(&format!("{sentinel}.toml"), "x");
        assert_eq!(self.next().await, [Change { name: sentinel, kind: Appeared }], "after {expected:?}");
    }

    async fn next(&mut self) -> Vec<Change> {
        let waited = tokio::time::timeout(Duration::from_secs(20), self.receiver.recv());
        waited.await.expect("a change is reported").expect("the watcher runs")
    }
}

#[tokio::test]
async fn the_first_batch_is_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.toml", "b.toml", ".c.toml", "d.toml~"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let settings = WatchSettings { folder: folder.path().into(), debounce: NEVER, poll: NEVER };
    let (watcher, mut receiver) = watch(settings);
    let names: Vec<String> = receiver.recv().await.unwrap().into_iter().map(|change| change.name).collect();
    assert_eq!(names, ["a", "b"]);
    watcher.shutdown().await;
    assert!(receiver.recv().await.is_none());
}

#[tokio::test]
async fn each_way_to_save_is_one_change() {
    let mut trial = Trial::start().await;
    trial.shell("printf 'version = \"1\"\\n' > a.toml");
    trial.expect(&[("a", Appeared)]).await;
    for way in [
        "sed -i 's/\"1\"/\"2\"/' a.toml",
        "printf 'version = \"3\"\\n' > a.toml",
        "printf '# more\\n' >> a.toml",
        // A tool's copy, and a rename onto it.
        "printf 'version = \"4\"\\n' > ../new && cp ../new a.toml",
        "printf 'version = \"5\"\\n' > ../new && mv ../new a.toml",
        "printf 'version = \"6\"\\n' > .a.toml.tmp && sync .a.toml.tmp && mv .a.toml.tmp a.toml",
        "printf 'version = \"7\"\\n' > ../new && install -m 640 ../new a.toml",
        // vim with `backupcopy=no`: it tries the folder, moves the old file away, writes the new one, removes the old.
        "touch 4913 && rm 4913 && touch .a.toml.swp && mv a.toml a.toml~ && printf 'version = \"8\"\\n' > a.toml && chmod 640 a.toml && rm a.toml~ .a.toml.swp",
        // Emacs: a lock, an autosave, a backup.
        "ln -s me@host .#a.toml && printf x > '#a.toml#' && cp a.toml a.toml~ && printf 'version = \"9\"\\n' > a.toml && rm .#a.toml '#a.toml#'",
        // nano writes in place, rsync renames its own.
        "printf 'version = \"10\"\\n' > .a.toml.Xy12 && touch -d '2001-01-01' .a.toml.Xy12 && mv .a.toml.Xy12 a.toml",
        "rm a.toml && printf 'version = \"11\"\\n' > a.toml",
        "printf 'version = \"12\"\\n' > ../new && touch -r a.toml ../new && cp -p ../new a.toml",
        "dd if=/dev/zero of=a.toml bs=1 count=300 status=none",
    ] {
        trial.shell(way);
        trial.expect(&[("a", Changed)]).await;
    }
    trial.shell("mv a.toml b.toml");
    trial.expect(&[("a", Gone), ("b", Appeared)]).await;
    trial.shell("rm b.toml");
    trial.expect(&[("b", Gone)]).await;
    trial.watcher.shutdown().await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_reported() {
    let mut trial = Trial::start().await;
    trial.write("a.toml", "x");
    trial.expect(&[("a", Appeared)]).await;
    for way in [
        "touch a.toml",
        "chmod 600 a.toml",
        "cp a.toml ../b && mv ../b a.toml",
        "cat a.toml a.toml > /dev/null",
        "printf y > a.toml && printf x > a.toml",
        "rm a.toml && printf x > a.toml",
        "printf x > .a.toml.swp && printf x > a.toml~ && printf x > '#a.toml#' && printf x > 4913 && printf x > a.toml.bak",
        "mv a.toml c.toml && mv c.toml a.toml",
        "printf x > new.toml && rm new.toml",
        "mkdir sub && printf x > sub/b.toml",
    ] {
        trial.shell(way);
        trial.expect(&[]).await;
    }
}

#[tokio::test]
async fn links() {
    let mut trial = Trial::start().await;
    trial.shell("mkdir ../one ../two && printf 1 > ../one/a && printf 2 > ../two/a && ln -s ../one/a a.toml");
    trial.expect(&[("a", Appeared)]).await;
    trial.shell("ln -sfn ../two/a a.toml");
    trial.expect(&[("a", Changed)]).await;
    trial.shell("printf 3 > ../two/a");
    trial.expect(&[("a", Changed)]).await;
    trial.shell("printf 4 > ../two/new && mv ../two/new ../two/a");
    trial.expect(&[("a", Changed)]).await;
    trial.shell("printf 5 > ../one/a");
    trial.expect(&[]).await;
    trial.shell("rm ../two/a");
    trial.expect(&[("a", Changed)]).await;
    trial.shell("printf 4 > ../two/a");
    trial.expect(&[("a", Changed)]).await;
}

#[tokio::test]
async fn a_config_map_is_swapped_as_a_whole() {
    let mut trial = Trial::start().await;
    trial.shell(
        "mkdir ..1 && printf 1 > ..1/a.toml && printf 1 > ..1/b.toml && ln -s ..1 ..data \
         && ln -s ..data/a.toml a.toml && ln -s ..data/b.toml b.toml",
    );
    trial.expect(&[("a", Appeared), ("b", Appeared)]).await;
    trial.shell("mkdir ..2 && printf 2 > ..2/a.toml && printf 1 > ..2/b.toml && ln -s ..2 ..data_tmp && mv -T ..data_tmp ..data && rm -r ..1");
    trial.expect(&[("a", Changed)]).await;
    trial.shell("mkdir ..3 && printf 3 > ..3/a.toml && ln -s ..3 ..data_tmp && mv -T ..data_tmp ..data && rm b.toml && rm -r ..2");
    trial.expect(&[("a", Changed), ("b", Gone)]).await;
}

#[tokio::test]
async fn a_half_written_file_is_reported_once_it_is_closed() {
    let mut trial = Trial::start().await;
    trial.write("a.toml", "version = \"1\"\n[policy]\nwindow = \"Sat 02:00-06:00 UTC\"\n");
    trial.expect(&[("a", Appeared)]).await;
    let mut file = std::fs::File::create(trial.at("a.toml")).unwrap();
    file.write_all(b"version = \"2\"\n").unwrap();
    // Many debounces: what is there parses, and lacks the window.
    tokio::time::sleep(DEBOUNCE * 10).await;
    trial.expect(&[]).await;
    file.write_all(b"[policy]\nwindow = \"Sat 02:00-06:00 UTC\"\n").unwrap();
    drop(file);
    trial.expect(&[("a", Changed)]).await;
}

#[tokio::test]
async fn a_file_that_stays_broken_is_one_change() {
    let mut trial = Trial::start().await;
    trial.write("a.toml", "version = ");
    trial.expect(&[("a", Appeared)]).await;
    trial.write("a.toml", "version = \"1");
    trial.expect(&[("a", Changed)]).await;
    trial.watcher.look_again();
    trial.expect(&[]).await;
}

#[tokio::test]
async fn a_hundred_at_once() {
    let mut trial = Trial::start().await;
    let names: Vec<String> = (0..100).map(|number| format!("n{number:02}")).collect();
    let all = |kind| names.iter().map(|name| (name.as_str(), kind)).collect::<Vec<_>>();
    trial.shell("for n in $(seq 0 99); do printf 1 > $(printf 'n%02d.toml' $n); done");
    trial.expect(&all(Appeared)).await;
    trial.shell("sed -i s/1/2/ n*.toml");
    trial.expect(&all(Changed)).await;
    trial.shell("rm n*.toml");
    trial.expect(&all(Gone)).await;
}

#[tokio::test]
async fn a_folder_that_is_removed_and_made_again() {
    let mut trial = Trial::start().await;
    trial.write("a.toml", "1");
    trial.expect(&[("a", Appeared)]).await;
    std::fs::remove_dir_all(trial.at("")).unwrap();
    assert_eq!(trial.next().await.iter().filter(|change| change.kind == Gone).count(), 4);
    std::fs::create_dir(trial.at("")).unwrap();
    trial.write("a.toml", "1");
    trial.expect(&[("a", Appeared)]).await;
    // The new folder is watched as the old one was.
    trial.write("a.toml", "2");
    trial.expect(&[("a", Changed)]).await;
    // At once, with what was in it: nothing happened.
    trial.shell("cp -r . ../other && cd .. && rm -r deployments && mv other deployments");
    trial.expect(&[]).await;
    trial.write("a.toml", "3");
    trial.expect(&[("a", Changed)]).await;
    // Swapped for another one.
    trial.shell("mkdir ../other && printf 4 > ../other/a.toml && cd .. && mv deployments old && mv other deployments");
    let gone: Vec<String> = (1..=trial.sentinels).map(|number| format!("sentinel-{number}")).collect();
    let mut expected: Vec<(&str, Kind)> = gone.iter().map(|name| (name.as_str(), Gone)).collect();
    expected.retain(|(name, _)| trial.folder.path().join("old").join(format!("{name}.toml")).exists());
    expected.push(("a", Changed));
    trial.expect(&expected).await;
}

#[tokio::test]
async fn a_folder_that_is_a_link_to_another() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for (folder, text) in [("one", "1"), ("two", "2")] {
        std::fs::create_dir(at(folder)).unwrap();
        std::fs::write(at(folder).join("a.toml"), text).unwrap();
    }
    std::os::unix::fs::symlink("one", at("deployments")).unwrap();
    let (watcher, mut receiver) = watch(WatchSettings { folder: at("deployments"), debounce: DEBOUNCE, poll: NEVER });
    let mut next = async || receiver.recv().await.unwrap().into_iter().map(|change| change.kind).collect::<Vec<_>>();
    assert_eq!(next().await, [Appeared]);
    std::os::unix::fs::symlink("two", at("new")).unwrap();
    std::fs::rename(at("new"), at("deployments")).unwrap();
    assert_eq!(next().await, [Changed]);
    replace(&at("two/a.toml"), "3");
    assert_eq!(next().await, [Changed]);
    watcher.shutdown().await;
}

#[tokio::test]
async fn a_poll_makes_good_what_events_did_not_say() {
    let mut trial = Trial::with(DEBOUNCE * 2, false).await;
    trial.write("a.toml", "1");
    trial.expect(&[("a", Appeared)]).await;
    trial.shell("sed -i s/1/2/ a.toml");
    trial.expect(&[("a", Changed)]).await;
    trial.shell("rm a.toml");
    trial.expect(&[("a", Gone)]).await;
}

#[tokio::test]
async fn a_folder_that_can_not_be_read_is_not_empty() {
    let mut trial = Trial::with(DEBOUNCE * 2, false).await;
    trial.write("a.toml", "1");
    trial.expect(&[("a", Appeared)]).await;
    // In the place of the folder a file, at once: reading it is an error, for root too.
    let (folder, file) = (trial.at(""), trial.folder.path().join("file"));
    std::fs::write(&file, "").unwrap();
    let exchange = || {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, folder.components().as_path(), CWD, &file, RenameFlags::EXCHANGE).unwrap();
    };
    exchange();
    tokio::time::sleep(DEBOUNCE * 8).await;
    exchange();
    trial.expect(&[]).await;
}

#[tokio::test]
async fn a_receiver_that_does_not_take_loses_nothing() {
    let mut trial = Trial::start().await;
    for number in 0..20 {
        trial.write("a.toml", &number.to_string());
        tokio::time::sleep(DEBOUNCE * 2).await;
    }
    let mut kinds = Vec::new();
    while kinds.is_empty() || !trial.receiver.is_empty() {
        kinds.extend(trial.next().await.into_iter().map(|change| change.kind));
    }
    assert_eq!(kinds[0], Appeared);
    // What comes after it is the end, once.
    trial.write("b.toml", "1");
    let mut seen = Vec::new();
    while !seen.iter().any(|name| name == "b") {
        seen.extend(trial.next().await.into_iter().map(|change| change.name));
    }
    trial.expect(&[]).await;
}

#[tokio::test]
async fn it_ends_when_nobody_listens_and_when_it_is_dropped() {
    let trial = Trial::start().await;
    let Trial { folder, mut watcher, receiver, .. } = trial;
    drop(receiver);
    watcher.task.take().unwrap().await.unwrap();
    let settings = WatchSettings { folder: folder.path().into(), debounce: DEBOUNCE, poll: NEVER };
    let (mut watcher, mut receiver) = watch(settings);
    let task = watcher.task.take().unwrap();
    drop(watcher);
    task.await.unwrap();
    while receiver.recv().await.is_some() {}
}

/// From the moment that a save is done to the moment that it is reported: printed, for a busy machine proves nothing.
#[tokio::test]
async fn latency() {
    let mut trial = Trial::start().await;
    let mut taken: Vec<Duration> = Vec::new();
    for number in 0..50 {
        replace(&trial.at("a.toml"), &number.to_string());
        let saved = std::time::Instant::now();
        assert_eq!(trial.next().await.len(), 1);
        taken.push(saved.elapsed());
    }
    taken.sort();
    println!("debounce {DEBOUNCE:?}: p50 {:?}, most {:?}", taken[25], taken[49]);
    trial.expect(&[]).await;
}

fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}
