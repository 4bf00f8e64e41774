//! The schema `public`, which every database is made with: whose it is and who may do what in it. `pg_dump` up to 14 leaves
//! out what was its default then, and whose it is; a server from 15 on has another default.

use crate::quote;
use crate::server::{Connection, cell};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use upgraded_sdk::{Error, Result};

/// Whose it is from 15 on: then the archive says all of it.
const DEFAULT_OWNER: &str = "pg_database_owner";

/// Who may do what, as `(grantee, privilege, may grant)`; an empty grantee is everybody.
type Grant = (String, String, bool);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Public {
    pub owner: String,
    pub grants: BTreeSet<Grant>,
}

impl Public {
    /// Of the connected database. None: it has none.
    pub fn read(connection: &impl Connection) -> Result<Option<Self>> {
        const SQL: &str = "SELECT pg_get_userbyid(n.nspowner), \
            (SELECT coalesce(json_agg(json_build_array(CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END, \
              privilege_type, is_grantable)), '[]') FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner)))) \
            FROM pg_namespace n WHERE n.nspname = 'public'";
        let Some(row) = connection.row(SQL)? else { return Ok(None) };
        let grants = serde_json::from_str(cell(&row, 1)?);
        let grants = grants.map_err(|error| Error::other("answer", format!("grants on `public`: {error}")))?;
        Ok(Some(Self { owner: cell(&row, 0)?.into(), grants }))
    }

    /// What an archive may not say.
    pub fn is_kept(&self) -> bool {
        self.owner != DEFAULT_OWNER
    }

    /// Statements that make of `found` what this is.
    pub fn changes(&self, found: &Self) -> Vec<String> {
        let mut sql = Vec::new();
        if found.owner != self.owner {
            sql.push(format!("ALTER SCHEMA \"public\" OWNER TO {}", quote::name(&self.owner)));
        }
        // What the owner may goes to the next one with the schema.
        let passed_on = |(grantee, privilege, may_grant): &Grant| {
            let grantee = if *grantee == found.owner { &self.owner } else { grantee };
            (grantee.clone(), privilege.clone(), *may_grant)
        };
        let there: BTreeSet<Grant> = found.grants.iter().map(passed_on).collect();
        sql.extend(there.difference(&self.grants).map(|(grantee, privilege, _)| {
            format!("REVOKE {privilege} ON SCHEMA \"public\" FROM {}", grantee_name(grantee))
        }));
        sql.extend(self.grants.difference(&there).map(|(grantee, privilege, may_grant)| {
            let option = if *may_grant { " WITH GRANT OPTION" } else { "" };
            format!("GRANT {privilege} ON SCHEMA \"public\" TO {}{option}", grantee_name(grantee))
        }));
        sql
    }
}

fn grantee_name(grantee: &str) -> String {
    if grantee.is_empty() { "PUBLIC".into() } else { quote::name(grantee) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(owner: &str, grants: &[(&str, &str, bool)]) -> Public {
        let grant = |(to, privilege, may): &(&str, &str, bool)| ((*to).to_owned(), (*privilege).to_owned(), *may);
        Public { owner: owner.into(), grants: grants.iter().map(grant).collect() }
    }

    /// As a server from 15 on makes it.
    fn fresh() -> Public {
        let own = DEFAULT_OWNER;
        public(own, &[("", "USAGE", false), (own, "CREATE", false), (own, "USAGE", false)])
    }

    #[test]
    fn what_everybody_might_up_to_14_is_granted_again() {
        let own = "Shop \"x\"";
        let grants = [("", "CREATE", false), ("", "USAGE", false), (own, "CREATE", false), (own, "USAGE", false)];
        let untouched = public(own, &grants);
        assert!(untouched.is_kept() && !fresh().is_kept());
        let [owner, create] = &untouched.changes(&fresh())[..] else { panic!("{:?}", untouched.changes(&fresh())) };
        assert_eq!(owner, "ALTER SCHEMA \"public\" OWNER TO \"Shop \"\"x\"\"\"");
        assert_eq!(create, "GRANT CREATE ON SCHEMA \"public\" TO PUBLIC");
        assert_eq!(untouched.changes(&untouched), Vec::<String>::new());
    }

    #[test]
    fn what_was_taken_away_or_may_be_handed_on_is_so_again() {
        let own = "postgres";
        let shut = public(own, &[("app", "USAGE", true), (own, "CREATE", false), (own, "USAGE", false)]);
        let mut found = fresh();
        found.grants.insert(("app".into(), "USAGE".into(), false));
        assert_eq!(
            shut.changes(&found),
            [
                "ALTER SCHEMA \"public\" OWNER TO \"postgres\"",
                "REVOKE USAGE ON SCHEMA \"public\" FROM PUBLIC",
                "REVOKE USAGE ON SCHEMA \"public\" FROM \"app\"",
                "GRANT USAGE ON SCHEMA \"public\" TO \"app\" WITH GRANT OPTION",
            ]
        );
    }
}
