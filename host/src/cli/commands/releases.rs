//! `upgradectl releases`: what there is, and the way to it.

use crate::api::{HopSummary, Reach, ReachableRelease, Releases};
use crate::cli::exit::{Exit, TABLE};
use crate::cli::failure::Failure;
use crate::cli::render::{Column, Paint, Table};
use crate::cli::session::Session;
use clap::Args;

/// List releases, newest first, each with the way to it or the rule that says no
#[derive(Debug, Args)]
#[command(after_long_help = TABLE)]
pub struct Arguments {
    /// The deployment
    name: String,
    /// Also those that there is no way to, and older ones
    #[arg(long, short)]
    all: bool,
}

pub async fn run(arguments: &Arguments, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let result = session.client.releases(&arguments.name).await;
    let releases = session.of_deployment(&arguments.name, result).await?;
    session.answer(&releases, Exit::Done, |t| render(&releases, arguments.all, t.paint(), t.width))
}

fn render(of: &Releases, all: bool, paint: Paint, width: Option<usize>) -> String {
    let shown: Vec<_> = of.releases.iter().filter(|release| all || worth_showing(release, of)).collect();
    let heading = |column, text| (column, paint.bold(text));
    let mut table = Table::new([
        heading(Column::Whole, "VERSION"),
        heading(Column::Whole, "PUBLISHED"),
        heading(Column::Whole, ""),
        heading(Column::Cut, "WAY"),
    ]);
    for release in &shown {
        let breaking = if release.release.breaking { paint.red("breaking") } else { String::new() };
        let published =
            release.release.published.as_deref().map(|at| at.chars().take(10).collect()).unwrap_or_default();
        table.row([release.release.version.clone(), published, breaking, way(release, of, paint)]);
    }
    let mut text = table.render(width);
    let hidden = of.releases.len() - shown.len();
    if hidden > 0 {
        text += &paint
            .dim(&format!("{hidden} more that there is no way to: `upgradectl releases {} --all`\n", of.deployment));
    }
    text
}

fn worth_showing(release: &ReachableRelease, of: &Releases) -> bool {
    let wanted = of.wanted.as_deref() == Some(&release.release.version);
    wanted || !matches!(release.reach, Reach::Refused { .. })
}

fn way(release: &ReachableRelease, of: &Releases, paint: Paint) -> String {
    let wanted = of.wanted.as_deref() == Some(&release.release.version);
    let wanted = if wanted { paint.yellow(" (wanted)") } else { String::new() };
    match &release.reach {
        Reach::Installed => format!("{}{wanted}", paint.green("installed")),
        Reach::Path { hops } => format!("{}{wanted}", path(hops, paint)),
        Reach::Refused { rule } => format!("{}{wanted}", paint.dim(&format!("no: {rule}"))),
        Reach::Quarantined { run } => format!("{}{wanted}", paint.red(&format!("failed here in run {run}"))),
    }
}

fn path(hops: &[HopSummary], paint: Paint) -> String {
    let mut text = hops.first().map(|hop| hop.from.clone()).unwrap_or_default();
    for hop in hops {
        let arrow = if hop.breaking { paint.red("⇒") } else { "→".into() };
        let rest = if hop.rest { " (a run ends here)" } else { "" };
        text += &format!(" {arrow} {}{rest}", hop.to);
    }
    text
}
