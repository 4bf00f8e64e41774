//! A database server of another version in the place of the one that a datastore is on, where the files name another
//! image. What the old one wrote stays in a folder beside its data until the run commits, and takes its place again on
//! the way back. A note in the state folder says so, so that every cut converges.

use super::Drivers;
use super::beside::work::{self, At};
use super::durable;
use super::engine::Container;
use super::process::io_error;
use super::server::{Around, Server, TOOL_LABEL, mount_at, on_the_machine};
use super::trees::copy::{Means, copy_tree, properties_of, settle};
use crate::context::{Site, StepContext};
use crate::model::{ServiceRef, VerbError};
use rustix::fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is remembered of the old server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    /// Of the step that replaces it.
    step: String,
    /// Where a server finds its data, on this machine.
    folder: PathBuf,
    beside: PathBuf,
    /// By which its files named the image, and its ID.
    image_name: String,
    image: String,
    /// For a new server that starts empty; none for one that starts from a copy.
    accounts: Option<String>,
    /// The new server stands.
    replaced: bool,
}

/// A server's place, as a step sees it.
struct Seat<'a> {
    server: &'a Server,
    around: &'a Around,
    service: &'a ServiceRef,
    note: PathBuf,
}

impl Drivers {
    /// Puts a server of the image that the files name in the place of the old one, where that doesn't read its data; true
    /// where it starts empty but for the accounts. Refused where the old one has databases that are none of the `known`.
    /// Converges.
    pub async fn renew_server(&self, cx: &StepContext, known: &[String]) -> Result<bool, VerbError> {
        cx.effects.may_change("server.renew")?;
        let seat = self.seat(cx)?;
        let former = match seat.read()? {
            Some(former) if former.replaced && former.step != cx.step => return Ok(former.accounts.is_some()),
            Some(former) => former,
            None => match self.former(cx, &seat, known).await? {
                Some(former) => former,
                None => return Ok(false),
            },
        };
        seat.write(&former)?;
        seat.around.stop(cx, seat.service).await?;
        let work = set_aside(cx, &former);
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("server.set-aside", &(), &seat.service.to_string(), true, watched).await?;
        seat.around.start(cx, seat.service).await?;
        let container = cx.activity.watch(self.idle, seat.answers(cx)).await?;
        if let Some(accounts) = &former.accounts {
            let script = self.client_of(seat.server);
            let work = cx.activity.watch(self.idle, seat.server.tell(&container, &script, accounts, None));
            cx.effects.perform("server.accounts", &(), &seat.service.to_string(), true, work).await?;
        }
        seat.write(&Former { replaced: true, ..former.clone() })?;
        Ok(former.accounts.is_some())
    }

    /// The old server takes its place again with its own data; in a rollback by hand, which has none of it beside, empty
    /// as in [`Drivers::renew_server`]. Converges.
    pub async fn put_server_back(&self, cx: &StepContext, known: &[String]) -> Result<(), VerbError> {
        let seat = self.seat(cx)?;
        let Some(former) = seat.read()?.filter(|former| former.step != cx.step) else {
            return self.renew_server(cx, known).await.map(drop);
        };
        seat.around.stop(cx, seat.service).await?;
        let place = former.clone();
        let work = work::run(cx, former.folder.clone(), move |pulse| {
            pulse.alive()?;
            put_back(&place).map_err(io_error("put the old server's data back"))
        });
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("server.put-back", &(), &seat.service.to_string(), true, watched).await?;
        self.images.point(cx, &former.image_name, &former.image).await?;
        seat.around.start(cx, seat.service).await?;
        cx.activity.watch(self.idle, seat.answers(cx)).await?;
        durable::remove(&seat.note).map_err(io_error("forget the old server"))
    }

