//! The operator's settings: environment variables.

use anyhow::{Context, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the service listens; each has a port of its own where `PORT` is not set.
    pub address: IpAddr,
    pub port: Option<u16>,
    database_url: Option<String>,
    /// `host:port` of the others.
    pub runtime: String,
    pub temporal: String,
    pub openbao: String,
}

impl Settings {
    pub fn read() -> Result<Self> {
        let port = variable("PORT").map(|port| port.parse().with_context(|| format!("`PORT` is `{port}`")));
        let address = variable("ADDRESS").map(|address| address.parse().context("`ADDRESS`"));
        let upstream = |key: &str, usual: &str| variable(key).unwrap_or_else(|| usual.to_owned());
        Ok(Self {
            address: address.transpose()?.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            port: port.transpose()?,
            database_url: variable("DATABASE_URL"),
            runtime: upstream("RUNTIME_ADDRESS", "127.0.0.1:8088"),
            temporal: upstream("TEMPORAL_ADDRESS", "127.0.0.1:7233"),
            openbao: upstream("OPENBAO_ADDRESS", "127.0.0.1:8200"),
        })
    }

    /// A connection of its own; it ends with the client.
    pub async fn connect(&self) -> Result<Client> {
        let url = self.database_url.as_ref().context("`DATABASE_URL` is not set")?;
        let connected = tokio::time::timeout(PATIENCE, tokio_postgres::connect(url, NoTls)).await;
        let (client, connection) = connected.context("the database does not answer")?.context("the database")?;
        tokio::spawn(async move {
            // What broke, the next statement says.
            let _ = connection.await;
        });
        Ok(client)
    }
}

pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
