//! Why a notification was not delivered.

use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

pub(super) const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// Why a notification was not delivered.
#[derive(Debug, Error)]
pub enum SendError {
    /// The receiver answered with another status than success.
    #[error("HTTP status {status}")]
    Status {
        /// Code and text.
        status: ureq::http::StatusCode,
        /// When the receiver wants the next attempt.
        retry_after: Option<Duration>,
    },
    /// The receiver was not reached, or did not answer in time.
    #[error("{0}")]
    Http(String),
    /// The mail was not handed to the server.
    #[error("{reason}")]
    Mail {
        /// The server's answer, or why there is none.
        reason: String,
        /// Whether the server will never accept this mail.
        is_refusal: bool,
    },
    /// The command could not be started.
    #[error("cannot run the command: {0}")]
    Command(#[from] std::io::Error),
    /// The command failed.
    #[error("the command failed: {0}")]
    Exit(ExitStatus),
    /// The command ran too long and was killed.
    #[error("the command ran longer than {} s", ATTEMPT_MAX.as_secs())]
    CommandTimeout,
}

impl SendError {
    /// Whether the receiver will never accept this notification.
    pub fn is_refusal(&self) -> bool {
        use ureq::http::StatusCode;
        match self {
            Self::Status { status, .. } => {
                let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                status.is_client_error() && !may_pass.contains(status)
            }
            Self::Mail { is_refusal, .. } => *is_refusal,
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
