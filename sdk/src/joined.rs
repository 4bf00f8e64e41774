//! One datastore of several parts: the manifests, marks and artifacts of its paths as one.

use crate::{Error, Finding, Result};

/// One manifest of the manifests of several paths: sorted lines, each with its path and `:` in front.
pub fn manifest<'a>(parts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut lines: Vec<String> = parts
        .into_iter()
        .flat_map(|(path, manifest)| {
            manifest.lines().filter(|line| !line.is_empty()).map(|line| format!("{path}:{line}")).collect::<Vec<_>>()
        })
        .collect();
    lines.sort_unstable();
    lines.into_iter().map(|line| line + "\n").collect()
}

/// What each path has to say, up to the first error.
pub fn each<T>(paths: &[String], mut ask: impl FnMut(&str) -> Result<T>) -> Result<Vec<(&str, T)>> {
    paths.iter().map(|path| Ok((path.as_str(), ask(path)?))).collect()
}

/// What was saved of each path: of a copy that is let go, the rest is saved where a part of it is gone.
pub fn of_backup<'p, T>(
    paths: &'p [String], frozen: Option<&str>, save: impl FnMut(&str) -> Result<T>,
) -> Result<Vec<(&'p str, T)>> {
    match frozen {
        Some(_) => every(paths, save),
        None => each(paths, save),
    }
}

/// What every path has to say. One that is missing or damaged keeps the others from nothing: its error is told once all were
/// asked, and that something is not there only where nothing worse was said.
pub fn every<T>(paths: &[String], mut ask: impl FnMut(&str) -> Result<T>) -> Result<Vec<(&str, T)>> {
    let (mut answers, mut missing, mut wrong) = (Vec::new(), None, None);
    for path in paths {
        match ask(path) {
            Ok(answer) => answers.push((path.as_str(), answer)),
            Err(error @ Error::NotFound(_)) => missing = missing.or(Some(error)),
            Err(error @ (Error::Invalid(_) | Error::Other(_))) => wrong = wrong.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    wrong.or(missing).map_or(Ok(answers), Err)
}

/// One mark of the marks of several paths.
pub fn mark(parts: &[(&str, String)]) -> String {
    parts.iter().map(|(path, mark)| format!("{path}\t{mark}")).collect::<Vec<_>>().join("\n")
}

/// Each path with its artifact of a backup, which has one for each path, in their order.
pub fn pairs<'a>(paths: &'a [String], artifacts: &'a [String]) -> Result<Vec<(&'a str, &'a str)>> {
    if paths.len() != artifacts.len() {
        return Err(Error::conflict(format!(
            "the backup is of {} paths and the deployment's file names {}; name the paths of the backup again to restore it",
            artifacts.len(),
            paths.len()
        )));
    }
    Ok(paths.iter().map(String::as_str).zip(artifacts.iter().map(String::as_str)).collect())
}

/// The finding for a path that can't be looked at; what says nothing about the path stays an error.
pub fn unreadable(path: &str, error: Error) -> Result<Finding> {
    Ok(match error {
        Error::NotFound(_) => Finding::blocker("path-missing", format!("`{path}` is not there"))
            .hint(format!("create `{path}`, or take it out of `paths`")),
        Error::Denied(why) => Finding::blocker("path-denied", format!("`{path}` can't be read: {why}"))
            .hint("let the daemon's account read and write it, and the folder that it lies in"),
        Error::Conflict(why) | Error::Unavailable(why) => {
            Finding::blocker("path-locked", format!("`{path}` is held by somebody else: {why}"))
                .hint("find who holds it (`fuser`, `lsof`) and close it")
        }
        Error::Invalid(why) => Finding::blocker("path-invalid", format!("`{path}` is not what it should be: {why}")),
        Error::Other(failure) => {
            Finding::blocker("path-unreadable", format!("`{path}` can't be read: {}", failure.message))
        }
        Error::Timeout | Error::Cancelled => return Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_manifest_is_sorted_and_says_whose_each_line_is() {
        let joined = manifest([("b", "z\t1\tff\na\t2\tee\n".to_owned()), ("a", "q\t3\tdd".to_owned())]);
        assert_eq!(joined, "a:q\t3\tdd\nb:a\t2\tee\nb:z\t1\tff\n");
    }

    #[test]
    fn every_path_is_asked_and_the_worst_is_told() {
        let paths: Vec<String> = ["a", "b", "c"].map(Into::into).to_vec();
        let asked = |answers: [Option<Error>; 3]| {
            let (mut answers, mut asked) = (answers.into_iter(), 0);
            let all = every(&paths, |_| {
                asked += 1;
                answers.next().flatten().map_or(Ok(()), Err)
            });
            (asked, all)
        };
        let (missing, damaged) = (|| Some(Error::not_found("a")), || Some(Error::other("damaged", "b")));
        assert!(matches!(asked([None, None, None]), (3, Ok(all)) if all.len() == 3));
        assert!(matches!(asked([missing(), None, None]), (3, Err(Error::NotFound(_)))));
        assert!(matches!(asked([missing(), damaged(), None]), (3, Err(Error::Other(_)))));
        assert!(matches!(asked([missing(), Some(Error::Cancelled), None]), (2, Err(Error::Cancelled))));
    }

    #[test]
    fn a_backup_of_other_paths_is_refused() {
        let error = pairs(&["a".into(), "b".into()], &["artifact-1".into()]).unwrap_err();
        assert!(error.text().contains("1 paths"), "{}", error.text());
    }
}
