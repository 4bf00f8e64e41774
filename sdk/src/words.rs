//! The contract's words, made short to write.

use crate::{
    Act, Change, Command, Component, Edit, Error, Failure, Finding, Hop, IDLE_MS, Installed, Once, Registered, Release,
    Request, Response, Secret, SecretHeader, ServiceRef, Severity, Undo, Watch, Wave,
};

impl Finding {
    /// `id` is stable, kebab-case and unique within the plugin.
    pub fn new(id: impl Into<String>, severity: Severity, message: impl Into<String>) -> Self {
        Self { id: id.into(), severity, message: message.into(), hint: None }
    }
    /// Stops the run in preflight, turns it round in verify.
    pub fn blocker(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Blocker, message)
    }
    pub fn warning(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Warning, message)
    }
    pub fn info(id: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(id, Severity::Info, message)
    }
    /// What would be right, and how to get there.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Registered {
    /// The platforms that the image is for, where `machine`, for example `linux/amd64`, is none of them.
    pub fn for_others_than(&self, machine: &str) -> Option<String> {
        let fits = |platform: &str| platform == machine || platform.starts_with(&format!("{machine}/"));
        // In place of an architecture, for example of what says how an image was built.
        let is_known = |platform: &&str| !platform.contains("unknown");
        let known: Vec<&str> = self.platforms.iter().map(String::as_str).filter(is_known).collect();
        (!known.is_empty() && !known.iter().any(|platform| fits(platform))).then(|| known.join(", "))
    }
}

impl Error {
    /// The caller's mistake, or a refusal that names the rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::NotFound(message.into())
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::Conflict(message.into())
    }
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(message.into())
    }
    /// `code` is kebab-case.
    pub fn other(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Other(Failure { code: code.into(), message: message.into(), retryable: false })
    }
    /// What a person reads.
    pub fn text(&self) -> &str {
        match self {
            Self::Denied(text)
            | Self::NotFound(text)
            | Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::Invalid(text) => text,
            Self::Timeout => "nothing was heard for the whole idle deadline",
            Self::Cancelled => "the run was cancelled",
            Self::Other(failure) => &failure.message,
        }
    }
    /// The same error with what was being done in front: `about: text`.
    pub fn about(self, about: impl std::fmt::Display) -> Self {
        let put = |text: String| format!("{about}: {text}");
        match self {
            Self::Denied(text) => Self::Denied(put(text)),
            Self::NotFound(text) => Self::NotFound(put(text)),
            Self::Conflict(text) => Self::Conflict(put(text)),
            Self::Unavailable(text) => Self::Unavailable(put(text)),
            Self::Invalid(text) => Self::Invalid(put(text)),
            Self::Timeout => Self::Timeout,
            Self::Cancelled => Self::Cancelled,
            Self::Other(failure) => Self::Other(Failure { message: put(failure.message), ..failure }),
        }
    }
}

impl Hop {
    /// Without acts and undo: nothing happens but the platform's own change of code, and only a restore leads back.
    pub fn new(source: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
            breaking: false,
            acts: Vec::new(),
            undo: Vec::new(),
            expand_only: false,
            rest: false,
            quiesce: Vec::new(),
            gate: Vec::new(),
            requires: Vec::new(),
            expected_seconds: None,
            notes: Vec::new(),
        }
    }
    pub fn breaking(mut self) -> Self {
        self.breaking = true;
        self
    }
    pub fn act(mut self, act: impl Into<Act>) -> Self {
        self.acts.push(act.into());
        self
    }
    /// Narrowest first.
    pub fn undo(mut self, undo: Undo) -> Self {
        self.undo.push(undo);
        self
    }
    /// Who writes.
    pub fn quiesce(mut self, services: impl IntoIterator<Item = ServiceRef>) -> Self {
        self.quiesce.extend(services);
        self
    }
    /// Who lets users in.
    pub fn gate(mut self, services: impl IntoIterator<Item = ServiceRef>) -> Self {
        self.gate.extend(services);
        self
    }
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
    /// Every service that the hop names, once, in the order of its acts.
    pub fn services(&self) -> Vec<&ServiceRef> {
        let mut all: Vec<&ServiceRef> = Vec::new();
        let waves = self.acts.iter().filter_map(|act| match act {
            Act::Wave(wave) => Some(&wave.services),
            Act::Command(_) => None,
        });
        for service in waves.flatten().chain(&self.quiesce).chain(&self.gate) {
            if !all.iter().any(|known| known.platform == service.platform && known.name == service.name) {
                all.push(service);
            }
        }
        all
    }
}

impl ServiceRef {
    pub fn new(platform: impl Into<String>, name: impl Into<String>) -> Self {
        Self { platform: platform.into(), name: name.into() }
    }
}

impl std::fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.platform, self.name)
    }
}

impl Once {
    /// A command of the platform, not repeatable.
    pub fn new(service: ServiceRef, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let argv = argv.into_iter().map(Into::into).collect();
        Self { service, argv, success: None, repeatable: false, idle_ms: IDLE_MS }
    }
    /// It converges: running it twice is running it once.
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
    /// A regular expression that its output must fit.
    pub fn success(mut self, pattern: impl Into<String>) -> Self {
        self.success = Some(pattern.into());
        self
    }
}

impl Wave {
    pub fn new(services: impl IntoIterator<Item = ServiceRef>) -> Self {
        Self { services: services.into_iter().collect(), rolling: false, follow: Vec::new() }
    }
    pub fn follow(mut self, watch: Watch) -> Self {
        self.follow.push(watch);
        self
    }
}

impl From<Once> for Act {
    fn from(once: Once) -> Self {
        Self::Command(once)
    }
}

impl From<Wave> for Act {
    fn from(wave: Wave) -> Self {
        Self::Wave(wave)
    }
}

impl Installed {
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), components: Vec::new() }
    }
}

impl Component {
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), digest: None }
    }
}

impl Release {
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), published: None, breaking: false, notes: Vec::new(), url: None }
    }
}

impl Edit {
    /// Keys of a `.env` file, or dotted paths of a TOML file; comments and order stay.
    pub fn set(
        path: impl Into<String>, key: impl Into<String>, value: impl Into<String>, why: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), change: Change::Set(vec![(key.into(), value.into())]), why: why.into() }
    }
}

impl Command {
    /// A command that the operator named, not repeatable.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, args: Vec::new(), repeatable: false, success: None, progress: None, idle_ms: IDLE_MS }
    }
}

impl Request {
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: 0,
        }
    }
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
    /// The host adds `name: <prefix><the secret>`.
    pub fn secret_header(mut self, name: impl Into<String>, prefix: impl Into<String>, secret: &Secret) -> Self {
        let secret = secret.name.clone();
        self.secret_headers.push(SecretHeader { name: name.into(), prefix: prefix.into(), secret });
        self
    }
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
    /// By its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
