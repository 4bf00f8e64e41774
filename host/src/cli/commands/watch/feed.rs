//! Notices that go on over a restart of the daemon.

use crate::api::client::Events;
use crate::api::{ClientError, Notice};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use std::time::Duration;

/// While the daemon is away: it may be upgraded itself.
const PAUSE: Duration = Duration::from_millis(500);
const PATIENCE: u32 = 120;

pub struct Feed {
    deployment: Option<String>,
    last: Option<u64>,
    open: Option<Events>,
}

pub enum Fed {
    Notice(Notice),
    /// The connection is new: what happened in between may be lost.
    Reopened,
    /// By the person at the keyboard.
    Interrupted,
}

impl Feed {
    /// From `since` on; without it, from now on.
    pub fn new(deployment: Option<String>, since: Option<u64>) -> Self {
        Self { deployment, last: since, open: None }
    }

    pub async fn open(&mut self, session: &Session<'_>) -> Result<(), ClientError> {
        let events = session.client.events(self.deployment.as_deref(), self.last).await?;
        self.open = Some(events);
        Ok(())
    }

    pub async fn next(&mut self, session: &Session<'_>) -> Result<Fed, Failure> {
        tokio::select! {
            fed = self.receive(session) => fed,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                Ok(Fed::Interrupted)
            }
        }
    }

    /// The daemon that was connected is gone.
    pub async fn reopened(&mut self, session: &Session<'_>) -> Result<Fed, Failure> {
        self.open = None;
        self.next(session).await
    }

    async fn receive(&mut self, session: &Session<'_>) -> Result<Fed, Failure> {
        let mut tries = 0;
        loop {
            if let Some(events) = &mut self.open {
                if let Ok(Some(notice)) = events.next().await {
                    self.last = Some(notice.id);
                    return Ok(Fed::Notice(notice));
                }
                self.open = None;
            }
            match self.open(session).await {
                Ok(()) => return Ok(Fed::Reopened),
                Err(ClientError::Unreachable { .. } | ClientError::Broken(_)) if tries < PATIENCE => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
