//! Shows that a long statement lives: asks the server, over a connection of its own, whether the step's connections work.
//!
//! One that waits for a lock is no sign of life, so that a deadlock with somebody else ends by the idle deadline.

use super::fence::{connections, own_ids};
use super::session::{Session, Way};
use crate::activity::Activity;
use crate::model::VerbError;
use std::future::Future;
use std::time::Duration;

/// Statements that are done by then cost no second connection.
const FIRST: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(3);

/// `work`, with signs of life while it goes on.
pub async fn beside<T>(way: &Way, activity: &Activity, work: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        result = work => result,
        never = beat(way, activity) => never,
    }
}

async fn beat<T>(way: &Way, activity: &Activity) -> T {
    tokio::time::sleep(FIRST).await;
    loop {
        if let Ok(mut session) = Session::connect(way).await {
            while let Ok(works) = look(&mut session, way).await {
                if works {
                    activity.touch();
                }
                tokio::time::sleep(BETWEEN).await;
            }
        }
        // No answer is no sign of life: the idle deadline decides.
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn look(session: &mut Session, way: &Way) -> Result<bool, VerbError> {
    let ours = own_ids(session, way).await?;
    let works = |state: &str| !state.to_lowercase().contains("lock");
    let all = connections(session).await?;
    Ok(all.iter().any(|one| ours.contains(&one.id) && one.command == "Query" && works(&one.state)))
}
