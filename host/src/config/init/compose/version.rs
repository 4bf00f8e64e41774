//! Where the version stands: in a variable that images' tags are made of, or in the tags themselves.

use super::{Service, Version};
use compose_files::{Image, Project, interpolated, keys};

/// And the services that carry it, in the files' order.
pub(super) fn of(project: &Project, services: &[&Service<'_>]) -> (Version, Vec<String>) {
    let own: Vec<&Service> = services.iter().copied().filter(|service| service.is_of_the_product()).collect();
    let name = |services: &[&Service]| services.iter().map(|service| service.name.clone()).collect::<Vec<_>>();
    if let Some((key, carried)) = most(&own, |service| key_of(project, service)) {
        let image = carried[0].image.unwrap_or_default();
        if let Some(version) = by_key(project, image, &key) {
            return (version, name(&carried));
        }
    }
    let literal = |service: &Service| {
        let tag = Image::of(service.image?).tag?;
        (keys(tag).is_empty() && begins_with_a_number(tag)).then(|| tag.to_owned())
    };
    if let Some((tag, carried)) = most(&own, literal) {
        let (version, text) = without_v(&tag);
        return (Version::Tags { services: name(&carried), version, text }, name(&carried));
    }
    (Version::Unknown, name(&own))
}

/// What most services have in common, and those services; of several the first.
fn most<'s, 'p>(
    services: &[&'s Service<'p>], of: impl Fn(&Service<'p>) -> Option<String>,
) -> Option<(String, Vec<&'s Service<'p>>)> {
    let mut groups: Vec<(String, Vec<&Service>)> = Vec::new();
    for service in services {
        let Some(common) = of(service) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == common) {
            Some((_, group)) => group.push(service),
            None => groups.push((common, vec![service])),
        }
    }
    let most = groups.iter().map(|(_, group)| group.len()).max()?;
    groups.into_iter().find(|(_, group)| group.len() == most)
}

/// The variable of the tag, or the one that names tag and all.
fn key_of(project: &Project, service: &Service<'_>) -> Option<String> {
    let image = Image::of(service.image?);
    match image.tag {
        Some(tag) => keys(tag).into_iter().next(),
        None => {
            let tagged = Image::of(&project.value_of(image.name)).tag.is_some();
            keys(image.name).pop().filter(|_| tagged)
        }
    }
}

fn by_key(project: &Project, image: &str, key: &str) -> Option<Version> {
    const MARK: &str = "\u{1}";
    let marked = interpolated(image, &|name| match name {
        name if name == key => Some(MARK.to_owned()),
        name => project.environment.get(name).cloned(),
    });
    let (before, after) = marked.split_once(MARK)?;
    let whole = project.value_of(image);
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
        written: project.environment.contains_key(key),
        version,
        tag: format!("{before}{text}{after}"),
        text: format!("{}{text}", &value[..version_at]),
    })
}

/// `1.4.0` and `v{version}` of `v1.4.0`.
fn without_v(text: &str) -> (String, String) {
    match text.strip_prefix('v').filter(|rest| begins_with_a_number(rest)) {
        Some(rest) => (rest.to_owned(), "v{version}".to_owned()),
        None => (text.to_owned(), "{version}".to_owned()),
    }
}

fn begins_with_a_number(tag: &str) -> bool {
    tag.strip_prefix('v').unwrap_or(tag).starts_with(|c: char| c.is_ascii_digit())
}
