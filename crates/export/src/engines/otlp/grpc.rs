//! OTLP over gRPC: one call of `MetricsService/Export` for each request, by HTTP/2.
//!
//! hyper speaks HTTP/2; gRPC adds five bytes in front of a message and a status after the answer
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), which are here because tonic's client would decode and
//! compress each message once more and panics at a status that is not base64.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::percent_decode;
use prost::Message;

use super::compression::Encoding;
use super::reply::{GrpcStatus, Reply, RpcStatus};
use crate::EngineError;
use crate::destination::DestinationOptions;
use crate::engines::DestinationError;
use crate::engines::address::{Address, Scheme, Server};
use crate::engines::http::{headers, reason};
use crate::engines::stream::{Dialer, Waiter};

const SCHEMES: &[Scheme] = &[
    Scheme {
        name: "http",
        port: 4317,
        is_tls: false,
    },
    Scheme {
        name: "https",
        port: 4317,
        is_tls: true,
    },
];

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// What gRPC puts in front of a message: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;

/// Bytes of an answer that are read: enough for a reason.
const ANSWER_BYTES_MAX: usize = 16_384;

/// How long a server may take, in gRPC's own words: as long as [`Waiter`] waits.
const TIMEOUT: &str = "25S";

/// The code of a status that cannot be read.
const UNKNOWN: u32 = 2;

type Body = Full<Bytes>;

/// A client.
pub(super) struct Grpc {
    waiter: Waiter,
    dialer: Dialer,
    server: Server,
    /// The address without secrets.
    address: String,
    uri: String,
    headers: HeaderMap,
    connection: Option<SendRequest<Body>>,
}

/// What a server answered.
struct Answer {
    status: StatusCode,
    /// Trailers, then headers.
    fields: [HeaderMap; 2],
    body: Bytes,
}

impl Grpc {
    pub(super) fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        let address = Address::of(options, SCHEMES)?;
        let wrong = |problem: &str| {
            DestinationError::Setting(format!(
                "url: {problem}; write http://HOST:4317 or https://HOST:4317"
            ))
        };
        if !address.path.is_empty() {
            return Err(wrong("gRPC has no path; use the kind otlp-http for one"));
        }
        let [server] =
            <[Server; 1]>::try_from(address.servers).map_err(|_| wrong("give one address"))?;
        let mut options = options.clone();
        options.login = options.login.or(address.login);
        let scheme = if address.is_tls { "https" } else { "http" };
        let uri = format!("{scheme}://{server}{EXPORT}");
        uri.parse::<hyper::Uri>()
            .map_err(|_| wrong("an address is wrong"))?;
        Ok(Self {
            waiter: Waiter::default(),
            dialer: Dialer::new(&options, address.is_tls, b"h2")?,
            address: options.address(),
            server,
            uri,
            headers: metadata(&options)?,
            connection: None,
        })
    }

    /// Sends a message, which stands behind room for the prefix.
    pub(super) fn send(
        &mut self,
        mut framed: Vec<u8>,
        encoding: Encoding,
    ) -> Result<Reply, EngineError> {
        let length = framed.len().saturating_sub(PREFIX_BYTES) as u32;
        let [a, b, c, d] = length.to_be_bytes();
        let is_compressed = u8::from(encoding != Encoding::None && length > 0);
        if let Some(prefix) = framed.first_chunk_mut::<PREFIX_BYTES>() {
            *prefix = [is_compressed, a, b, c, d];
        }
        let request = self.request(framed.into(), encoding)?;
        self.exchange(request)?.reply(&self.address)
    }

    fn request(&self, framed: Bytes, encoding: Encoding) -> Result<Request<Body>, EngineError> {
        let mut request = Request::post(&self.uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", TIMEOUT)
            .header(
                "user-agent",
                concat!("sysmon-hub/", env!("CARGO_PKG_VERSION")),
            );
        if encoding != Encoding::None {
            request = request.header("grpc-encoding", encoding.as_str());
        }
        if let Some(fields) = request.headers_mut() {
            fields.extend(self.headers.clone());
        }
        let request = request.body(Full::new(framed));
        request.map_err(|error| EngineError::Misconfigured(error.to_string()))
    }

    /// Sends a request on the connection, or on a new one if that has ended.
    fn exchange(&mut self, request: Request<Body>) -> Result<Answer, EngineError> {
        if let Some(mut connection) = self.connection.take() {
            let first = request.clone();
            let call = async { Ok(call(&mut connection, first).await) };
            if let Ok(answer) = self.waiter.wait(call)? {
                self.connection = Some(connection);
                return Ok(answer);
            }
        }
        let (dialer, server) = (&self.dialer, &self.server);
        let failed = |error: &(dyn Error + 'static)| {
            let reason = chain(error);
            EngineError::unavailable(format!("cannot send to {server}: {reason}"))
        };
        let (connection, answer) = self.waiter.wait(async {
            let stream = TokioIo::new(dialer.dial(server).await?);
            let (mut connection, driver) = handshake(TokioExecutor::new(), stream)
                .await
                .map_err(|error| failed(&error))?;
            // Whoever sends on the connection learns how it ends.
            tokio::spawn(async move { drop(driver.await) });
            let answer = call(&mut connection, request).await;
            Ok((connection, answer.map_err(|error| failed(&*error))?))
        })?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

async fn call(
    connection: &mut SendRequest<Body>,
    request: Request<Body>,
) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    connection.ready().await?;
    let (head, body) = connection.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    Ok(Answer {
        status: head.status,
        fields: [trailers, head.headers],
        body: body.to_bytes(),
    })
}

/// What an error says, with its causes.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.dedup();
    texts.join(": ")
}

