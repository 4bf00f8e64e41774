//! Names of databases that are made beside a bound one. Pure; the plugin `postgres` follows the same rule.

use sha2::{Digest, Sha256};
use std::path::Path;

/// What PostgreSQL keeps of a name, in bytes; MySQL takes 64 characters.
pub const NAME_BYTES: usize = 63;
/// The names of a drill's databases begin with it; nothing else is dropped after one.
pub const SCRATCH_PREFIX: &str = "upgraded_drill_";

/// Bytes that a derived name needs beside the prefix: `_up_`, a digest of 16, a suffix of 2.
const DERIVED_BYTES: usize = 22;

/// A drill's name on a server, for `Site::Drill`: the same for the same folder, which no other step has and no other daemon,
/// and short enough for derived names.
pub fn scratch_name(folder: &Path) -> String {
    format!("{SCRATCH_PREFIX}{}", short_digest(&folder.to_string_lossy()))
}

/// What the names of databases begin with that belong to `database`: `<database>_up_`, or, where that is too long,
/// `<its beginning>_<its digest>_up_`.
pub fn derived_prefix(database: &str) -> String {
    let longest = NAME_BYTES - DERIVED_BYTES;
    if database.len() <= longest {
        return format!("{database}_up_");
    }
    let digest = short_digest(database);
    let end = database.floor_char_boundary(longest - digest.len() - 1);
    format!("{}_{digest}_up_", &database[..end])
}

/// 16 hexadecimal digits.
pub fn short_digest(text: &str) -> String {
    crate::effect::hex(&Sha256::digest(text))[..16].to_owned()
}

/// Tells a daemon from others that use the same engine, server or machine, by a folder that is its alone.
pub fn of_daemon(folder: &Path) -> String {
    short_digest(&folder.to_string_lossy())[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn derived_names_fit(database in "\\PC{1,63}") {
            prop_assume!(database.len() <= NAME_BYTES);
            prop_assert!(derived_prefix(&database).len() + 18 <= NAME_BYTES);
        }
    }

    #[test]
    fn scratch_names_fit_without_a_digest() {
        let name = scratch_name(Path::new("/var/lib/upgraded/scratch/shop/r12-drill-main"));
        assert!(derived_prefix(&name).starts_with(&name));
    }
}
