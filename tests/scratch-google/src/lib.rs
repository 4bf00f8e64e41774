//! A double of Cloud Run and Cloud SQL for tests, held to Google's own discovery documents. README.md says what it is
//! and what it does not do.

mod core;
mod discovery;
mod fault;
mod google;
mod log;
mod login;
mod paging;
mod refusal;
mod registry;
mod reply;
mod run;
mod server;
mod sql;

pub use crate::core::Pace;
pub use crate::fault::Fault;
pub use crate::google::Google;
pub use crate::log::Exchange;
pub use crate::login::Account;
pub use crate::refusal::Refusal;
pub use crate::run::{Environment, Image, Request, Response};
pub use crate::sql::{Disk, Folder};

/// The methods that the double answers, as their documents name them: `run:v2 run.projects.locations.services.get`.
pub fn methods() -> Vec<String> {
    let documents = discovery::documents().iter();
    documents.flat_map(|document| document.methods.iter().map(|m| format!("{} {}", document.id, m.id))).collect()
}
