//! The operator's settings: environment variables.

use crate::service::Service;
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
    /// The address that users open.
    pub public_url: Option<String>,
    /// Between two rounds of the optimizer and of the scheduler.
    pub tick: Duration,
}

impl Settings {
    pub fn read() -> Result<Self> {
        let port = variable("PORT").map(|port| port.parse().with_context(|| format!("`PORT` is `{port}`")));
        let tick = variable("TICK_MS").map(|tick| tick.parse().with_context(|| format!("`TICK_MS` is `{tick}`")));
        let address = variable("ADDRESS").map(|address| address.parse().context("`ADDRESS`"));
        Ok(Self {
            address: address.transpose()?.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            port: port.transpose()?,
            database_url: variable("DATABASE_URL"),
            public_url: variable("TESSALLITE_PUBLIC_URL"),
            tick: Duration::from_millis(tick.transpose()?.unwrap_or(2000)),
        })
    }

    /// Of the variable of its name, `MODEL_SERVICE`; else by the name of its container.
    pub fn upstream(service: Service) -> String {
        let key = service.name().replace('-', "_").to_uppercase();
        variable(&key).unwrap_or_else(|| format!("{}:{}", service.name(), service.port()))
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
