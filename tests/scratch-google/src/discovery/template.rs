//! Paths with variables, as `flatPath` writes them: `v2/projects/{projectsId}/jobs/{jobsId}:run`.

use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

pub(super) struct Template {
    parts: Vec<Part>,
    /// After the last part's colon.
    verb: Option<String>,
}

enum Part {
    Literal(String),
    Variable(String),
}

impl Template {
    pub(super) fn read(text: &str) -> Self {
        let (text, verb) = match text.rsplit_once(':') {
            Some((path, verb)) => (path, Some(verb.to_owned())),
            None => (text, None),
        };
        let part = |part: &str| match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => Part::Variable(name.to_owned()),
            None => Part::Literal(part.to_owned()),
        };
        Self { parts: text.split('/').map(part).collect(), verb }
    }

    /// What stands where the variables are; nothing if the path is another's.
    pub(super) fn variables(&self, path: &str) -> Option<BTreeMap<String, String>> {
        let path = path.strip_prefix('/')?;
        let (path, verb) = match path.rsplit_once(':') {
            Some((path, verb)) if !verb.contains('/') => (path, Some(verb)),
            _ => (path, None),
        };
        if verb != self.verb.as_deref() {
            return None;
        }
        let mut given = path.split('/');
        let mut variables = BTreeMap::new();
        for part in &self.parts {
            let text = percent_decode_str(given.next()?).decode_utf8().ok()?;
            match part {
                Part::Literal(literal) if *literal == text => {}
                Part::Variable(name) if !text.is_empty() => drop(variables.insert(name.clone(), text.into_owned())),
                Part::Literal(_) | Part::Variable(_) => return None,
            }
        }
        given.next().is_none().then_some(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_verbs() {
        let run = Template::read("v2/projects/{projectsId}/jobs/{jobsId}:run");
        let variables = run.variables("/v2/projects/acme/jobs/a%20b:run").unwrap();
        assert_eq!(
            variables.into_iter().collect::<Vec<_>>(),
            [("jobsId".to_owned(), "a b".to_owned()), ("projectsId".to_owned(), "acme".to_owned())]
        );
        for other in ["/v2/projects/acme/jobs/a", "/v2/projects/acme/jobs/a:wait", "/v2/projects/acme/jobs/a/b:run"] {
            assert!(run.variables(other).is_none(), "{other}");
        }
        assert!(Template::read("v2/{a}").variables("/v2/").is_none());
    }
}
