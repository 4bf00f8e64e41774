//! A secret that the file names stays where it is named.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use upgraded_tests::{Daemon, Setup, Site, last_run, outcome};

const SECRET: &str = "Xq7-secret-of-the-house-Jw2";

#[test]
fn a_secret_is_in_no_journal_log_answer_or_command_line() {
    let site = Site::new(&Setup::default());
    let file = site.path("etc/token");
    fs::write(&file, SECRET).expect("the secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the secret is ours alone");
    site.edit(|text| {
        text.replace(
            "[platform.commands.migrate]",
            &format!(
                "[platform.commands.migrate]\nenvironment = {{ TOKEN = {{ secret = \"file:{}\" }} }}",
                file.display()
            ),
        )
    });
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    let mut lines = String::new();
    let now = daemon.wait("the run ends", |now| {
        site.processes().iter().for_each(|(_, line)| lines.push_str(line));
        now["last_run"]["to"] == "1.1.0" && !now["last_run"]["outcome"].is_null()
    });
    assert_eq!(outcome(&now), "committed", "{now:#}");
    assert!(!lines.contains(SECRET), "a command line shows it");
    let shown = daemon.told(&["show", &last_run(&now).to_string()]);
    let told = [now, shown, daemon.told(&["logs", &site.name])].map(|answer| answer.to_string());
    assert!(told.iter().all(|answer| !answer.contains(SECRET)), "an answer shows it");
    daemon.stop();
    assert_eq!(that_contain(&site.path("state")), Vec::<PathBuf>::new());
    assert!(!fs::read_to_string(site.log_file()).expect("the log").contains(SECRET), "the log shows it");
}

fn that_contain(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                return that_contain(&path);
            }
            let has =
                fs::read(&path).is_ok_and(|bytes| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
            if has { vec![path] } else { Vec::new() }
        })
        .collect()
}
