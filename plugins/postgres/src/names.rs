//! Names of databases, made from the live one's and a step's. The host lets no others be reached.

use sha2::{Digest, Sha256};

/// What PostgreSQL keeps of a name, in bytes.
const NAME_BYTES: usize = 63;
/// `_up_`, a digest of 16 and a suffix of 2.
const DERIVED_BYTES: usize = 22;

#[derive(Debug, Clone)]
pub struct Names {
    pub live: String,
    /// The step that calls.
    pub step: String,
}

impl Names {
    pub fn new(live: &str, step: &str) -> Self {
        Self { live: live.into(), step: step.into() }
    }
    /// What every name but the live one begins with.
    pub fn prefix(&self) -> String {
        let longest = NAME_BYTES - DERIVED_BYTES;
        if self.live.len() <= longest {
            return format!("{}_up_", self.live);
        }
        let digest = digest(&self.live);
        let mut end = longest - digest.len() - 1;
        while !self.live.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}_{digest}_up_", &self.live[..end])
    }
    /// A step's frozen copy, or what it set aside: whole where it exists.
    pub fn copy(&self, step: &str) -> String {
        format!("{}{}", self.prefix(), digest(step))
    }
    /// What this step is making.
    pub fn making(&self) -> String {
        self.making_of(&self.step)
    }
    /// What a step that was cut off has begun to make.
    pub fn making_of(&self, step: &str) -> String {
        format!("{}_m", self.copy(step))
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_the_same_rule_and_every_name_fits() {
        for live in ["shop", "ünïcode", &"x".repeat(41), &"x".repeat(42), &"ü".repeat(31), &"€".repeat(21)] {
            let names = Names::new(live, "r12-freeze-main");
            assert_eq!(names.prefix(), upgraded::driver::postgres::derived_prefix(live));
            assert!(names.making().len() <= NAME_BYTES, "{live}");
        }
    }

    #[test]
    fn steps_have_copies_of_their_own() {
        let names = Names::new("shop", "r12-freeze-main");
        assert_eq!(
            names.copy("r12-freeze-main"),
            "shop_up_9f3e0d2ae7e3f2f9".replace("9f3e0d2ae7e3f2f9", &digest("r12-freeze-main"))
        );
        assert_ne!(names.copy("r12-freeze-main"), names.copy("r13-freeze-main"));
        assert_eq!(Names::new("shop", "r12-let-go-main").making_of("r12-freeze-main"), names.making());
    }
}
