//! What Google refused, in the words of an upgrade.

use google_cloud_gax::error::Error as Refusal;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotFound(String),
    /// A right is missing, or the login is refused.
    #[error("{0}")]
    Denied(String),
    /// Somebody else changed it meanwhile, or is at work on it.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    /// Whether anything happened isn't known; asking again may help.
    #[error("{0}")]
    Unavailable(String),
    /// It was begun and did not come to a good end.
    #[error("{0}")]
    Failed(String),
}

impl Error {
    /// By the status of HTTP, which Cloud SQL's refusals have as well; they have no other.
    pub(crate) fn of(what: &str, refusal: &Refusal) -> Self {
        let said = refusal.status().map(|status| status.message.clone()).filter(|message| !message.is_empty());
        let message = format!("{what}: {}", said.unwrap_or_else(|| chain(refusal)));
        match refusal.http_status_code() {
            Some(400) => Self::Invalid(message),
            Some(401 | 403) => Self::Denied(message),
            Some(404) => Self::NotFound(message),
            Some(409 | 412) => Self::Conflict(message),
            _ if refusal.is_authentication() => Self::Denied(format!("{message}; the login itself did not work")),
            _ => Self::Unavailable(message),
        }
    }

    /// The same with a few words after it.
    #[must_use]
    pub fn with(self, more: &str) -> Self {
        let put = |text: String| format!("{text}; {more}");
        match self {
            Self::NotFound(text) => Self::NotFound(put(text)),
            Self::Denied(text) => Self::Denied(put(text)),
            Self::Conflict(text) => Self::Conflict(put(text)),
            Self::Invalid(text) => Self::Invalid(put(text)),
            Self::Unavailable(text) => Self::Unavailable(put(text)),
            Self::Failed(text) => Self::Failed(put(text)),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
