//! The last look while users are served: whether the plan still holds, and whether the vault can be read, which nothing
//! after it does without.

use super::hands::RealHands;
use super::planning::{self, Looked};
use crate::activity::{Activity, Level};
use crate::config::edit::line_of;
use crate::config::file::read_bounded;
use crate::model::{Failure, Finding, VerbError};
use crate::plan::aftermath::OUTDATED;
use crate::plan::{Kind, Plan};
use std::io;
use std::time::Duration;

/// A vault that answers later than that is said to be waited for.
const AT_ONCE: Duration = Duration::from_secs(5);

impl RealHands {
    pub(super) async fn recheck_of(&self, plan: &Plan, activity: &Activity) -> Result<Vec<Finding>, Failure> {
        let findings = match plan.kind {
            Kind::Upgrade => self.still_holds(plan, activity).await?,
            Kind::Rollback(_) | Kind::Rehearsal => Vec::new(),
        };
        tokio::select! {
            answered = self.vault_answers(plan, activity) => answered.map(|()| findings),
            () = activity.cancellation().cancelled() => Err(VerbError::Cancelled.into()),
        }
    }

    async fn still_holds(&self, plan: &Plan, activity: &Activity) -> Result<Vec<Finding>, Failure> {
        is_still_wanted(&read_bounded(&self.entry.file, 1 << 20), &plan.file)?;
        let looked = self.host.look(&self.ready, &plan.file, Some(&plan.to), activity).await;
        let looked = looked.map_err(|refused| recheck(refused.why, refused.retryable))?;
        match looked {
            Looked::Nothing { .. } => Err(outdated(format!("`{}` is installed already", plan.to))),
            Looked::Plan { plan: now, findings } => {
                if now.from != plan.from {
                    return Err(outdated(format!(
                        "`{}` is installed now, and the plan begins at `{}`",
                        now.from, plan.from
                    )));
                }
                // What is put there is the plan's own, whatever would be proposed today.
                if now.replaced() != plan.replaced() {
                    return Err(outdated("a file that the plan edits was changed since; it is planned again".into()));
                }
                Ok(findings)
            }
        }
    }

    /// Whoever tidies it keeps everybody else out: that is waited for here, and not in downtime.
    async fn vault_answers(&self, plan: &Plan, activity: &Activity) -> Result<(), Failure> {
        let read = async {
            match &plan.kind {
                Kind::Rollback(way) => planning::is_held(&self.ready, way).await,
                Kind::Upgrade | Kind::Rehearsal => self.in_vault(|vault| vault.list("-").map(drop)).await,
            }
        };
        tokio::pin!(read);
        if let Ok(answered) = tokio::time::timeout(AT_ONCE, &mut read).await {
            return answered;
        }
        activity.line(Level::Info, "waits for the vault");
        read.await
    }
}

fn outdated(why: String) -> Failure {
    Failure { code: OUTDATED.into(), message: why, retryable: false }
}

fn recheck(why: String, retryable: bool) -> Failure {
    Failure { code: "recheck".into(), message: why, retryable }
}

/// Of the deployment's file as it is now, and as the run began with it.
fn is_still_wanted(now: &io::Result<Vec<u8>>, then: &str) -> Result<(), Failure> {
    let version = |text: &str| line_of(text, "version");
    match now {
        Ok(now) if version(&String::from_utf8_lossy(now)) == version(then) => Ok(()),
        Ok(_) => Err(outdated("the file asks for another version by now; it is planned again".into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(outdated("the deployment's file is gone; nothing is upgraded without it".into()))
        }
        Err(error) => Err(recheck(format!("the deployment's file can't be read: {error}"), true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_its_file_is_gone_or_asks_for_something_else() {
        let then = "version = \"2.0\"\n";
        let code = |now: io::Result<Vec<u8>>| is_still_wanted(&now, then).map_err(|failure| failure.code);
        assert_eq!(code(Ok(b"# later\nversion = \"2.0\"\n".to_vec())), Ok(()));
        assert_eq!(code(Ok(b"version = \"2.1\"\n".to_vec())), Err(OUTDATED.into()));
        assert_eq!(code(Err(io::ErrorKind::NotFound.into())), Err(OUTDATED.into()));
        let denied = is_still_wanted(&Err(io::ErrorKind::PermissionDenied.into()), then).unwrap_err();
        assert!(denied.retryable && denied.code != OUTDATED, "{denied:?}");
    }
}
