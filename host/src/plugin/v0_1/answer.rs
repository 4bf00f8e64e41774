//! Whether an answer makes sense. A plugin is somebody else's program: nothing of what it says is used before it passed
//! here. Pure.

use crate::capability::Limits;
use crate::model::{
    Act, BackupRef, Binding, Change, Component, Edit, Failure, Finding, Hop, Installed, Once, Release, Role,
    ServiceRef, Undo, VerbError, Watch,
};
use std::collections::BTreeSet;

/// What is wrong with it.
pub type Sense = Result<(), String>;

pub struct Checks<'a> {
    pub limits: &'a Limits,
    pub deployment: &'a str,
    pub bindings: &'a [Binding],
}

/// Names: of versions, services, files, findings.
const NAME_BYTES: usize = 1024;
/// Of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;
/// Of an error's message: it goes to a person.
const MESSAGE_BYTES: usize = 16 << 10;
/// Of a finding's, which may hold the difference of a file.
const FINDING_BYTES: usize = 64 << 10;
const MOST_FINDINGS: usize = 1000;
/// A path of more hops is no upgrade that anybody waits for.
const MOST_HOPS: usize = 200;

impl Checks<'_> {
    pub fn installed(&self, installed: &Installed) -> Sense {
        self.name("the version", &installed.version)?;
        self.components(&installed.components)
    }

    pub fn components(&self, components: &[Component]) -> Sense {
        self.count("components", components.len())?;
        components.iter().try_for_each(|component| {
            self.name("a component's name", &component.name)?;
            self.text("a component's version", &component.version)?;
            self.optional("a component's digest", component.digest.as_deref())
        })
    }

    pub fn releases(&self, releases: &[Release]) -> Sense {
        self.count("releases", releases.len())?;
        releases.iter().try_for_each(|release| {
            self.name("a release's version", &release.version)?;
            self.optional("a release's date", release.published.as_deref())?;
            self.optional("a release's address", release.url.as_deref())?;
            self.texts("notes", &release.notes)
        })
    }

    /// From what is installed to what is wanted, hop by hop, never twice to the same version.
    pub fn path(&self, hops: &[Hop], installed: &str, wanted: &str) -> Sense {
        if hops.len() > MOST_HOPS {
            return Err(format!("{} hops", hops.len()));
        }
        let mut at = installed;
        let mut seen = BTreeSet::from([installed]);
        for hop in hops {
            self.name("a hop's source", &hop.source)?;
            self.name("a hop's target", &hop.target)?;
            if hop.source != at {
                return Err(format!("a hop starts at `{}` where the path is at `{at}`", hop.source));
            }
            if !seen.insert(&hop.target) {
                return Err(format!("the path comes to `{}` twice", hop.target));
            }
            self.hop(hop).map_err(|why| format!("in the hop to `{}`, {why}", hop.target))?;
            at = &hop.target;
        }
        if at == wanted { Ok(()) } else { Err(format!("the path ends at `{at}`, and `{wanted}` is wanted")) }
    }

    pub fn findings(&self, findings: &[Finding]) -> Sense {
        if findings.len() > MOST_FINDINGS {
            return Err(format!("{} findings", findings.len()));
        }
        findings.iter().try_for_each(|finding| {
            self.name("a finding's id", &finding.id)?;
            if finding.id.contains(char::is_whitespace) {
                return Err(format!("the finding's id `{}` is no kebab-case", finding.id));
            }
            let bytes = finding.message.len().max(finding.hint.as_ref().map_or(0, String::len));
            if bytes > FINDING_BYTES {
                return Err(format!("the finding `{}` with {bytes} bytes", finding.id));
            }
            self.some_text("finding's message", &finding.message)?;
            self.optional("a finding's hint", finding.hint.as_deref())
        })
    }

    pub fn edits(&self, edits: &[Edit]) -> Sense {
        self.count("edits", edits.len())?;
        edits.iter().try_for_each(|edit| {
            self.name("an edit's path", &edit.path)?;
            let leads_out = |part: &str| part.is_empty() || part == "." || part == "..";
            if edit.path.split('/').any(leads_out) {
                return Err(format!("the edit's path `{}` leads out of the project's folder", edit.path));
            }
            self.text("an edit's reason", &edit.why)?;
            match &edit.change {
                Change::Content(bytes) | Change::Program(bytes) if bytes.len() > self.limits.content_bytes => {
                    Err(format!("the new `{}` has {} bytes", edit.path, bytes.len()))
                }
                Change::Content(_) | Change::Program(_) | Change::Remove => Ok(()),
                Change::Set(values) => {
                    self.count("values", values.len())?;
                    values.iter().try_for_each(|(key, value)| {
                        self.name("a key", key)?;
                        self.text("a value", value)
                    })
                }
            }
        })
    }

    /// Artifacts are called `<deployment>/<step>/<binding>/<name>`.
    pub fn backup(&self, backup: &BackupRef, binding: &Binding) -> Sense {
        self.count("artifacts", backup.artifacts.len())?;
        for artifact in &backup.artifacts {
            self.name("an artifact's key", artifact)?;
            let parts: Vec<&str> = artifact.splitn(4, '/').collect();
            if parts.len() < 4 || parts[0] != self.deployment || parts[2] != binding.name {
                return Err(format!("the artifact `{artifact}` is none of `{}`", binding.name));
            }
        }
        self.manifest(&backup.manifest)
    }

    pub fn manifest(&self, manifest: &str) -> Sense {
        if manifest.len() > self.limits.manifest_bytes {
            return Err(format!("a manifest of {} bytes", manifest.len()));
        }
        Ok(())
    }

    /// Evidence that says nothing would never move.
    pub fn some_text(&self, what: &str, text: &str) -> Sense {
        if text.trim().is_empty() {
            return Err(format!("the {what} is empty"));
        }
        self.text(what, text)
    }

    pub fn count(&self, what: &str, count: usize) -> Sense {
        if count > self.limits.list_items { Err(format!("{count} {what}")) } else { Ok(()) }
    }

    fn hop(&self, hop: &Hop) -> Sense {
        self.count("acts", hop.acts.len())?;
        self.count("undos", hop.undo.len())?;
        self.count("requirements", hop.requires.len())?;
        hop.acts.iter().try_for_each(|act| self.act(act))?;
        for undo in &hop.undo {
            match undo {
                Undo::Rebuild(once) => self.once(once)?,
                Undo::CodeOnly | Undo::RestoreData => {}
            }
        }
        self.services(&hop.quiesce)?;
        self.services(&hop.gate)?;
        for requirement in &hop.requires {
            self.name("a requirement's component", &requirement.component)?;
            self.text("a requirement's range", &requirement.range)?;
        }
        if hop.expected_seconds.is_some_and(|(least, most)| least > most) {
            return Err("it is expected to take less than it takes at least".into());
        }
        self.texts("notes", &hop.notes)
    }

    fn act(&self, act: &Act) -> Sense {
        match act {
            Act::Command(once) => self.once(once),
            Act::Wave(wave) => {
                self.services(&wave.services)?;
                self.count("services to follow", wave.follow.len())?;
                let Some(first) = wave.services.first() else { return Err("a wave has no service".into()) };
                if let Some(other) = wave.services.iter().find(|service| service.platform != first.platform) {
                    return Err(format!("one wave goes to two platforms, with `{first}` and `{other}`"));
                }
                wave.follow.iter().try_for_each(|watch| self.watch(watch))
            }
        }
    }

    fn once(&self, once: &Once) -> Sense {
        self.service(&once.service)?;
        match once.argv.first() {
            None => return Err("a command has no name".into()),
            Some(name) => self.name("a command's name", name)?,
        }
        self.texts("arguments", &once.argv)?;
        once.success.iter().try_for_each(|pattern| self.pattern(pattern))
    }

    fn watch(&self, watch: &Watch) -> Sense {
        self.service(&watch.service)?;
        self.pattern(&watch.success)?;
        self.pattern(&watch.failure)?;
        watch.progress.iter().try_for_each(|pattern| self.pattern(pattern))
    }

    fn pattern(&self, pattern: &str) -> Sense {
        self.name("a pattern", pattern)?;
        match regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build() {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("`{pattern}` is no pattern: {error}")),
        }
    }

    fn services(&self, services: &[ServiceRef]) -> Sense {
        self.count("services", services.len())?;
        services.iter().try_for_each(|service| self.service(service))
    }

    fn service(&self, service: &ServiceRef) -> Sense {
        self.name("a service's name", &service.name)?;
        let is_it = |binding: &&Binding| binding.role == Role::Platform && binding.name == service.platform;
        match self.bindings.iter().find(is_it) {
            Some(_) => Ok(()),
            None => Err(format!("`{service}` names a platform that this deployment doesn't have")),
        }
    }

    fn texts(&self, what: &str, texts: &[String]) -> Sense {
        self.count(what, texts.len())?;
        texts.iter().try_for_each(|text| self.text(what, text))
    }

    fn optional(&self, what: &str, text: Option<&str>) -> Sense {
        text.map_or(Ok(()), |text| self.text(what, text))
    }

    fn text(&self, what: &str, text: &str) -> Sense {
        if text.len() > self.limits.text_bytes {
            return Err(format!("{what} with {} bytes", text.len()));
        }
        Ok(())
    }

    fn name(&self, what: &str, name: &str) -> Sense {
        if name.trim().is_empty() {
            return Err(format!("{what} is empty"));
        }
        if name.len() > NAME_BYTES {
            return Err(format!("{what} has {} bytes", name.len()));
        }
        if name.contains(|c: char| c.is_control()) {
            return Err(format!("{what} has control characters"));
        }
        Ok(())
    }
}

