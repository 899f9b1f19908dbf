//! What receivers answer, and what follows from it: <https://opentelemetry.io/docs/specs/otlp/#failures>. Pure.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

use crate::EngineError;
use crate::engines::http::reason;

/// What became of a request that a receiver has read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It has the points, but for so many.
    Taken {
        rejected: u64,
        /// Why it rejects points; otherwise a warning.
        reason: String,
    },
    /// The request has more bytes than it takes.
    TooLong(String),
    /// It will never take it.
    Refused(String),
    /// It does not know how the request is compressed, or what it is.
    Unimplemented(String),
}

impl Reply {
    /// What a receiver says that has the request.
    pub(super) fn taken(message: &[u8]) -> Self {
        // Whatever it says besides, the points are in.
        let answer = ExportMetricsServiceResponse::decode(message).unwrap_or_default();
        let partial = answer.partial_success.unwrap_or_default();
        Self::Taken {
            rejected: u64::try_from(partial.rejected_data_points).unwrap_or_default(),
            reason: reason(partial.error_message.as_bytes()),
        }
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<RetryDelay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RetryDelay {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl RpcStatus {
    /// How long to wait, if it says that the same request may succeed then.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let mut details = self.details.iter();
        let info = details.find(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"))?;
        let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay;
        let delay = delay.unwrap_or_default();
        let seconds = u64::try_from(delay.seconds).unwrap_or_default();
        let nanos = u32::try_from(delay.nanos).unwrap_or_default();
        Some(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
    }
}

/// A status of gRPC.
#[derive(Debug)]
pub(super) struct GrpcStatus {
    pub(super) code: u32,
    /// What it says, cleaned and cut.
    pub(super) reason: String,
    pub(super) retry_after: Option<Duration>,
}

/// The names of gRPC's codes, by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    /// What the status means for a request to the receiver at `address`; `message` is the answer itself.
    ///
    /// # Errors
    /// The same request may succeed later, or once somebody has acted.
    pub(super) fn reply(self, message: &[u8], address: &str) -> Result<Reply, EngineError> {
        let name = usize::try_from(self.code)
            .ok()
            .and_then(|code| CODES.get(code));
        let name = name.copied().unwrap_or("UNKNOWN");
        let told = match self.reason.as_str() {
            "" => name.to_owned(),
            reason => format!("{name}: {reason}"),
        };
        match name {
            "OK" => Ok(Reply::taken(message)),
            // Also what a receiver answers that wants to be asked later, and then says when.
            "RESOURCE_EXHAUSTED" if self.retry_after.is_none() => Ok(Reply::TooLong(told)),
            // Also what a receiver answers to messages that are too long; those are sent in parts first.
            "OUT_OF_RANGE" => Ok(Reply::TooLong(told)),
            "CANCELLED" | "DEADLINE_EXCEEDED" | "RESOURCE_EXHAUSTED" | "ABORTED"
            | "UNAVAILABLE" | "DATA_LOSS" => Err(EngineError::Unavailable {
                reason: format!("{address} answered {told}"),
                retry_after: self.retry_after,
            }),
            "UNAUTHENTICATED" | "PERMISSION_DENIED" | "NOT_FOUND" => {
                Err(EngineError::Misconfigured(format!(
                    "{address} answered {told}; check url and credentials"
                )))
            }
            "UNIMPLEMENTED" => Ok(Reply::Unimplemented(told)),
            _ => Ok(Reply::Refused(told)),
        }
    }
}
