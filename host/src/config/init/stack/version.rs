//! Where the version stands: in a variable that images' tags are made of, or in the tags themselves.

use super::Version;
use super::part::{Part, Role};
use compose_files::{Image, interpolated, keys};
use std::collections::BTreeMap;

/// And the containers that carry it, in the files' order. `environment`: of the env files.
pub(super) fn of<'p>(environment: &BTreeMap<String, String>, parts: &'p [Part]) -> (Version, Vec<&'p Part>) {
    let own: Vec<&Part> = parts.iter().filter(|part| part.role == Role::Own).collect();
    let name = |parts: &[&Part]| parts.iter().map(|part| part.name.clone()).collect::<Vec<_>>();
    let set = Set(environment);
    if let Some((key, carried)) = most(&own, |part| set.key_of(part)) {
        let image = carried[0].image.as_deref().unwrap_or_default();
        if let Some(version) = set.by_key(image, &key) {
            return (version, carried);
        }
    }
    let literal = |part: &Part| {
        let tag = Image::of(part.image.as_deref()?).tag?;
        (keys(tag).is_empty() && begins_with_a_number(tag)).then(|| tag.to_owned())
    };
    if let Some((tag, carried)) = most(&own, literal) {
        let (version, text) = without_v(&tag);
        return (Version::Tags { services: name(&carried), version, text }, carried);
    }
    (Version::Unknown, own)
}

/// What most have in common, and those that have it; of several the first.
pub(super) fn most<T: Copy>(parts: &[T], of: impl Fn(T) -> Option<String>) -> Option<(String, Vec<T>)> {
    let mut groups: Vec<(String, Vec<T>)> = Vec::new();
    for part in parts.iter().copied() {
        let Some(common) = of(part) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == common) {
            Some((_, group)) => group.push(part),
            None => groups.push((common, vec![part])),
        }
    }
    let most = groups.iter().map(|(_, group)| group.len()).max()?;
    groups.into_iter().find(|(_, group)| group.len() == most)
}

/// The variables that are set.
struct Set<'e>(&'e BTreeMap<String, String>);

impl Set<'_> {
    fn value_of(&self, text: &str) -> String {
        interpolated(text, &|name| self.0.get(name).cloned())
    }

    /// The variable of the tag, or the one that names tag and all.
    fn key_of(&self, part: &Part) -> Option<String> {
        let image = Image::of(part.image.as_deref()?);
        match image.tag {
            Some(tag) => keys(tag).into_iter().next(),
            None => {
                let tagged = Image::of(&self.value_of(image.name)).tag.is_some();
                keys(image.name).pop().filter(|_| tagged)
            }
        }
    }

    fn by_key(&self, image: &str, key: &str) -> Option<Version> {
        const MARK: &str = "\u{1}";
        let marked = interpolated(image, &|name| match name {
            name if name == key => Some(MARK.to_owned()),
            name => self.0.get(name).cloned(),
        });
        let (before, after) = marked.split_once(MARK)?;
        let whole = self.value_of(image);
        let value = whole.strip_prefix(before)?.strip_suffix(after)?;
        // The variable may hold the image's name as well.
        let version_at = Image::of(value).tag.map_or(0, |tag| value.find(tag).unwrap_or(0));
        let (version, text) = without_v(&value[version_at..]);
        if version.is_empty() {
            return None;
        }
        let around = Image::of(&marked);
        let (before, after) = around.tag.and_then(|tag| tag.split_once(MARK)).unwrap_or_default();
        Some(Version::Key {
            key: key.to_owned(),
            written: self.0.contains_key(key),
            version,
            tag: format!("{before}{text}{after}"),
            text: format!("{}{text}", &value[..version_at]),
        })
    }
}

/// `1.4.0` and `v{version}` of `v1.4.0`.
pub(super) fn without_v(text: &str) -> (String, String) {
    match text.strip_prefix('v').filter(|rest| begins_with_a_number(rest)) {
        Some(rest) => (rest.to_owned(), "v{version}".to_owned()),
        None => (text.to_owned(), "{version}".to_owned()),
    }
}

pub(super) fn begins_with_a_number(tag: &str) -> bool {
    tag.strip_prefix('v').unwrap_or(tag).starts_with(|c: char| c.is_ascii_digit())
}