    /// What stayed beside goes, unless it is to be `kept`: then it is said where it is.
    pub async fn let_go_of_server(&self, cx: &StepContext, kept: bool) -> Result<(), VerbError> {
        let seat = self.seat(cx)?;
        let Some(former) = seat.read()? else { return Ok(()) };
        if kept {
            let message = format!("what the server `{}` held stays in `{}`", seat.service, former.beside.display());
            cx.activity.line(crate::activity::Level::Warn, message);
        } else {
            let beside = former.beside.clone();
            let work = work::run(cx, former.folder.clone(), move |_| {
                remove(&beside).map_err(io_error("remove the old server's data"))
            });
            cx.effects.perform("server.let-go", &(), &seat.service.to_string(), true, work).await?;
        }
        durable::remove(&seat.note).map_err(io_error("forget the old server"))
    }

    /// Why the server could not be replaced by one of another version; it is asked what it would be asked for.
    pub async fn renewable(&self, cx: &StepContext, known: &[String]) -> Result<(), VerbError> {
        let seat = self.seat(cx)?;
        seat.folder(cx, self).await?;
        self.accounts(cx, seat.server, known).await.map(drop)
    }

    /// None: the files name what runs, or what reads its data.
    async fn former(&self, cx: &StepContext, seat: &Seat<'_>, known: &[String]) -> Result<Option<Former>, VerbError> {
        let Some(named) = seat.around.images(cx, false).await?.remove(&seat.service.name) else { return Ok(None) };
        let wanted = self.images.find(cx, &named).await?;
        let wanted = wanted.ok_or_else(|| VerbError::NotFound(format!("the image `{named}` is not here")))?.id;
        let live = seat.container().await?;
        if live.image_id == wanted {
            return Ok(None);
        }
        let (from, to) = (version(seat.around, &live.image_id).await?, version(seat.around, &wanted).await?);
        if from == to {
            return Ok(None);
        }
        cx.activity.line(crate::activity::Level::Info, format!("`{}` goes from {from} to {to}", seat.service));
        let folder = seat.folder(cx, self).await?;
        let mut beside = folder.clone().into_os_string();
        beside.push(format!(".upgraded-r{}", cx.run));
        // One that reads the data of the version before goes on from a copy of it.
        let accounts = match self.mysql.bound_server() {
            Some(_) => None,
            None => Some(self.accounts(cx, seat.server, known).await?),
        };
        Ok(Some(Former {
            step: cx.step.clone(),
            folder,
            beside: beside.into(),
            image_name: live.image,
            image: live.image_id,
            accounts,
            replaced: false,
        }))
    }

    /// Of PostgreSQL, by the server's own tool and administrator; nothing of MySQL, which takes its own along.
    async fn accounts(&self, cx: &StepContext, server: &Server, known: &[String]) -> Result<String, VerbError> {
        if self.mysql.bound_server().is_some() {
            return Ok(String::new());
        }
        let others = self.postgres.databases_but(&cx.reading_at(Site::Live), known).await?;
        if let Some(other) = others.first() {
            return Err(VerbError::Invalid(format!(
                "the database `{other}` of the same server belongs to no datastore and would stay behind; \
                 `\"database:{other}\"` under `disposable` says that it may"
            )));
        }
        super::postgres::accounts::of(server).await
    }

    fn client_of(&self, server: &Server) -> String {
        super::postgres::accounts::client(server.config.port)
    }

    fn seat(&self, cx: &StepContext) -> Result<Seat<'_>, VerbError> {
        let server = self.database_server().ok_or_else(|| VerbError::Denied("no `server` is granted".into()))?;
        let around = server.around()?;
        let missing = || VerbError::Invalid("the server is no service of a platform".into());
        let service = server.config.service.as_ref().ok_or_else(missing)?;
        let name = format!("r{}-{}.json", cx.run, service.name.replace('/', "."));
        let note = self.state.join("servers").join(&cx.deployment).join(&service.platform).join(name);
        Ok(Seat { server, around, service, note })
    }
}

