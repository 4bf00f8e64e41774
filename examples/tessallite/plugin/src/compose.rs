//! Where `compose.yaml` says which image a service has. Reads no more YAML than that: mappings in block style.

/// The image of a service, as the file spells it, without quotes and comment.
pub fn image<'a>(file: &'a str, service: &str) -> Option<&'a str> {
    let services = beneath(file.lines(), "services")?;
    value(beneath(services.into_iter(), service)?, "image")
}

/// The image with another tag: registry and repository stay. None where the tag is a variable, or a digest pins it.
pub fn retagged(image: &str, tag: &str) -> Option<String> {
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    let repository = image[name..].find(':').map_or(image, |colon| &image[..name + colon]);
    (!image[name..].contains(['$', '{', '}', '@'])).then(|| format!("{repository}:{tag}"))
}

/// The lines of the block that a key has.
fn beneath<'a>(lines: impl Iterator<Item = &'a str>, key: &str) -> Option<Vec<&'a str>> {
    let mut lines = lines.filter(|line| !without_comment(line).trim().is_empty()).peekable();
    let outer = indent(lines.peek()?);
    lines.find(|line| indent(line) == outer && key_of(line).is_some_and(|(known, _)| known == key))?;
    let block: Vec<&str> = lines.take_while(|line| indent(line) > outer).collect();
    (!block.is_empty()).then_some(block)
}

fn value<'a>(block: Vec<&'a str>, key: &str) -> Option<&'a str> {
    let inner = indent(block.first()?);
    let mut own = block.into_iter().filter(|line| indent(line) == inner).filter_map(key_of);
    let (_, value) = own.find(|(known, _)| *known == key)?;
    (!value.is_empty()).then_some(value)
}

fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, value) = without_comment(line).split_once(':')?;
    Some((unquoted(key), unquoted(value)))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted('"').or_else(|| quoted('\'')).unwrap_or(text)
}

fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| line[..*at].chars().last().is_none_or(char::is_whitespace);
    line.match_indices('#').find(begins).map_or(line, |(at, _)| &line[..at])
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}
