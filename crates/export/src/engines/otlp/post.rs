//! OTLP over HTTP.

use prost::Message;

use super::compression::Encoding;
use super::reply::{Reply, RpcStatus};
use crate::EngineError;
use crate::destination::DestinationOptions;
use crate::engines::DestinationError;
use crate::engines::http::{Http, reason};

/// The path that the protocol knows.
const PATH: &str = "/v1/metrics";

/// A client.
pub(super) struct Post(Http);

impl Post {
    pub(super) fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        Ok(Self(Http::new(options, &endpoint(options.url.reveal()))?))
    }

    pub(super) fn send(&self, body: &[u8], encoding: Encoding) -> Result<Reply, EngineError> {
        let mut headers = vec![("Content-Type", "application/x-protobuf")];
        if encoding != Encoding::None {
            headers.push(("Content-Encoding", encoding.as_str()));
        }
        let mut answer = self.0.post(&headers, body)?;
        if answer.is_success() {
            return Ok(Reply::taken(&answer.protobuf));
        }
        if let Ok(status) = RpcStatus::decode(answer.protobuf.as_slice())
            && !status.message.is_empty()
        {
            answer.reason = reason(status.message.as_bytes());
        }
        let said = || match answer.reason.as_str() {
            "" => format!("status {}", answer.status),
            reason => reason.to_owned(),
        };
        match answer.status {
            413 => Ok(Reply::TooLong(said())),
            408 | 425 | 429 | 502..=504 => Err(self.0.error(&answer)),
            _ if answer.is_misconfigured() => Err(self.0.error(&answer)),
            _ => Ok(Reply::Refused(said())),
        }
    }
}

/// The address with the protocol's path, if it has none of its own.
fn endpoint(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match path {
        "" | "/" => format!("{scheme}://{authority}{PATH}"),
        path => format!("{scheme}://{authority}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_path_is_added_to_an_address_without_one() {
        for (url, wanted) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
            ("https://u:p@otel/", "https://u:p@otel/v1/metrics"),
            (
                "http://vm:8428/opentelemetry/v1/metrics",
                "http://vm:8428/opentelemetry/v1/metrics",
            ),
        ] {
            assert_eq!(endpoint(url), wanted);
        }
    }
}
