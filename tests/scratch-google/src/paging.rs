//! Lists in pages. A token is the place where the next page begins.

use crate::refusal::Refusal;
use serde_json::Value;

pub(crate) struct Page {
    pub items: Vec<Value>,
    /// Nothing behind this page.
    pub next: Option<String>,
}

/// `size`: of one page, as the client asked; nothing or 0 is the `usual`.
pub(crate) fn page(all: Vec<Value>, size: Option<u64>, usual: usize, token: &str) -> Result<Page, Refusal> {
    let from = match token {
        "" => 0,
        token => token.parse().map_err(|_| Refusal::invalid(format!("Invalid page token: {token}")))?,
    };
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0).unwrap_or(usual);
    let next = (all.len() > from + size).then(|| (from + size).to_string());
    Ok(Page { items: all.into_iter().skip(from).take(size).collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all: Vec<Value> = (0..5).map(Value::from).collect();
        let first = page(all.clone(), Some(2), 9, "").unwrap();
        assert_eq!((first.items.len(), first.next.as_deref()), (2, Some("2")));
        let last = page(all.clone(), Some(2), 9, "4").unwrap();
        assert_eq!((last.items, last.next), (vec![4.into()], None));
        assert_eq!(page(all.clone(), Some(0), 9, "").unwrap().items.len(), 5);
        assert!(page(all, None, 9, "x").is_err());
    }
}
