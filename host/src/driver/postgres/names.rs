//! Which databases of the server a binding may reach. Pure; the plugin `postgres` follows the same rule for names.

use crate::config::ServerConfig;
use crate::context::Site;
use crate::model::VerbError;
use sha2::{Digest, Sha256};

/// What PostgreSQL keeps of a name, in bytes.
pub const NAME_BYTES: usize = 63;
/// The names of a drill's databases begin with it; [`super::Postgres::discard_scratch`] drops no others.
pub const SCRATCH_PREFIX: &str = "upgraded_drill_";

/// Bytes that a derived name needs beside the prefix: `_up_`, a digest of 16, a suffix of 2.
const DERIVED_BYTES: usize = 22;

/// A drill's name on a server, for [`Site::Drill`]: the same for the same step, and short enough for derived names.
pub fn scratch_name(deployment: &str, step: &str) -> String {
    format!("{SCRATCH_PREFIX}{}", short_digest(&format!("{deployment}/{step}")))
}

/// What the names of databases begin with that belong to `database`: `<database>_up_`, or, where that is too long,
/// `<its beginning>_<its digest>_up_`.
pub fn derived_prefix(database: &str) -> String {
    let longest = NAME_BYTES - DERIVED_BYTES;
    if database.len() <= longest {
        return format!("{database}_up_");
    }
    let digest = short_digest(database);
    let mut end = longest - digest.len() - 1;
    while !database.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}_{digest}_up_", &database[..end])
}

fn short_digest(text: &str) -> String {
    crate::effect::hex(&Sha256::digest(text))[..16].to_owned()
}

/// The databases that one site of a binding reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    pub bound: String,
    pub maintenance: String,
    derived: String,
}

impl Reach {
    pub fn new(server: &ServerConfig, site: &Site) -> Self {
        let bound = match site {
            Site::Live => &server.database,
            Site::Drill { name, .. } => name,
        };
        Self { bound: bound.clone(), maintenance: server.maintenance.clone(), derived: derived_prefix(bound) }
    }

    /// The bound database, and those made from it. Not the maintenance database: nothing is changed inside it.
    pub fn owns(&self, database: &str) -> bool {
        database == self.bound || database.starts_with(&self.derived)
    }

    pub fn check(&self, database: &str) -> Result<(), VerbError> {
        if self.owns(database) || database == self.maintenance {
            return Ok(());
        }
        Err(VerbError::Denied(format!(
            "the database `{database}` is not granted; `{}`, `{}…` and `{}` are",
            self.bound, self.derived, self.maintenance
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reach(database: &str) -> Reach {
        Reach { bound: database.into(), maintenance: "postgres".into(), derived: derived_prefix(database) }
    }

    #[test]
    fn reaches_its_own_and_no_other() {
        let reach = reach("shop");
        for database in ["shop", "shop_up_0123456789abcdef_n", "postgres"] {
            assert_eq!(reach.check(database), Ok(()), "{database}");
        }
        for database in ["shop_up", "shops", "template1", "", "SHOP"] {
            assert!(matches!(reach.check(database), Err(VerbError::Denied(_))), "{database}");
        }
        assert!(!reach.owns("postgres"));
    }

    proptest! {
        #[test]
        fn derived_names_fit(database in "\\PC{1,63}") {
            prop_assume!(database.len() <= NAME_BYTES);
            prop_assert!(derived_prefix(&database).len() + 18 <= NAME_BYTES);
        }
    }

    #[test]
    fn scratch_names_fit_without_a_digest() {
        let name = scratch_name("shop", "r12-drill-main");
        assert!(derived_prefix(&name).starts_with(&name));
    }
}