/// A plugin's own error goes to the journal and to a person: cut where it is too long for either.
pub fn bounded(error: VerbError, limits: &Limits) -> VerbError {
    let cut = |text: String| {
        let most = MESSAGE_BYTES.min(limits.text_bytes);
        match text.floor_char_boundary(most) {
            end if end < text.len() => format!("{} …", &text[..end]),
            _ => text,
        }
    };
    match error {
        VerbError::Denied(why) => VerbError::Denied(cut(why)),
        VerbError::NotFound(what) => VerbError::NotFound(cut(what)),
        VerbError::Conflict(what) => VerbError::Conflict(cut(what)),
        VerbError::Unavailable(what) => VerbError::Unavailable(cut(what)),
        VerbError::Invalid(what) => VerbError::Invalid(cut(what)),
        VerbError::Other(Failure { code, message, retryable }) => {
            let code = code.chars().take(64).collect();
            VerbError::Other(Failure { code, message: cut(message), retryable })
        }
        VerbError::Timeout | VerbError::Cancelled => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_what_somebody_can_read() {
        let limits = Limits::default();
        let checks = Checks { limits: &limits, deployment: "shop", bindings: &[] };
        let finding = |bytes: usize| Finding::blocker("product", "full", "x".repeat(bytes));
        assert_eq!(checks.findings(&vec![finding(1); MOST_FINDINGS]), Ok(()));
        assert_eq!(checks.findings(&vec![finding(1); MOST_FINDINGS + 1]), Err("1001 findings".into()));
        assert_eq!(checks.findings(&[finding(FINDING_BYTES)]), Ok(()));
        let hinted = finding(1).hint("x".repeat(FINDING_BYTES + 1));
        assert_eq!(checks.findings(&[hinted]), Err("the finding `full` with 65537 bytes".into()));
    }
}
