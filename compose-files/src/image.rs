//! The parts of an image's reference, as it is written: variables and all.

use std::ops::Range;

/// `registry:5000/shop/web`, `1.4.0` and `sha256:…` of `registry:5000/shop/web:1.4.0@sha256:…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'r> {
    pub name: &'r str,
    pub tag: Option<&'r str>,
    pub digest: Option<&'r str>,
}

impl<'r> Image<'r> {
    /// What stands within `${…}` divides nothing.
    pub fn of(reference: &'r str) -> Self {
        let (mut slash, mut colon, mut at_sign) = (0, None, None);
        let mut at = 0;
        while let Some(letter) = reference[at..].chars().next() {
            if let Some(inner) = variable(&reference[at..]) {
                at += inner.end;
                continue;
            }
            match letter {
                '/' if at_sign.is_none() => (slash, colon) = (at, None),
                ':' if at_sign.is_none() && at > slash => colon = Some(at),
                '@' if at_sign.is_none() => at_sign = Some(at),
                _ => {}
            }
            at += letter.len_utf8();
        }
        let end = at_sign.unwrap_or(reference.len());
        Self {
            name: &reference[..colon.unwrap_or(end)],
            tag: colon.map(|colon| &reference[colon + 1..end]),
            digest: at_sign.map(|at_sign| &reference[at_sign + 1..]),
        }
    }

    /// `web` of `registry:5000/shop/web`.
    pub fn short_name(&self) -> &'r str {
        self.name.rsplit('/').next().unwrap_or(self.name)
    }
}

/// `${…}` at the beginning.
fn variable(text: &str) -> Option<Range<usize>> {
    let end = crate::environment::closing(text.strip_prefix("${")?)?;
    Some(0..end + 3)
}
