//! Real commands beneath real supervisors; the daemon that is killed is a process of its own.

use super::*;
use crate::activity::{Activity, Sign};
use crate::config::EnvironmentValue;
use crate::config::secret::SecretSource;
use crate::driver::testing::{self, Recorder};
use crate::effect::Effects;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the job program of a test calls: see [`testing::machine`].
#[test]
fn supervisor_entry() {
    let Some(folder) = std::env::var_os(testing::JOB_FOLDER) else { return };
    std::process::exit(run_job(Path::new(&folder)));
}

/// The daemon that another test kills.
#[test]
fn daemon_entry() {
    let Some(state) = std::env::var_os("UPGRADED_TEST_STATE").map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let script = std::env::var("UPGRADED_TEST_SCRIPT").unwrap();
        let processes = processes(&state, shell(&script));
        let _ = processes.run(&testing::changing(&state, "r1-apply"), &command(600_000)).await;
    });
}

fn shell(script: &str) -> CommandConfig {
    testing::command(&["/bin/sh", "-c", script])
}

fn processes(state: &Path, config: CommandConfig) -> Processes {
    let commands = BTreeMap::from([("migrate".to_owned(), config)]);
    Processes::new(commands, None, Duration::from_secs(60), testing::machine(state))
}

fn command(idle_ms: u64) -> NamedCommand {
    NamedCommand { name: "migrate".into(), args: vec![], repeatable: false, success: None, progress: None, idle_ms }
}

fn jobs(state: &Path) -> PathBuf {
    Path::new("jobs").join(testing::deployment(state))
}

fn effect(state: &Path) -> Effect {
    let folder = fs::read_dir(state.join(jobs(state))).unwrap().next().unwrap().unwrap();
    Effect {
        step: "r1-apply".into(),
        attempt: 1,
        number: 0,
        verb: "process.run".into(),
        arguments: String::new(),
        handle: jobs(state).join(folder.file_name()).display().to_string(),
        repeatable: false,
    }
}

fn marked(state: &Path) -> Vec<proc::Identity> {
    proc::with_environment(MARK_VARIABLE, &mark(state, &testing::deployment(state), "r1-apply"))
}

