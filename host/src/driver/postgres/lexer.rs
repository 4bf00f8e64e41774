//! Splits SQL into statements and words, as PostgreSQL does with `standard_conforming_strings` on. Pure.

use crate::model::VerbError;
use std::ops::Range;

/// Quoted text is one token, comments are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// Unquoted; lower case.
    Word(String),
    /// Quoted as an identifier.
    Name(String),
    /// A literal, whatever its quotes.
    Literal,
    Sign(char),
}

/// One statement, without its semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    sql: &'a str,
    tokens: Vec<(Token, Range<usize>)>,
}

impl<'a> Span<'a> {
    pub fn len(&self) -> usize {
        self.tokens.len()
    }
    pub fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|(token, _)| token)
    }
    /// The unquoted word at a place, or nothing.
    pub fn word(&self, at: usize) -> &str {
        match self.token(at) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }
    /// The word or the quoted name at a place, or nothing.
    pub fn name(&self, at: usize) -> &str {
        match self.token(at) {
            Some(Token::Word(name) | Token::Name(name)) => name,
            _ => "",
        }
    }
    /// As they stand, with their quotes.
    pub fn literals(&self) -> impl Iterator<Item = &'a str> {
        let sql = self.sql;
        let literals = self.tokens.iter().filter(|(token, _)| *token == Token::Literal);
        literals.map(move |(_, place)| &sql[place.clone()])
    }
    pub fn has(&self, wanted: &str) -> bool {
        self.tokens.iter().any(|(token, _)| matches!(token, Token::Word(word) if word == wanted))
    }
    pub fn text(&self) -> &'a str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some((_, first)), Some((_, last))) => &self.sql[first.start..last.end],
            _ => "",
        }
    }
    /// The text with one token replaced.
    pub fn with(&self, at: usize, replacement: &str) -> String {
        let (Some((_, first)), Some((_, last))) = (self.tokens.first(), self.tokens.last()) else {
            return String::new();
        };
        let Some((_, place)) = self.tokens.get(at) else { return self.text().to_owned() };
        format!("{}{replacement}{}", &self.sql[first.start..place.start], &self.sql[place.end..last.end])
    }
}

/// The statements of `sql`; empty ones are left out. Ends with the first error.
pub fn split(sql: &str) -> impl Iterator<Item = Result<Span<'_>, VerbError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            if at >= sql.len() {
                return None;
            }
            match statement(sql, &mut at) {
                Ok(span) if span.tokens.is_empty() => {}
                Ok(span) => return Some(Ok(span)),
                Err(error) => {
                    at = sql.len();
                    return Some(Err(error));
                }
            }
        }
    })
}

fn statement<'a>(sql: &'a str, at: &mut usize) -> Result<Span<'a>, VerbError> {
    let mut tokens = Vec::new();
    while let Some((token, length)) = token(&sql[*at..])? {
        let place = *at..*at + length;
        *at = place.end;
        match token {
            None => {}
            Some(Token::Sign(';')) => break,
            Some(token) => tokens.push((token, place)),
        }
    }
    Ok(Span { sql, tokens })
}

