//! One key in a file of values that an operator keeps: comments, order and everything else stay.

use upgraded_sdk::prelude::*;

/// The text with `section.key`, where it has none with something in it.
pub fn with(text: &str, section: &str, key: &str, value: &str) -> Result<Option<String>> {
    let mut lines: Vec<&str> = text.lines().collect();
    let new = |indent: &str| format!("{indent}{key}: \"{value}\"");
    let Some(begins) = lines.iter().position(|line| value_of(line, section).is_some()) else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Ok(Some(format!("{text}{end}{section}:\n{}\n", new("  "))));
    };
    if value_of(lines[begins], section) != Some("") {
        let why = format!("the values have `{section}` on one line: write `{key}: \"{value}\"` into it");
        return if lines[begins].contains(&format!("{key}:")) { Ok(None) } else { Err(Error::invalid(why)) };
    }
    let within = lines[begins + 1..].iter().take_while(|line| line.trim().is_empty() || line.starts_with([' ', '#']));
    let within: Vec<(usize, &str)> = (begins + 1..).zip(within.copied()).collect();
    let own = within.iter().filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let indent = own.clone().next().map_or("  ", |(_, line)| &line[..line.len() - line.trim_start().len()]).to_owned();
    let at = own.filter_map(|(number, line)| Some((*number, value_of(line.strip_prefix(&indent)?, key)?))).next();
    let new = new(&indent);
    match at {
        Some((_, value)) if !value.trim_matches(['"', '\'']).is_empty() => return Ok(None),
        Some((number, _)) => lines[number] = &new,
        None => lines.insert(begins + 1, &new),
    }
    Ok(Some(lines.join("\n") + "\n"))
}

/// Of a line that begins with the key.
fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(key)?.strip_prefix(':')?;
    let value = rest.split_once(" #").map_or(rest, |(value, _)| value);
    (rest.is_empty() || rest.starts_with(' ')).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Option<String> {
        with(text, "cache", "address", "c:6379").expect("it can be set")
    }

    #[test]
    fn a_key_is_added_and_nothing_else_changes() {
        let plain = "# ours\nimage:\n  tag: \"1.8.3\"   # this one runs";
        assert_eq!(set(plain).unwrap(), format!("{plain}\ncache:\n  address: \"c:6379\"\n"));
        let with = "cache:   # in memory\n    # small\n    image: c\nregistry: r\n";
        let expected = "cache:   # in memory\n    address: \"c:6379\"\n    # small\n    image: c\nregistry: r\n";
        assert_eq!(set(with).unwrap(), expected);
        assert_eq!(
            set("cache:\n  address: \"\"\nregistry: r\n").unwrap(),
            "cache:\n  address: \"c:6379\"\nregistry: r\n"
        );
        assert_eq!(set("cache:\nregistry: r\n").unwrap(), "cache:\n  address: \"c:6379\"\nregistry: r\n");
    }

    #[test]
    fn what_the_operator_set_stays() {
        assert_eq!(set("cache:\n  address: redis:6379   # ours\n"), None);
        assert_eq!(set("cache: {address: redis:6379}\n"), None);
        let error = with("cache: {image: c}\n", "cache", "address", "c:6379").unwrap_err();
        assert!(error.text().contains("`cache` on one line"), "{}", error.text());
    }
}
