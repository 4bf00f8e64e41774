//! A small part of GraphQL: one operation of fields with arguments and selections. No variables, fragments, aliases or
//! directives.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

#[derive(Debug, PartialEq)]
pub struct Operation {
    pub mutation: bool,
    pub fields: Vec<Field>,
}

#[derive(Debug, Default, PartialEq)]
pub struct Field {
    pub name: String,
    pub arguments: Map<String, Value>,
    /// Empty: a value.
    pub fields: Vec<Field>,
}

const DEPTH: u32 = 16;

pub fn parse(text: &str) -> Result<Operation> {
    let mut parser = Parser { rest: text };
    let mutation = match parser.word() {
        Some(word @ ("query" | "mutation")) => {
            parser.word(); // the operation's name
            word == "mutation"
        }
        Some(other) => bail!("`{other}` is no operation: `query` and `mutation` are"),
        None => false,
    };
    let fields = parser.fields(DEPTH)?;
    parser.skip();
    match parser.rest {
        "" => Ok(Operation { mutation, fields }),
        rest => bail!("one operation is expected, and `{}` follows", rest.chars().take(20).collect::<String>()),
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// White space, commas and comments.
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn sign(&mut self, sign: char) -> bool {
        self.skip();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.sign(sign) {
            return Ok(());
        }
        let there = self.rest.chars().next().map_or("the end".to_owned(), |there| format!("`{there}`"));
        bail!("`{sign}` is expected, and there is {there}")
    }

    fn word(&mut self) -> Option<&'a str> {
        self.skip();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c: char| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.starts_with(|c: char| c.is_ascii_digit()) || word.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    fn fields(&mut self, depth: u32) -> Result<Vec<Field>> {
        let depth = depth.checked_sub(1).context("the selections are too deep")?;
        self.expect('{')?;
        let mut fields = Vec::new();
        while !self.sign('}') {
            let name = self.word().context("a field's name is expected")?.to_owned();
            let arguments = if self.sign('(') { self.pairs(')', depth)? } else { Map::new() };
            self.skip();
            let selected = if self.rest.starts_with('{') { self.fields(depth)? } else { Vec::new() };
            fields.push(Field { name, arguments, fields: selected });
        }
        if fields.is_empty() { bail!("a selection is empty") } else { Ok(fields) }
    }

    fn pairs(&mut self, end: char, depth: u32) -> Result<Map<String, Value>> {
        let depth = depth.checked_sub(1).context("the arguments are too deep")?;
        let mut pairs = Map::new();
        while !self.sign(end) {
            let key = self.word().context("an argument's name is expected")?.to_owned();
            self.expect(':')?;
            pairs.insert(key, self.value(depth)?);
        }
        Ok(pairs)
    }

    /// A string, a number, a boolean, null or an object.
    fn value(&mut self, depth: u32) -> Result<Value> {
        if self.sign('{') {
            return self.pairs('}', depth).map(Value::Object);
        }
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let value = values.next().context("a value is expected")?.context("an argument's value can't be read")?;
        if value.is_array() {
            bail!("a list is no value of an argument here");
        }
        self.rest = &self.rest[values.byte_offset()..];
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_with_arguments_and_selections() {
        let query = parse(
            "query All { # tags\n BuiltinTag(limit: 2, name: \"a }\") { count, edges { node { name } } } Info{version} }",
        );
        let query = query.unwrap();
        assert!(!query.mutation && query.fields[1].fields[0].name == "version");
        let tags = &query.fields[0];
        assert_eq!(Value::Object(tags.arguments.clone()), json!({ "limit": 2, "name": "a }" }));
        assert_eq!(tags.fields[1].fields[0].fields[0].name, "name");
        let mutation = parse("mutation { BuiltinTagCreate(data:{name:\"x\\\"y\"}) { ok } }").unwrap();
        assert!(mutation.mutation);
        assert_eq!(mutation.fields[0].arguments["data"], json!({ "name": "x\"y" }));
    }

    #[test]
    fn what_is_no_operation_is_said() {
        for (text, why) in [
            ("", "`{` is expected, and there is the end"),
            ("subscription { a }", "`subscription` is no operation"),
            ("{ a { } }", "a selection is empty"),
            ("{ a(b 1) }", "`:` is expected, and there is `1`"),
            ("{ a(b: [1]) }", "a list is no value"),
            ("{ a } { b }", "one operation is expected, and `{ b }` follows"),
            (&"{a".repeat(40), "too deep"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
