//! The operator's settings: environment variables, as the guide names them.

use anyhow::{Context, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use tokio_postgres::{Client, NoTls};

pub struct Settings {
    pub database_url: String,
    /// Where runtime and gate listen.
    pub address: IpAddr,
    pub port: u16,
    pub gate_port: Option<u16>,
    /// Of the API, and of the administrator.
    pub token: Option<String>,
    pub admin_token: Option<String>,
    /// Pid files and logs.
    pub run_folder: PathBuf,
}

impl Settings {
    pub fn read() -> Result<Self> {
        let port =
            |name: &str| variable(name).map(|text| text.parse().with_context(|| format!("`{name}`"))).transpose();
        Ok(Self {
            database_url: variable("DATABASE_URL").context("`DATABASE_URL` is not set")?,
            address: match variable("DG_ADDRESS") {
                Some(text) => text.parse().context("`DG_ADDRESS`")?,
                None => Ipv4Addr::LOCALHOST.into(),
            },
            port: port("PORT")?.unwrap_or(4000),
            gate_port: port("GATE_PORT")?,
            token: variable("DG_API_TOKEN"),
            admin_token: variable("DG_ADMIN_TOKEN"),
            run_folder: variable("DG_RUN").map_or_else(|| PathBuf::from("run"), PathBuf::from),
        })
    }

    /// A connection of its own; it ends with the client.
    pub async fn connect(&self) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.database_url, NoTls).await.context("the database")?;
        tokio::spawn(async move {
            // What broke, the next statement says.
            let _ = connection.await;
        });
        Ok(client)
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
