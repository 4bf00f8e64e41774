//! `upgradectl logs`: what was kept, and with `--follow` what comes.

use super::watch::{Fed, Feed};
use crate::api::facade::LogsOf;
use crate::api::{LogLine, Logs, News, Notice};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Clock, log_line};
use crate::cli::session::Session;
use clap::Args;

/// Show what was written while steps ran
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// A run's number, or a deployment's name
    #[arg(value_name = "RUN|NAME")]
    of: String,
    /// Go on with what is written from now on; a run's until it ends
    #[arg(long, short)]
    follow: bool,
    /// So many of the last lines at most
    #[arg(long, short = 'n', value_name = "NUMBER")]
    limit: Option<usize>,
    /// Only what came after the line of this number (`next` of a former answer as JSON)
    #[arg(long, value_name = "NUMBER")]
    since: Option<u64>,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let number = arguments.of.parse::<u64>();
    let of = number.as_ref().map_or(LogsOf::Deployment(&arguments.of), |run| LogsOf::Run(*run));
    let result = session.client.logs(of, arguments.since, arguments.limit).await;
    let logs = match of {
        LogsOf::Deployment(name) => session.of_deployment(name, result).await?,
        LogsOf::Run(_) => result?,
    };
    if !arguments.follow {
        return session.answer(&logs, Exit::Done, |t| {
            if logs.lines.is_empty() && arguments.since.is_none() {
                return none_kept(of);
            }
            let clock = Clock::from(t);
            let lines: Vec<_> = logs.lines.iter().map(|line| log_line(line, &clock, t.paint())).collect();
            lines.join("\n")
        });
    }
    follow(of, logs, session).await
}

fn none_kept(of: LogsOf<'_>) -> String {
    let of = match of {
        LogsOf::Deployment(name) => format!("`{name}`"),
        LogsOf::Run(run) => format!("run {run}"),
    };
    format!(
        "no lines of {of} are kept: only the newest since the daemon's start are. Older ones of runs are in the system's \
         log: `journalctl -u upgraded`"
    )
}

async fn follow(of: LogsOf<'_>, logs: Logs, session: &mut Session<'_>) -> Result<Exit, Failure> {
    for line in &logs.lines {
        print(line, session)?;
    }
    let (name, run) = match of {
        LogsOf::Deployment(name) => (name.to_owned(), None),
        LogsOf::Run(run) => {
            let run = session.client.run(run).await?;
            if let Some(outcome) = &run.summary.outcome {
                return Ok(Exit::of_outcome(outcome));
            }
            (run.summary.deployment, Some(run.summary.id))
        }
    };
    let mut feed = Feed::new(Some(name), Some(logs.next));
    feed.open(session).await?;
    loop {
        let notice = match feed.next(session).await? {
            Fed::Notice(notice) => notice,
            Fed::Reopened => continue,
            Fed::Interrupted => return Ok(Exit::Interrupted),
        };
        if run.is_some() && notice.run != run {
            continue;
        }
        if let News::Finished { outcome } = &notice.news
            && run.is_some()
        {
            return Ok(Exit::of_outcome(outcome));
        }
        if let Some(line) = as_line(notice) {
            print(&line, session)?;
        }
    }
}

fn as_line(notice: Notice) -> Option<LogLine> {
    let News::Line { step, level, message } = notice.news else { return None };
    let deployment = notice.deployment?;
    Some(LogLine { id: notice.id, at: notice.at, deployment, run: notice.run, step, level, message })
}

fn print(line: &LogLine, session: &mut Session<'_>) -> Result<(), Failure> {
    if session.json {
        return Ok(session.terminal.json_line(line)?);
    }
    let text = log_line(line, &Clock::from(&*session.terminal), session.terminal.paint());
    session.terminal.line(text)?;
    Ok(session.terminal.out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_is_kept_it_says_where_older_lines_are() {
        assert!(none_kept(LogsOf::Run(12)).starts_with("no lines of run 12 are kept"));
        assert!(none_kept(LogsOf::Deployment("shop")).starts_with("no lines of `shop` are kept"));
    }
}
