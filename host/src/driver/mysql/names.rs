//! The databases that one site of a binding reaches: the bound one, and those made from it. Pure.

use crate::config::ServerConfig;
use crate::context::Site;
use crate::driver::server::names::{derived_prefix, short_digest};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub live: String,
    prefix: String,
}

impl Names {
    pub fn of(server: &ServerConfig, site: &Site) -> Self {
        match site {
            Site::Live => Self::new(&server.database),
            Site::Drill { name, .. } => Self::new(name),
        }
    }

    pub fn new(live: &str) -> Self {
        Self { live: live.into(), prefix: derived_prefix(live) }
    }

    /// What a step's flip set aside.
    pub fn aside(&self, step: &str) -> String {
        format!("{}{}_o", self.prefix, short_digest(step))
    }

    /// What a step builds.
    pub fn fresh(&self, step: &str) -> String {
        format!("{}{}_n", self.prefix, short_digest(step))
    }

    /// What the fence remembers.
    pub fn fence(&self) -> String {
        format!("{}fence", self.prefix)
    }

    pub fn owns(&self, database: &str) -> bool {
        database == self.live || database.starts_with(&self.prefix)
    }
}

/// Whether a grant's pattern of databases names this one.
pub fn matches(pattern: &str, database: &str) -> bool {
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['\\', escaped, rest @ ..], [first, after @ ..]) if escaped == first => fits(rest, after),
            (['%', rest @ ..], _) => (0..=text.len()).any(|taken| fits(rest, &text[taken..])),
            (['_', rest @ ..], [_, after @ ..]) => fits(rest, after),
            ([wanted, rest @ ..], [first, after @ ..]) if wanted == first && *wanted != '\\' => fits(rest, after),
            _ => false,
        }
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), database.chars().collect());
    fits(&pattern, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_stay_apart() {
        let names = Names::new("shop");
        assert_eq!(names.fence(), "shop_up_fence");
        assert_ne!(names.aside("r1-restore"), names.fresh("r1-restore"));
        let long = Names::new(&"x".repeat(64));
        for name in [long.aside("r1-restore"), long.fresh("r1-restore"), long.fence()] {
            assert!(name.len() <= 64 && long.owns(&name), "{name}");
        }
        assert!(!names.owns("shops") && !names.owns("shop_up"));
    }

    #[test]
    fn patterns_of_grants_are_read_as_the_server_does() {
        for (pattern, database) in
            [("shop", "shop"), ("sh%", "shop"), ("s_op", "shop"), ("a\\_b", "a_b"), ("%", ""), ("a_b", "a_b")]
        {
            assert!(matches(pattern, database), "{pattern} {database}");
        }
        for (pattern, database) in [("shop", "shops"), ("a\\_b", "axb"), ("", "shop"), ("shop_", "shop")] {
            assert!(!matches(pattern, database), "{pattern} {database}");
        }
    }
}
