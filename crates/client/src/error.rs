//! Why a hub did not answer a request.

use sysmon_link::LinkError;
use sysmon_wire::Label;
use thiserror::Error;

/// A request without an answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The hub cannot be reached, or the connection broke.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The hub understood the request and refuses it, for this reason.
    #[error("refused: {0}")]
    Refused(Label),
    /// The hub ended its replies before the answer.
    #[error(
        "the hub ended its replies without an answer: its version may differ, see `sysmon-hub status`"
    )]
    NoAnswer,
}
