//! Where a server on this machine keeps a database, and how large it is: so that room is looked for before anything is
//! promised.

use super::Postgres;
use super::session::Rows;
use crate::config::ServerConfig;
use crate::context::StepContext;
use crate::driver::server::{Place, Server, on_the_machine};
use crate::model::VerbError;
use std::path::{Path, PathBuf};

impl Postgres {
    /// As the server sees it.
    pub async fn data_folder(&self, cx: &StepContext) -> Result<PathBuf, VerbError> {
        let rows = self.connect(cx, None).await?.raw("SHOW data_directory").await?;
        let folder = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        folder.map(PathBuf::from).ok_or_else(|| VerbError::other("data", "the server does not say where its data is"))
    }

    /// None where no server is granted, or it has no such database.
    pub async fn place(&self, cx: &StepContext) -> Result<Option<Place>, VerbError> {
        let Some(server) = self.server.as_ref().map(|server| &server.config) else { return Ok(None) };
        let session = self.connect(cx, None).await?;
        let name = server.database.replace('\'', "''");
        let rows = session
            .raw(&format!(
                "SELECT pg_database_size(d.oid), pg_tablespace_location(d.dattablespace), \
                 CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory') END \
                 FROM pg_database d WHERE d.datname = '{name}'"
            ))
            .await?;
        let place = read(rows, server);
        Ok(match self.located(cx).await?.container {
            Some(container) => place.map(|Place { folder, bytes }| {
                let folder = folder.and_then(|folder| on_the_machine(&container, &folder));
                Place { folder, bytes }
            }),
            None if self.server.as_ref().is_some_and(Server::is_elsewhere) => {
                place.map(|place| Place { folder: None, ..place })
            }
            None => place,
        })
    }
}

fn read(rows: Rows, server: &ServerConfig) -> Option<Place> {
    let mut row = rows.into_iter().next()?.into_iter();
    let mut text = || row.next().flatten().filter(|text| !text.is_empty());
    let bytes = text()?.parse().ok()?;
    let (tablespace, data) = (text(), text());
    let folder = tablespace.or(data).map(PathBuf::from).or_else(|| by_lock_file(server));
    Some(Place { folder, bytes })
}

/// Beside the socket the server says who it is, for those who may read it: its process, its folder, and more.
fn by_lock_file(server: &ServerConfig) -> Option<PathBuf> {
    let file = Path::new(&server.host).join(format!(".s.PGSQL.{}.lock", server.port));
    let text = server.host.starts_with('/').then(|| std::fs::read_to_string(file).ok()).flatten()?;
    text.lines().nth(1).map(PathBuf::from).filter(|folder| folder.is_absolute())
}
