//! `upgradectl watch`: follows notices until there is nothing more to watch. Other commands' `--watch` is this.

mod feed;
mod settled;
mod view;

pub use feed::{Fed, Feed};

use crate::api::{ClientError, Deployment, News};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use clap::Args;
use settled::{Settled, settled};
use view::View;

/// Follow what is done: phases, steps, progress
///
/// Of one deployment until it is at its version, its run ended, or somebody is needed: the exit code says which. Of all
/// until it is interrupted.
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// Only this one, to its end
    name: Option<String>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Options {
    /// What the steps write, too
    #[arg(long, short)]
    log: bool,
    /// End with 4 when it waits for a window or another run, and not only for an approval
    #[arg(long)]
    no_wait: bool,
    #[arg(skip)]
    back: bool,
}

impl Options {
    /// Of what was asked to go back.
    pub fn back() -> Self {
        Self { back: true, ..Self::default() }
    }
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    match &arguments.name {
        Some(name) => follow(name, arguments.options, session).await,
        None => follow_all(arguments.options, session).await,
    }
}

/// One deployment, to its end.
pub async fn follow(name: &str, options: Options, session: &mut Session<'_>) -> Result<Exit, Failure> {
    session.deployment(name).await?;
    let mut view = View::new(session, options.log, false);
    let mut feed = Feed::new(Some(name.into()), None);
    feed.open(session).await?;
    let mut watched = None;
    let Some(mut now) = look(name, &mut feed, session).await? else { return interrupted(&mut view, session) };
    loop {
        view.state(&now, session)?;
        let open = now.last_run.as_ref().filter(|run| run.outcome.is_none());
        watched = open.map(|run| run.id).or(watched);
        if let Settled::At(exit) = settled(&now, watched, options) {
            if let Some(run) = now.last_run.as_ref().filter(|run| Some(run.id) == watched) {
                view.ended(run, session)?;
            }
            view.end(session)?;
            return Ok(exit);
        }
        let looked = loop {
            let notice = match feed.next(session).await? {
                Fed::Notice(notice) => notice,
                Fed::Reopened => break look(name, &mut feed, session).await?,
                Fed::Interrupted => break None,
            };
            view.notice(&notice, session)?;
            match notice.news {
                News::Changed { now } => break Some(*now),
                News::Gap => break look(name, &mut feed, session).await?,
                News::Finished { outcome } if watched.is_none() || notice.run == watched => {
                    view.end(session)?;
                    let run = now.last_run.as_ref().filter(|run| Some(run.id) == notice.run);
                    return Ok(settled::exit(&outcome, run.map(|run| &run.kind), options));
                }
                News::Removed => {
                    view.end(session)?;
                    let told = format!("the file of `{name}` is gone");
                    return Err(Failure::own(Exit::NotFound, told));
                }
                News::Finished { .. } | News::Step { .. } | News::Progress { .. } | News::Line { .. } => {}
            }
        };
        let Some(newer) = looked else { return interrupted(&mut view, session) };
        now = newer;
    }
}

/// How it stands; a daemon that goes while it is asked is asked again once it is back. None: somebody interrupted.
async fn look(name: &str, feed: &mut Feed, session: &Session<'_>) -> Result<Option<Deployment>, Failure> {
    loop {
        match session.deployment(name).await {
            Err(Failure::Client(ClientError::Unreachable { .. } | ClientError::Broken(_))) => {}
            looked => return looked.map(Some),
        }
        if let Fed::Interrupted = feed.reopened(session).await? {
            return Ok(None);
        }
    }
}

fn interrupted(view: &mut View, session: &mut Session<'_>) -> Result<Exit, Failure> {
    view.end(session)?;
    Ok(Exit::Interrupted)
}

async fn follow_all(options: Options, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut view = View::new(session, options.log, true);
    let mut feed = Feed::new(None, None);
    feed.open(session).await?;
    loop {
        for deployment in session.client.deployments().await.map_err(Failure::from)? {
            view.state(&deployment, session)?;
        }
        loop {
            let notice = match feed.next(session).await? {
                Fed::Notice(notice) => notice,
                Fed::Reopened => break,
                Fed::Interrupted => {
                    view.end(session)?;
                    return Ok(Exit::Interrupted);
                }
            };
            view.notice(&notice, session)?;
            match &notice.news {
                News::Changed { now } => view.state(now, session)?,
                News::Gap => break,
                News::Step { .. }
                | News::Progress { .. }
                | News::Line { .. }
                | News::Finished { .. }
                | News::Removed => {}
            }
        }
    }
}
