//! Which databases of the server a binding may reach. Pure.

use crate::config::ServerConfig;
use crate::context::Site;
use crate::driver::server::names::derived_prefix;
use crate::model::VerbError;

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
}