impl Answer {
    fn reply(&self, address: &str) -> Result<Reply, EngineError> {
        let field = |name: &str| self.fields.iter().find_map(|fields| fields.get(name));
        let Some(code) = field("grpc-status") else {
            return Err(self.without_status(address));
        };
        let message = field("grpc-message").map_or(&[][..], HeaderValue::as_bytes);
        let message: Vec<u8> = percent_decode(message).collect();
        let details = field("grpc-status-details-bin").and_then(|details| {
            let text = details.to_str().ok()?.trim_end_matches('=');
            let bytes = data_encoding::BASE64_NOPAD.decode(text.as_bytes()).ok()?;
            RpcStatus::decode(bytes.as_slice()).ok()
        });
        let status = GrpcStatus {
            code: code
                .to_str()
                .ok()
                .and_then(|code| code.parse().ok())
                .unwrap_or(UNKNOWN),
            reason: reason(&message),
            retry_after: details.as_ref().and_then(RpcStatus::retry_after),
        };
        let message = match self.body.split_first_chunk::<PREFIX_BYTES>() {
            Some(([0, ..], message)) => message,
            _ => &[],
        };
        status.reply(message, address)
    }

    /// What an answer means that is not gRPC's.
    fn without_status(&self, address: &str) -> EngineError {
        let status = self.status.as_u16();
        match status {
            200..=299 => {
                EngineError::unavailable(format!("{address} ended its answer without a status"))
            }
            408 | 429 | 502..=504 => {
                EngineError::unavailable(format!("{address} answered {status}"))
            }
            _ => EngineError::Misconfigured(format!(
                "{address} answered {status}, and does not speak gRPC there; check url"
            )),
        }
    }
}

/// The headers that a destination is configured with.
fn metadata(options: &DestinationOptions) -> Result<HeaderMap, DestinationError> {
    let mut metadata = HeaderMap::new();
    for (name, value) in headers(options)? {
        let name = HeaderName::try_from(name.to_lowercase());
        let value = HeaderValue::try_from(value);
        let (Ok(name), Ok(mut value)) = (name, value) else {
            continue;
        };
        if matches!(name.as_str(), "content-type" | "te") || name.as_str().starts_with("grpc-") {
            return Err(DestinationError::Setting(format!(
                "headers: {name} is gRPC's own; remove it"
            )));
        }
        value.set_sensitive(true);
        metadata.append(name, value);
    }
    Ok(metadata)
}
