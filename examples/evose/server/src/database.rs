//! Connections to both databases.

use crate::settings::{Server, Settings};
use anyhow::{Context, Result};
use mysql_async::{Conn, OptsBuilder, Pool, PoolConstraints, PoolOpts};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// A resolver whose question got lost asks again after 5 s.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Databases {
    mysql: Pool,
    postgres: tokio_postgres::Config,
}

impl Databases {
    /// Connects when somebody asks for a connection.
    pub fn new(settings: &Settings) -> Self {
        let Server { host, port, user, password, database } = &settings.mysql;
        let constraints = PoolConstraints::new(0, 10).expect("0 is not more than 10");
        let mysql = OptsBuilder::default()
            .ip_or_hostname(host)
            .tcp_port(*port)
            .user(Some(user))
            .pass(Some(password))
            .db_name(Some(database))
            .prefer_socket(Some(false))
            .pool_opts(PoolOpts::default().with_constraints(constraints));
        let Server { host, port, user, password, database } = &settings.postgres;
        let mut postgres = tokio_postgres::Config::new();
        postgres.host(host).port(*port).user(user).password(password).dbname(database).connect_timeout(PATIENCE);
        Self { mysql: Pool::new(mysql), postgres }
    }

    pub async fn mysql(&self) -> Result<Conn> {
        let connected = tokio::time::timeout(PATIENCE, self.mysql.get_conn()).await;
        connected.context("MySQL gives no answer")?.context("MySQL")
    }

    /// The knowledge base. The connection ends with the client.
    pub async fn postgres(&self) -> Result<Client> {
        let (client, connection) = self.postgres.connect(NoTls).await.context("PostgreSQL")?;
        tokio::spawn(async move {
            // What broke, the next statement says.
            let _ = connection.await;
        });
        Ok(client)
    }
}

/// What went wrong and why; drivers differ in whether an error says its causes itself.
pub fn said(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        before if before.contains(&cause) => said,
        before => format!("{before}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_cause_is_said_once() {
        assert_eq!(
            said(&anyhow!("no table").context("server error: no table").context("MySQL")),
            "MySQL: server error: no table"
        );
        assert_eq!(said(&anyhow!("no table")), "no table");
    }
}
