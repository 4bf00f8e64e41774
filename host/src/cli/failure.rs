//! Why a command did not do what was asked, and how that is told. Hints are added here, where a person reads them.

use super::exit::Exit;
use super::terminal::Terminal;
use crate::api::{ApiError, ClientError, Diagnostics, ErrorCode};
use serde_json::json;
use std::io;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Of the command line itself: a file that is there already, a daemon that is not needed.
    #[error("{message}")]
    Own { exit: Exit, message: String, hint: Option<String>, diagnostics: Option<Diagnostics> },
    #[error("the output can't be written")]
    Output(#[from] io::Error),
    #[error("{0}")]
    Other(anyhow::Error),
}

impl Failure {
    pub fn own(exit: Exit, message: impl Into<String>) -> Self {
        Self::Own { exit, message: message.into(), hint: None, diagnostics: None }
    }

    /// In a file that this command read itself.
    pub fn mistakes(file: &Path, diagnostics: Diagnostics) -> Self {
        let message = format!("`{}` has mistakes", file.display());
        Self::Own { exit: Exit::Refused, message, hint: None, diagnostics: Some(diagnostics) }
    }

    pub fn hint(mut self, text: impl Into<String>) -> Self {
        match &mut self {
            Self::Own { hint, .. } => *hint = Some(text.into()),
            Self::Client(ClientError::Api(error)) => error.hint = Some(text.into()),
            Self::Client(_) | Self::Output(_) | Self::Other(_) => {}
        }
        self
    }

    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Client(ClientError::Api(error)) => Some(error),
            _ => None,
        }
    }

    fn diagnostics(&self) -> Option<&Diagnostics> {
        match self {
            Self::Own { diagnostics, .. } => diagnostics.as_ref(),
            _ => self.api()?.diagnostics.as_ref(),
        }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(ClientError::Api(error)) => Exit::of_error(error.code),
            Self::Client(ClientError::Unreachable { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Exit::NotAllowed
            }
            Self::Client(ClientError::Unreachable { .. }) => Exit::Unreachable,
            Self::Client(ClientError::Broken(_) | ClientError::Nonsense { .. }) => Exit::Failed,
            Self::Own { exit, .. } => *exit,
            // Whoever read us has seen enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) | Self::Other(_) => Exit::Failed,
        }
    }

    /// Tells it, on the error stream; as JSON on the output.
    pub fn report(&self, terminal: &mut Terminal, as_json: bool) -> Exit {
        let exit = self.exit();
        if matches!(self, Self::Output(_)) && exit == Exit::Done {
            return exit;
        }
        let told = if as_json {
            terminal.json(&json!({ "error": self.as_error() }))
        } else {
            let text = self.as_text(terminal);
            terminal.err.write_all(text.as_bytes())
        };
        // Nobody is left to tell when this fails.
        let _ = told;
        exit
    }

    fn as_error(&self) -> serde_json::Value {
        let code = match (self.api(), self.exit()) {
            (Some(error), _) => return json!(error),
            (None, Exit::Unreachable) => "unreachable",
            (None, Exit::NotAllowed) => "not-allowed",
            (None, Exit::NotFound) => "not-found",
            (None, Exit::Refused) => "refused",
            (None, Exit::Waiting) => "needs-confirmation",
            (None, Exit::Usage) => "invalid-request",
            (None, _) => "failed",
        };
        let mut value = json!({ "code": code, "message": self.message(), "hint": self.advice() });
        if let Some(diagnostics) = self.diagnostics() {
            value["diagnostics"] = json!(diagnostics);
        }
        value
    }

    pub fn as_text(&self, terminal: &Terminal) -> String {
        let paint = terminal.paint();
        let told = |what: String, text: &str| super::render::wrap(text, &what, "       ", terminal.width);
        let mut text = told(format!("{} ", paint.red("error:")), &self.message());
        if let Some(diagnostics) = self.diagnostics() {
            text += &super::render::diagnostics(diagnostics, paint);
        }
        if let Some(advice) = self.advice() {
            text += &told(format!(" {} ", paint.cyan("hint:")), &advice);
        }
        text
    }

    /// With its causes, outermost first.
    fn message(&self) -> String {
        match self {
            Self::Client(ClientError::Unreachable { socket, source })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                format!("this account may not use the socket `{}`", socket.display())
            }
            Self::Other(error) => format!("{error:#}"),
            Self::Client(_) | Self::Own { .. } | Self::Output(_) => {
                let mut text = self.to_string();
                let mut cause = std::error::Error::source(self);
                // The client's own text is already ours.
                if let Self::Client(error) = self {
                    cause = std::error::Error::source(error);
                }
                while let Some(error) = cause {
                    text += &format!(": {error}");
                    cause = error.source();
                }
                text
            }
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Client(ClientError::Api(error)) => error.hint.clone().or_else(|| general_advice(error.code)),
            Self::Client(ClientError::Unreachable { socket, source }) => Some(unreachable_advice(socket, source)),
            Self::Client(ClientError::Broken(_)) => {
                Some("was the daemon stopped meanwhile? `systemctl status upgraded` tells".into())
            }
            Self::Client(ClientError::Nonsense { .. }) => {
                Some("`upgradectl --version` and `upgraded --version`".into())
            }
            Self::Own { hint, .. } => hint.clone(),
            Self::Output(_) | Self::Other(_) => None,
        }
    }
}

fn general_advice(code: ErrorCode) -> Option<String> {
    match code {
        ErrorCode::NotFound => Some("`upgradectl status` and `upgradectl history` list what there is".into()),
        ErrorCode::Internal => Some("the daemon's own log says more: `journalctl -u upgraded`".into()),
        _ => None,
    }
}

fn unreachable_advice(socket: &Path, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            let group = owning_group(socket).map_or_else(|| "its group".into(), |gid| format!("the group {gid}"));
            format!("root and members of {group} may: use `sudo`, or become a member")
        }
        _ => "is `upgraded` running? `systemctl start upgraded` starts it; `--socket PATH` names another socket".into(),
    }
}

fn owning_group(socket: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let there = std::fs::metadata(socket).ok().or_else(|| std::fs::metadata(socket.parent()?).ok());
    there.map(|metadata| metadata.gid())
}
