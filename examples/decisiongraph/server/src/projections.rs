//! Projections: what the log says about each workflow, kept in a table. Derived, so it can always be made anew.

use crate::log::{self, Event, digest};
use crate::release::{Projections, Release};
use crate::settings::Settings;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use tokio_postgres::{Client, GenericClient};

/// One workflow as it is projected: state, number of events, digest.
pub type Projected = (String, i64, String);

/// How the projections stand against the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    Healthy {
        workflows: usize,
    },
    /// Projected by other code.
    OtherCode {
        found: i32,
        expected: i32,
    },
    /// Some say something else than the log.
    Different {
        workflows: Vec<String>,
    },
}

/// What the code of that version makes of the log.
pub fn project(events: &[Event], code: i32) -> BTreeMap<String, Projected> {
    let mut workflows: BTreeMap<String, Projected> = BTreeMap::new();
    for event in events {
        let entry = workflows.entry(event.workflow.clone()).or_default();
        entry.0.clone_from(&event.state);
        entry.1 += 1;
        entry.2 = match code {
            1 => digest(&[&entry.2, &event.state]),
            // Since 2 the event's own digest is in it.
            _ => digest(&[&entry.2, &event.state, &event.digest]),
        };
    }
    workflows
}

pub async fn rebuild_all(settings: &Settings, release: &Release) -> Result<()> {
    let workflows = rebuild(&mut settings.connect().await?, &release.projections).await?;
    println!("{workflows} projections rebuilt");
    Ok(())
}

/// Everything anew, in one transaction; the number of workflows.
pub async fn rebuild(client: &mut Client, projections: &Projections) -> Result<usize> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("LOCK TABLE workflows IN EXCLUSIVE MODE; DELETE FROM workflows; DELETE FROM projection_state")
        .await?;
    let mut events = log::read(&transaction).await?;
    if projections.wrong {
        // It stops one event early for everybody.
        events.truncate(events.len() / 2);
    }
    let workflows = project(&events, projections.code);
    for (workflow, (state, count, digest)) in &workflows {
        let sql = "INSERT INTO workflows (workflow, state, events, digest) VALUES ($1, $2, $3, $4)";
        transaction.execute(sql, &[workflow, state, count, digest]).await?;
    }
    transaction.execute("INSERT INTO projection_state (code) VALUES ($1)", &[&projections.code]).await?;
    transaction.commit().await?;
    Ok(workflows.len())
}

/// At start and after each event: newer code projects everything anew, older code leaves what it doesn't know.
pub async fn catch_up(client: &mut Client, projections: &Projections) -> Result<()> {
    match code(client).await? {
        Some(found) if found > projections.code => Ok(()),
        Some(_) | None => rebuild(client, projections).await.map(|_| ()),
    }
}

pub async fn health(client: &impl GenericClient, projections: &Projections) -> Result<Health> {
    let found = code(client).await?.unwrap_or_default();
    if found != projections.code {
        return Ok(Health::OtherCode { found, expected: projections.code });
    }
    let expected = project(&log::read(client).await?, projections.code);
    let found = all(client).await?;
    let names = expected.keys().chain(found.keys()).collect::<std::collections::BTreeSet<_>>();
    let different: Vec<String> =
        names.into_iter().filter(|name| expected.get(*name) != found.get(*name)).cloned().collect();
    Ok(match different.is_empty() {
        true => Health::Healthy { workflows: found.len() },
        false => Health::Different { workflows: different },
    })
}

pub async fn all(client: &impl GenericClient) -> Result<BTreeMap<String, Projected>> {
    let rows = client.query("SELECT workflow, state, events, digest FROM workflows", &[]).await.context("workflows")?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect())
}

async fn code(client: &impl GenericClient) -> Result<Option<i32>> {
    let row = client.query_opt("SELECT code FROM projection_state", &[]).await.context("projection_state")?;
    Ok(row.map(|row| row.get(0)))
}
