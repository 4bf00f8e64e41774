//! The second artifact: all that is made by statements of their own, as SQL for a person's client, with what a statement
//! needs around it in a comment before it.

use super::grants::Grant;
use super::shape::{Object, Shape};
use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    pub charset: String,
    pub collation: String,
    pub objects: Vec<Object>,
    pub grants: BTreeSet<Grant>,
}

impl From<Shape> for Definitions {
    fn from(shape: Shape) -> Self {
        let Shape { charset, collation, objects, grants, .. } = shape;
        Self { charset, collation, objects, grants }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Head {
    Database { charset: String, collation: String },
    Object { object: Object, bytes: usize },
    Grant(Grant),
}

const HEAD: &str = "-- upgraded ";
const OPEN: &str = "DELIMITER ;;\n";
const CLOSE: &str = ";;\nDELIMITER ;\n";

impl Definitions {
    pub fn to_sql(&self) -> Result<String, VerbError> {
        let mut text = String::new();
        let head = |head: &Head, text: &mut String| {
            let json = serde_json::to_string(head).map_err(|error| VerbError::Invalid(error.to_string()))?;
            text.push_str(&format!("{HEAD}{json}\n"));
            Ok::<_, VerbError>(())
        };
        let (charset, collation) = (self.charset.clone(), self.collation.clone());
        head(&Head::Database { charset, collation }, &mut text)?;
        for object in &self.objects {
            head(&Head::Object { object: object.clone(), bytes: object.statement.len() }, &mut text)?;
            text.extend(object.settings().map(|settings| format!("{settings};\n")));
            text.push_str(&format!("{OPEN}{}{CLOSE}", object.statement));
        }
        for grant in &self.grants {
            head(&Head::Grant(grant.clone()), &mut text)?;
        }
        Ok(text)
    }

    pub fn of_sql(text: &str) -> Result<Self, VerbError> {
        Self::parse(text).ok_or_else(|| VerbError::other("definitions", "the saved definitions can't be read"))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut read =
            Self { charset: String::new(), collation: String::new(), objects: Vec::new(), grants: BTreeSet::new() };
        let mut rest = text;
        while !rest.is_empty() {
            let (head, after) = rest.strip_prefix(HEAD)?.split_once('\n')?;
            rest = after;
            match serde_json::from_str(head).ok()? {
                Head::Database { charset, collation } => (read.charset, read.collation) = (charset, collation),
                Head::Grant(grant) => {
                    read.grants.insert(grant);
                }
                Head::Object { object, bytes } => {
                    let settings = object.settings().map(|settings| format!("{settings};\n")).unwrap_or_default();
                    let after = rest.strip_prefix(&*settings)?.strip_prefix(OPEN)?;
                    read.objects.push(Object { statement: after.get(..bytes)?.to_owned(), ..object });
                    rest = after.get(bytes..)?.strip_prefix(CLOSE)?;
                }
            }
        }
        (!read.charset.is_empty()).then_some(read)
    }

    /// The events that are to run, and whose they are.
    pub fn enabled(&self) -> impl Iterator<Item = (&str, &str)> {
        let enabled = self.objects.iter().filter(|object| object.enabled);
        enabled.map(|object| (object.name.as_str(), object.definer.as_deref().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::mysql::grants::On;
    use crate::driver::mysql::shape::Kind;

    #[test]
    fn what_is_written_is_read_again() {
        let object = Object {
            kind: Kind::Procedure,
            name: "a\nb".into(),
            definer: None,
            sql_mode: Some("ANSI_QUOTES".into()),
            collation: None,
            time_zone: None,
            enabled: false,
            statement: "CREATE PROCEDURE `a`() BEGIN SELECT ';;\nDELIMITER ;\n-- upgraded {'; END".into(),
        };
        let grant = Grant {
            account: "'app'@'%'".into(),
            on: On::Table("t".into()),
            privilege: "SELECT".into(),
            column: Some("é".into()),
            grantable: true,
        };
        let definitions = Definitions {
            charset: "utf8mb4".into(),
            collation: "utf8mb4_bin".into(),
            objects: vec![object.clone(), object],
            grants: [grant].into(),
        };
        let text = definitions.to_sql().expect("written");
        assert_eq!(Definitions::of_sql(&text), Ok(definitions));
        for cut in [1, text.len() / 2, text.len() - 1] {
            assert!(Definitions::of_sql(&text[..cut]).is_err(), "{cut}");
        }
    }
}
