//! Puts another image in a file's place for it; everything around it stays.

use crate::Mistake;
use crate::yaml::{self, Node};
use saphyr_parser::ScalarStyle;
use std::ops::Range;

/// Where an image is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As it stands, variables and all.
    pub reference: String,
    pub line: usize,
    range: Range<usize>,
    quote: &'static str,
}

/// Of a container of the file's pods, by its name.
pub fn image(file: &str, text: &str, container: &str) -> Result<Place, Mistake> {
    let mistake = |line: Option<usize>, why: String| Mistake { file: file.into(), line, why };
    let mut found: Vec<Node> = Vec::new();
    let mut names = Vec::new();
    for document in yaml::documents(file, text)? {
        for key in ["initContainers", "containers"] {
            for node in document.at(&["spec", key]).map(Node::items).unwrap_or_default() {
                let name = node.get("name").and_then(Node::text).unwrap_or_default();
                names.push(format!("`{name}`"));
                found.extend(node.get("image").filter(|_| name == container).cloned());
            }
        }
    }
    let node = match &found[..] {
        [node] => node,
        [] => {
            let there = if names.is_empty() { "none".into() } else { names.join(", ") };
            return Err(mistake(None, format!("it has no image of a container `{container}`; there is {there}")));
        }
        _ => return Err(mistake(Some(found[1].line), format!("it has two containers `{container}`"))),
    };
    let range = node
        .range
        .clone()
        .ok_or_else(|| mistake(Some(node.line), format!("the image of `{container}` does not stand in one piece")))?;
    let quote = match node.style {
        ScalarStyle::DoubleQuoted => "\"",
        ScalarStyle::SingleQuoted => "'",
        _ => "",
    };
    Ok(Place { reference: node.text().unwrap_or_default().to_owned(), line: node.line, range, quote })
}

/// `text` with `reference` at the place, which was found in it.
pub fn set_image(text: &str, place: &Place, reference: &str) -> String {
    let mut text = text.to_owned();
    text.replace_range(place.range.clone(), &format!("{0}{reference}{0}", place.quote));
    text
}
