//! What went wrong, in the kinds that the contract has.

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    /// Worth trying again later.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Invalid(String),
    #[error("{message}")]
    Other { code: &'static str, message: String },
}

impl Error {
    pub fn other(code: &'static str, message: impl Into<String>) -> Self {
        Self::Other { code, message: message.into() }
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 => Self::Denied(format!(
                    "the cluster does not know who asks ({}): an expired certificate or token? `kubectl auth whoami` shows",
                    status.message
                )),
                403 => Self::Denied(format!("the cluster refuses: {}", status.message)),
                404 => Self::NotFound(status.message),
                409 => Self::Conflict(status.message),
                422 => Self::Invalid(status.message),
                429 | 500..=599 => Self::Unavailable(format!("the cluster says {}: {}", status.code, status.message)),
                _ => Self::other("kubernetes", status.message),
            },
            other => Self::Unavailable(format!("the cluster does not answer: {}", told(&other))),
        }
    }
}

/// With its causes.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}