/// The token at the beginning of `rest`, none for space and comments, and its length; nothing at the end.
fn token(rest: &str) -> Result<Option<(Option<Token>, usize)>, VerbError> {
    let Some(first) = rest.chars().next() else { return Ok(None) };
    let (token, after) = if is_space(first) {
        (None, &rest[first.len_utf8()..])
    } else if rest.starts_with("--") {
        (None, rest.find(['\n', '\r']).map_or("", |end| &rest[end..]))
    } else if rest.starts_with("/*") {
        (None, after_comment(rest)?)
    } else if first == '"' {
        let (name, after) = quoted(&rest[1..], '"', false)?;
        (Some(Token::Name(name)), after)
    } else if first == '\'' {
        (Some(Token::Literal), quoted(&rest[1..], '\'', false)?.1)
    } else if matches!(first, 'e' | 'E') && rest[1..].starts_with('\'') {
        (Some(Token::Literal), quoted(&rest[2..], '\'', true)?.1)
    } else if matches!(first, 'u' | 'U') && rest[1..].starts_with("&\"") {
        return Err(VerbError::Invalid("names with `U&` are not offered".into()));
    } else if let Some(tag) = dollar_tag(rest) {
        let body = &rest[tag.len()..];
        let end = body.find(tag).ok_or_else(unterminated)?;
        (Some(Token::Literal), &body[end + tag.len()..])
    } else if begins_word(first) {
        let end = rest.find(|c: char| !(continues_word(c) || c == '$')).unwrap_or(rest.len());
        (Some(Token::Word(rest[..end].to_ascii_lowercase())), &rest[end..])
    } else if first.is_ascii_digit() {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(rest.len());
        // Where the number ends there, and what begins, is not the same for all versions.
        if rest[end..].starts_with(|c: char| c == '$' || !c.is_ascii()) {
            return Err(VerbError::Invalid("a number in the SQL runs into what follows; a space is needed".into()));
        }
        (Some(Token::Literal), &rest[end..])
    } else {
        (Some(Token::Sign(first)), &rest[first.len_utf8()..])
    };
    Ok(Some((token, rest.len() - after.len())))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Whatever is not ASCII is a letter, a space without a break too.
fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn continues_word(c: char) -> bool {
    begins_word(c) || c.is_ascii_digit()
}

/// The text up to the closing quote, doubled quotes undone, and what follows.
fn quoted(text: &str, quote: char, backslashes: bool) -> Result<(String, &str), VerbError> {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' if backslashes => {
                characters.next();
            }
            _ if character == quote => match characters.next_if(|(_, next)| *next == quote) {
                Some(_) => value.push(quote),
                None => return Ok((value, &text[at + quote.len_utf8()..])),
            },
            _ => value.push(character),
        }
    }
    Err(unterminated())
}

/// PostgreSQL's comments nest.
fn after_comment(text: &str) -> Result<&str, VerbError> {
    let (mut depth, mut at) = (0_u32, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return Ok(&text[at..]);
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    Err(unterminated())
}

/// `$$` or `$tag$` at the beginning of `text`.
fn dollar_tag(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('$')?;
    let end = inner.find('$')?;
    let tag = &inner[..end];
    let named = tag.chars().all(continues_word) && !tag.starts_with(|c: char| c.is_ascii_digit());
    named.then(|| &text[..end + 2])
}

fn unterminated() -> VerbError {
    VerbError::Invalid("a quote or a comment in the SQL has no end".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_and_comments_hide_what_they_hold() {
        let sql = "/* ; /* ; */ */ a ';' \"b\"\"; \" -- ;\n E'\\';' $x$ ; $$ ; $x$ $1; second";
        let statements: Vec<Span<'_>> = split(sql).collect::<Result<_, _>>().expect("split");
        assert_eq!(statements.len(), 2);
        assert_eq!((statements[0].len(), statements[0].name(2)), (7, "b\"; "));
        assert_eq!(statements[1].with(0, "third"), "third");
    }

    #[test]
    fn space_words_and_comments_end_where_the_server_ends_them() {
        let count = |sql: &str| split(sql).collect::<Result<Vec<_>, _>>().expect("split").len();
        assert_eq!(count("SELECT 1 -- \r; COPY t TO PROGRAM 'sh'"), 2);
        assert_eq!(count("SELECT 1 AS \u{a0}$a$; COPY t TO PROGRAM 'sh'; SELECT 1 AS \u{a0}$a$"), 3);
        assert_eq!(count("SELECT 1 AS a\u{300}$a$; COPY t TO PROGRAM 'sh'; SELECT 1 AS a\u{300}$a$"), 3);
        assert_eq!(count("SELECT $\u{a0}$; COPY t TO PROGRAM 'sh'; $\u{a0}$"), 1);
    }

    #[test]
    fn unterminated_text_is_an_error() {
        for sql in ["select 'a", "select \"a", "select $a$ x", "/* /* */", "select 1a$x$; copy t; select 1a$x$"] {
            assert!(split(sql).any(|statement| statement.is_err()), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends(sql in "\\PC{0,80}") {
            for statement in split(&sql).flatten() {
                prop_assert!(sql.contains(statement.text()));
            }
        }
    }
}
