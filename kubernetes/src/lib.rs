//! What `upgraded` asks of a Kubernetes cluster and of Helm: one release in one namespace. Knows no type of the daemon's;
//! `host/src/driver/kubernetes` joins the two.
//!
//! What a release is, Helm's own records say (secrets in its namespace); what runs of it, the API says. Nothing is changed
//! here but the number of replicas, a CronJob's suspension, and a record that a gone `helm` left pending; a drill's double
//! is a pod of its own, as is one in which an image is asked what it is, and a rehearsal's a release in a namespace of its own.

mod claims;
mod clocks;
mod cluster;
mod double;
mod error;
mod forward;
mod helm;
mod kinds;
pub mod manifest;
mod pods;
mod published;
mod reconcilers;
mod rehearsal;
mod release;
mod rights;
mod server;
mod stands;
mod volumes;
mod workload;

pub use clocks::Started;
pub use cluster::{Cluster, Target};
pub use double::{Come, Said};
pub use error::{Error, Result};
pub use forward::Forward;
pub use helm::{Chart, Helm, Mark, Source, major_minor};
pub use kinds::Kinds;
pub use published::Published;
pub use reconcilers::Reconciler;
pub use rehearsal::{Beside, needed_for_rehearsal};
pub use release::{Hook, Revision};
pub use rights::{Right, needed, needed_for_double};
pub use stands::Standing;
pub use volumes::Writable;
pub use workload::{Kind, Workload, meant, workloads_of};

/// On a workload that is held at zero: the number of replicas that it had.
pub const REPLICAS: &str = "upgraded.dev/replicas";
/// On a CronJob that we suspended.
pub const SUSPENDED: &str = "upgraded.dev/suspended";
/// On the pod of a double and its policy: its name.
pub const DOUBLE: &str = "upgraded.dev/double";
/// On everything that a rehearsal makes: the double's name.
pub const REHEARSAL: &str = "upgraded.dev/rehearsal";
/// On the record of a revision: the step that made it.
pub const STEP: &str = "upgraded.dev/step";
/// On the record of a revision that holds something at zero: what the release is to become then.
pub const HELD: &str = "upgraded.dev/held";