async fn until(mut true_now: impl FnMut() -> bool) {
    let began = Instant::now();
    while !true_now() {
        assert!(began.elapsed() < Duration::from_secs(60), "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_command_shows_its_lines_and_its_progress_and_returns_its_exit() {
    let state = tempfile::tempdir().unwrap();
    let signs = Arc::new(Mutex::new(Vec::new()));
    let sink = signs.clone();
    let mut cx = testing::changing(state.path(), "r1-apply");
    cx.activity = Activity::new(CancellationToken::new(), Arc::new(move |sign| sink.lock().unwrap().push(sign)));
    let processes = processes(state.path(), shell("echo 3/7 rows; echo wrong >&2; exit 4"));
    let mut command = command(60_000);
    command.progress = Some(r"(?<done>\d+)/(?<total>\d+) (?<message>\w+)".into());
    let exit = processes.run(&cx, &command).await.unwrap();
    assert_eq!((exit.code, exit.tail.as_str()), (4, "3/7 rows\nwrong"));
    let progress = Sign::Progress { done: 3, total: Some(7), unit: String::new(), message: "rows".into() };
    assert!(signs.lock().unwrap().contains(&progress));
}

#[tokio::test]
async fn success_is_what_the_pattern_says() {
    let state = tempfile::tempdir().unwrap();
    let processes = processes(state.path(), shell("echo all migrated"));
    let mut command = command(60_000);
    command.success = Some("migrated$".into());
    assert_eq!(processes.run(&testing::changing(state.path(), "r1-apply"), &command).await.unwrap().code, 0);
    command.success = Some("^done$".into());
    let exit = processes.run(&testing::changing(state.path(), "r1-apply"), &command).await.unwrap();
    assert_eq!(exit.code, NO_SUCCESS);
    assert!(exit.tail.ends_with("`migrate` ended with 0, but no line fits `^done$`"), "{}", exit.tail);
}

#[tokio::test]
async fn a_secret_reaches_the_command_and_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let key = state.path().join("key");
    fs::write(&key, "tr0ub4dor\n").unwrap();
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut config = shell("test ${#KEY} = 9 && echo the key is $KEY");
    config.environment.insert("KEY".into(), EnvironmentValue::Secret(SecretSource::File(key.clone())));
    let exit = processes(state.path(), config)
        .run(&testing::changing(state.path(), "r1-apply"), &command(60_000))
        .await
        .unwrap();
    assert_eq!((exit.code, exit.tail.as_str()), (0, "the key is ***"));
    fs::remove_file(key).unwrap();
    let found = std::process::Command::new("grep").args(["-r", "tr0ub4dor"]).arg(state.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[tokio::test]
async fn what_a_command_has_from_elsewhere_is_hidden_and_not_handed_to_it() {
    let state = tempfile::tempdir().unwrap();
    let others = vec!["tr0ub4dor".to_owned()];
    let config = shell("echo the key is tr0ub; printf tr0ub4; echo dor; env | grep -c tr0ub");
    let (processes, cx) = (processes(state.path(), shell("true")), testing::changing(state.path(), "r1-apply"));
    let exit = processes.run_hiding(&cx, "compose.run", &config, command(60_000), others).await.unwrap();
    assert_eq!(exit.tail, "the key is tr0ub\n***\n0");
}

#[test]
fn secrets_are_read_as_older_daemons_hand_them_over() {
    let secrets: Secrets = serde_json::from_str(r#"{"KEY":"tr0ub4dor"}"#).unwrap();
    assert_eq!((secrets.variables["KEY"].as_str(), secrets.others.len()), ("tr0ub4dor", 0));
    let others = vec!["a".to_owned()];
    let text = serde_json::to_string(&Secrets { others: others.clone(), ..secrets }).unwrap();
    let read: Secrets = serde_json::from_str(&text).unwrap();
    assert_eq!((read.variables.len(), read.others), (1, others));
}

#[tokio::test]
async fn what_was_not_granted_is_refused_by_name() {
    let state = tempfile::tempdir().unwrap();
    let processes = processes(state.path(), shell("true"));
    let cx = testing::changing(state.path(), "r1-apply");
    let other = NamedCommand { name: "drop".into(), ..command(0) };
    let error = processes.run(&cx, &other).await.unwrap_err().to_string();
    assert_eq!(error, "denied: no command is named `drop` in the deployment's file; `migrate` are");
    let with_arguments = NamedCommand { args: vec!["--force".into()], ..command(0) };
    assert!(processes.run(&cx, &with_arguments).await.unwrap_err().to_string().contains("takes no arguments"));
    let error = processes.run(&testing::reading(state.path()), &command(0)).await.unwrap_err();
    assert!(error.to_string().contains("`reads-only = true`"), "{error}");
    assert!(!state.path().join("jobs").exists());
}

#[tokio::test]
async fn a_command_that_only_reads_leaves_nothing_behind() {
    let state = tempfile::tempdir().unwrap();
    let config = CommandConfig { reads_only: true, ..shell("echo 1.4.0") };
    let exit = processes(state.path(), config).run(&testing::reading(state.path()), &command(0)).await.unwrap();
    assert_eq!(exit.tail, "1.4.0");
    assert_eq!(fs::read_dir(state.path().join(jobs(state.path()))).unwrap().count(), 0);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_the_operators_mistake() {
    let state = tempfile::tempdir().unwrap();
    let processes = processes(state.path(), testing::command(&["/no/such/program"]));
    let error = processes.run(&testing::changing(state.path(), "r1-apply"), &command(0)).await.unwrap_err();
    assert!(error.to_string().starts_with("`/no/such/program` can't be started"), "{error}");
    assert_eq!(processes.fence_and_probe(&effect(state.path())).await, Verdict::NotDone);
}

#[tokio::test]
async fn silence_ends_the_command_and_all_that_it_started() {
    let state = tempfile::tempdir().unwrap();
    // One leaves the session, one forgets the mark.
    let script = "cd $STATE; setsid sleep 9999 & env -u UPGRADED_MARK setsid sleep 8888 & exec sleep 7777";
    let mut config = shell(script);
    config.environment.insert("STATE".into(), EnvironmentValue::Plain(state.path().display().to_string()));
    let result =
        processes(state.path(), config).run(&testing::changing(state.path(), "r1-apply"), &command(1500)).await;
    assert_eq!(result, Err(VerbError::Timeout));
    let here = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == state.path());
    assert_eq!(proc::all().into_iter().filter(here).collect::<Vec<_>>(), Vec::<i32>::new());
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it() {
    let state = tempfile::tempdir().unwrap();
    let mut config = shell("sleep 9999 & echo started");
    config.directory = Some(state.path().to_owned());
    let exit = processes(state.path(), config)
        .run(&testing::changing(state.path(), "r1-apply"), &command(60_000))
        .await
        .unwrap();
    assert_eq!((exit.code, exit.tail.as_str()), (0, "started"));
    assert_eq!(marked(state.path()), []);
}

#[tokio::test]
async fn dropping_the_call_ends_the_command_unless_the_daemon_leaves() {
    for leaves in [false, true] {
        let state = tempfile::tempdir().unwrap();
        let mut config = shell("sleep 9999");
        config.directory = Some(state.path().to_owned());
        let processes = processes(state.path(), config);
        let cx = testing::changing(state.path(), "r1-apply");
        let command = command(600_000);
        tokio::select! {
            _ = processes.run(&cx, &command) => panic!("it ended"),
            () = async {
                until(|| !marked(state.path()).is_empty()).await;
                if leaves {
                    processes.machine.leaving.cancel();
                }
            } => {}
        }
        if leaves {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(!marked(state.path()).is_empty());
            marked(state.path()).iter().for_each(|process| process.signal(rustix::process::Signal::KILL));
        }
        until(|| marked(state.path()).is_empty()).await;
    }
}

/// Starts a daemon that runs `script`, waits until it does, and kills the daemon.
async fn killed_daemon(state: &Path, script: &str) {
    let mut daemon = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "driver::process::tests::daemon_entry"])
        .env("UPGRADED_TEST_STATE", state)
        .env("UPGRADED_TEST_SCRIPT", format!("cd {}; touch began; {script}", state.display()))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until(|| state.join("began").exists()).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[tokio::test]
async fn a_job_outlives_the_daemon_and_its_exit_is_found() {
    let state = tempfile::tempdir().unwrap();
    killed_daemon(state.path(), "while [ ! -e go ]; do sleep 0.05; done; echo migrated; exit 3").await;
    assert!(!marked(state.path()).is_empty());
    let processes = processes(state.path(), shell(""));
    let effect = effect(state.path());
    let (verdict, ()) = tokio::join!(processes.fence_and_probe(&effect), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fs::write(state.path().join("go"), "").unwrap();
    });
    let Verdict::Done(exit) = verdict else { panic!("{verdict:?}") };
    let exit: CommandExit = serde_json::from_value(exit).unwrap();
    assert_eq!((exit.code, exit.tail.as_str()), (3, "migrated"));
    assert_eq!(processes.fence_and_probe(&effect).await, Verdict::Done(serde_json::to_value(exit).unwrap()));
}

#[tokio::test]
async fn a_job_whose_supervisor_was_killed_too_is_ended_and_unknown() {
    let state = tempfile::tempdir().unwrap();
    killed_daemon(state.path(), "sleep 9999").await;
    let effect = effect(state.path());
    let folder = folder::Folder::new(&state.path().join(&effect.handle));
    let Ok(folder::State::Running(supervisor)) = folder.state() else { panic!("{:?}", folder.state()) };
    supervisor.signal(rustix::process::Signal::KILL);
    until(|| !supervisor.alive()).await;
    assert!(!marked(state.path()).is_empty());
    assert_eq!(processes(state.path(), shell("")).fence_and_probe(&effect).await, Verdict::Unknown);
    assert_eq!(marked(state.path()), []);
}

#[tokio::test]
async fn a_step_of_another_daemon_is_left_alone_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here/shop"), folder.path().join("there/shop"));
    for state in [&here, &there] {
        fs::create_dir_all(state).unwrap();
        killed_daemon(state, "sleep 9999").await;
    }
    processes(&here, shell("")).end_step("shop", "r1-apply").await;
    assert_eq!(marked(&here), []);
    assert!(!marked(&there).is_empty());
    processes(&there, shell("")).end_step("shop", "r1-apply").await;
    assert_eq!(marked(&there), []);
}

#[tokio::test]
async fn a_job_that_nobody_claimed_was_not_done_and_never_will_be() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join(jobs(state.path())).join("r1-apply-1-0");
    fs::create_dir_all(&path).unwrap();
    let (launch, _) = Launch::resolve(&shell("true"), &[], state.path()).await.unwrap();
    let folder = folder::Folder::new(&path);
    folder
        .write_spec(&Spec {
            launch,
            mark: mark(state.path(), &testing::deployment(state.path()), "r1-apply"),
            command: command(1000),
            tied: false,
        })
        .unwrap();
    let processes = processes(state.path(), shell(""));
    assert_eq!(processes.fence_and_probe(&effect(state.path())).await, Verdict::NotDone);
    assert!(!folder.claim(&proc::Identity::of(std::process::id().cast_signed()).unwrap()).unwrap());
    let nowhere = Effect { handle: "jobs/../../etc".into(), ..effect(state.path()) };
    assert_eq!(processes.fence_and_probe(&nowhere).await, Verdict::Unknown);
}

#[tokio::test]
async fn another_account_runs_it() {
    let state = tempfile::tempdir().unwrap();
    fs::set_permissions(state.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let config = CommandConfig { user: Some("nobody".into()), ..shell("id -un; umask") };
    let outcome =
        processes(state.path(), config).run(&testing::changing(state.path(), "r1-apply"), &command(60_000)).await;
    if rustix::process::geteuid().is_root() {
        assert_eq!(outcome.unwrap().tail, "nobody\n0022");
    } else {
        assert!(matches!(outcome, Err(VerbError::Denied(_))));
    }
    let config = CommandConfig { user: Some("no-such-account".into()), ..shell("id") };
    let error = processes(state.path(), config)
        .run(&testing::changing(state.path(), "r1-apply"), &command(0))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "not found: no account is named `no-such-account`");
}

#[tokio::test]
async fn the_journal_has_the_job_before_it_runs() {
    let state = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Recorder::default());
    let mut cx = testing::changing(state.path(), "r1-apply");
    cx.effects = Effects::new(ledger.clone(), "r1-apply", 1, Vec::new());
    processes(state.path(), shell("true")).run(&cx, &command(60_000)).await.unwrap();
    let effects = ledger.effects();
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].verb, "process.run");
    assert_eq!(Path::new(&effects[0].handle), jobs(state.path()).join("r1-apply-1-0"));
}
