//! Cloud Run and Cloud SQL as an upgrade needs them: few typed verbs, each bound to one project, over Google's own clients.
//!
//! Every change states what is wanted and converges. Whether it was done is asked of the service itself, never of the
//! answer to the request: answers get lost, and 409 may follow a success. Nothing here knows of deployments or plugins.

mod error;
mod login;
mod pause;
mod place;
mod registry;
mod run;
mod sql;

pub use error::{Error, Result};
pub use login::Login;
pub use pause::Heard;
pub use place::Place;
pub use run::{Answer, CloudRun, Difference, Environment, Revision, Service, Share, TAG, Tagged, Variables};
pub use sql::{Backup, CloudSql, Instance};