impl Seat<'_> {
    fn read(&self) -> Result<Option<Former>, VerbError> {
        let text = durable::read(&self.note).map_err(io_error("read what is known of the old server"))?;
        let read = |text: Vec<u8>| {
            serde_json::from_slice(&text)
                .map_err(|error| VerbError::other("state", format!("`{}` can't be read: {error}", self.note.display())))
        };
        text.map(read).transpose()
    }

    fn write(&self, former: &Former) -> Result<(), VerbError> {
        let text = serde_json::to_vec(former).map_err(|error| VerbError::other("io", error.to_string()))?;
        let folder = self.note.parent().unwrap_or(Path::new("/"));
        durable::make_folder(folder).map_err(io_error("make the folder of notes"))?;
        durable::write(&self.note, &text).map_err(io_error("write down what the old server was"))
    }

    async fn container(&self) -> Result<Container, VerbError> {
        let container = self.around.container_of(&self.service.name).await?;
        container.ok_or_else(|| VerbError::NotFound(format!("`{}` has no container", self.service)))
    }

    /// Where the server's data lies on this machine, in a folder that can be set aside.
    async fn folder(&self, cx: &StepContext, drivers: &Drivers) -> Result<PathBuf, VerbError> {
        let live = cx.reading_at(Site::Live);
        let folder = match drivers.mysql.bound_server() {
            Some(_) => drivers.mysql.data_folder(&live).await?,
            None => drivers.postgres.data_folder(&live).await?,
        };
        let container = self.container().await?;
        let stays = match mount_at(&container, &folder) {
            Some(mount) => self.around.outlives(&self.service.name, mount).await?,
            None => false,
        };
        let found = on_the_machine(&container, &folder).filter(|_| stays).ok_or_else(|| {
            VerbError::Invalid(format!(
                "`{}` keeps its data in `{}` inside its container: a volume there would be right",
                self.service,
                folder.display()
            ))
        })?;
        can_be_set_aside(&found)
    }

    /// The container, once the server listens.
    async fn answers(&self, cx: &StepContext) -> Result<String, VerbError> {
        Ok(self.server.answers(cx, &self.container().await?.id).await?.id)
    }
}

/// The folder itself, wherever a link leads. Something else mounted there would not move with it.
fn can_be_set_aside(folder: &Path) -> Result<PathBuf, VerbError> {
    let folder = fs::canonicalize(folder).at("looking for", folder)?;
    let around = folder.parent().unwrap_or(&folder);
    let refused = |why: String| Err(VerbError::Invalid(format!("the data in `{}` {why}", folder.display())));
    let seen = rustix::fs::statx(CWD, &folder, AtFlags::empty(), StatxFlags::BASIC_STATS).at("looking at", &folder)?;
    if seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return refused("is mounted there: a folder inside of what is mounted would be right".into());
    }
    let mine = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    match [around, &folder].iter().try_for_each(|path| rustix::fs::access(*path, mine)) {
        Ok(()) => Ok(folder),
        Err(error) => refused(format!("can't be set aside by the daemon's account: {error}")),
    }
}

/// What the old server wrote stands beside; where it wrote there is an empty folder, or a copy.
async fn set_aside(cx: &StepContext, former: &Former) -> Result<(), VerbError> {
    let former = former.clone();
    work::run(cx, former.folder.clone(), move |pulse| {
        let at = |what| io_error(what);
        let Former { folder, beside, .. } = &former;
        if former.accounts.is_none() {
            if !beside.exists() {
                let unfinished = unfinished(beside);
                remove(&unfinished).map_err(at("remove an unfinished copy"))?;
                copy_tree(folder, &unfinished, Means::Any, pulse)?;
                fs::rename(&unfinished, beside).map_err(at("name the copy of the old server's data"))?;
            }
            let around = folder.parent().unwrap_or(folder);
            return durable::sync_folder(around).map_err(at("sync the copy's folder"));
        }
        if !beside.exists() {
            fs::rename(folder, beside).map_err(at("set the old server's data aside"))?;
        }
        remove(folder).map_err(at("empty the new server's folder"))?;
        fs::create_dir(folder).map_err(at("make the new server's folder"))?;
        settle(folder, &properties_of(beside)?, false)?;
        durable::sync_folder(folder.parent().unwrap_or(folder)).map_err(at("sync the new server's folder"))
    })
    .await
}

/// The copy of the old server's data, until it is whole.
fn unfinished(beside: &Path) -> PathBuf {
    beside.with_added_extension("part")
}

fn put_back(former: &Former) -> io::Result<()> {
    let Former { folder, beside, .. } = former;
    remove(&unfinished(beside))?;
    if !beside.exists() {
        return Ok(());
    }
    remove(folder)?;
    fs::rename(beside, folder)?;
    durable::sync_folder(folder.parent().unwrap_or(folder))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Of the server in an image, as far as it says what data it reads: `15`, or `10.11`.
async fn version(around: &Around, image: &str) -> Result<String, VerbError> {
    const ASK: &str = "postgres --version 2>/dev/null || mariadbd --version 2>/dev/null || mysqld --version";
    let label = format!("{TOOL_LABEL}=version");
    let marked = format!("--label={label}");
    let mut ask =
        around.client(&["run", "--rm", "--pull=never", "--network=none", &marked, "--entrypoint=sh", image, "-c", ASK]);
    let said = async { ask.output().await.map_err(|error| VerbError::other("io", format!("`docker run`: {error}"))) };
    let output = around.engine().while_looking_at(&label, said).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    read_version(&said).ok_or_else(|| {
        VerbError::other("version", format!("which server is in the image `{image}`? It says `{}`", said.trim()))
    })
}

fn read_version(said: &str) -> Option<String> {
    let number = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (parts.next()?, parts.next().unwrap_or("0"));
    Some(if said.contains("PostgreSQL") { major.to_owned() } else { format!("{major}.{minor}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_say_what_data_they_read() {
        for (said, version) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some("15")),
            ("postgres (PostgreSQL) 18beta1", Some("18")),
            ("mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu on x86_64", Some("10.11")),
            ("/usr/sbin/mysqld  Ver 9.7.0 for Linux on x86_64 (MySQL Community Server - GPL)", Some("9.7")),
            ("sh: postgres: not found", None),
        ] {
            assert_eq!(read_version(said).as_deref(), version, "{said}");
        }
    }

    #[test]
    fn what_is_mounted_is_not_set_aside_and_links_lead_to_the_data() {
        let scratch = tempfile::tempdir().unwrap();
        let (data, link) = (scratch.path().join("data"), scratch.path().join("link"));
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, &link).unwrap();
        assert_eq!(can_be_set_aside(&link).unwrap(), data.canonicalize().unwrap());
        let why = can_be_set_aside(Path::new("/proc")).unwrap_err().to_string();
        assert!(why.contains("the data in `/proc` is mounted there"), "{why}");
        assert!(can_be_set_aside(&scratch.path().join("gone")).is_err());
    }

    fn former(scratch: &Path, image_name: &str, accounts: Option<String>) -> Former {
        Former {
            step: "r5-h0-carry-main".into(),
            folder: scratch.join("_data"),
            beside: scratch.join("_data.upgraded-r5"),
            image_name: image_name.into(),
            image: "sha256:1".into(),
            accounts,
            replaced: false,
        }
    }

    #[test]
    fn the_old_data_takes_its_place_again_from_wherever_it_was_cut_off() {
        let scratch = tempfile::tempdir().unwrap();
        let former = former(scratch.path(), "postgres:15", Some(String::new()));
        let Former { folder, beside, .. } = &former;
        let old = |path: &Path| fs::read_to_string(path.join("PG_VERSION")).ok();
        for made in [vec![], vec!["_data"], vec!["_data", "_data/new"]] {
            fs::create_dir_all(beside).unwrap();
            fs::write(beside.join("PG_VERSION"), "15").unwrap();
            made.iter().for_each(|name| fs::create_dir(scratch.path().join(name)).unwrap());
            put_back(&former).unwrap();
            put_back(&former).unwrap();
            assert_eq!((old(folder).as_deref(), beside.exists()), (Some("15"), false));
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn a_copy_that_was_cut_off_goes_and_the_data_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let former = former(scratch.path(), "mariadb:10.11", None);
        let Former { folder, beside, .. } = &former;
        for place in [folder, &unfinished(beside)] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("ibdata1"), "").unwrap();
        }
        put_back(&former).unwrap();
        assert!(folder.join("ibdata1").exists());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
