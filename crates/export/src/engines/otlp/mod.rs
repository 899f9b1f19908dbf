//! OTLP over gRPC and HTTP: OpenTelemetry Collectors, and engines that receive OTLP themselves.
//!
//! The protocol: <https://opentelemetry.io/docs/specs/otlp/>. Each host is a resource. What a receiver refuses is counted and
//! not sent again, as the protocol asks for.

mod compression;
mod grpc;
mod message;
mod post;
mod reply;
mod series;

use std::time::Duration;

use super::DestinationError;
use super::presence::{Changes, Presence};
use crate::destination::{DestinationOptions, EngineKind};
use crate::{Batch, Engine, EngineError, Sent};
use compression::{Compressor, Encoding};
use grpc::{Grpc, PREFIX_BYTES};
use message::Message;
use post::Post;
use reply::Reply;
use series::SeriesCache;

/// Values in one batch: a minute of a host.
const CELLS: usize = 22_000;

/// Bytes of a request before compression; receivers commonly take 4 MiB.
const REQUEST_BYTES_MAX: usize = 3 << 20;

/// A receiver that takes less than this is not asked with smaller requests.
const REQUEST_BYTES_MIN: usize = 64 << 10;

const INTERVAL: Duration = Duration::from_secs(10);

/// A client.
pub struct Otlp {
    transport: Transport,
    compressor: Compressor,
    /// Whether somebody chose how requests are compressed.
    is_encoding_chosen: bool,
    /// Whether the receiver takes them so.
    is_encoding_known: bool,
    /// Bytes of a request; fewer after a receiver has refused as many.
    request_bytes_max: usize,
    cache: SeriesCache,
    presence: Presence,
    message: Message,
    body: Vec<u8>,
    /// What the receiver last warned of.
    warning: String,
}

enum Transport {
    Grpc(Grpc),
    Http(Post),
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Otlp").finish_non_exhaustive()
    }
}

impl Otlp {
    /// A client for a destination.
    ///
    /// # Errors
    /// A setting is wrong, or a file of the destination cannot be read.
    pub fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        let chosen = Encoding::of(options)?;
        // Over HTTP every receiver knows gzip.
        let is_encoding_chosen = chosen.is_some() || options.kind == EngineKind::OtlpHttp;
        let (transport, usual) = match options.kind {
            EngineKind::OtlpHttp => (Transport::Http(Post::new(options)?), Encoding::Gzip),
            _ => (Transport::Grpc(Grpc::new(options)?), Encoding::Zstd),
        };
        Ok(Self {
            transport,
            compressor: Compressor::new(chosen.unwrap_or(usual)),
            is_encoding_chosen,
            is_encoding_known: is_encoding_chosen,
            request_bytes_max: REQUEST_BYTES_MAX,
            cache: SeriesCache::new(options),
            presence: Presence::default(),
            message: Message::default(),
            body: Vec::new(),
            warning: String::new(),
        })
    }

    /// Finds out how requests may be compressed, unless somebody chose: receivers refuse what they do not know in as many
    /// ways as there are, and what is refused is lost.
    fn agree(&mut self) -> Result<(), EngineError> {
        if self.is_encoding_known {
            return Ok(());
        }
        let mut told = String::new();
        for encoding in [Encoding::Zstd, Encoding::Gzip, Encoding::None] {
            self.compressor.encoding = encoding;
            self.body.clear();
            match self.post(&mut 0)? {
                Reply::Taken { .. } => {
                    self.is_encoding_known = true;
                    let compression = encoding.as_str();
                    tracing::debug!(compression, "a receiver of OTLP takes requests");
                    return Ok(());
                }
                Reply::TooLong(reason) | Reply::Refused(reason) | Reply::Unimplemented(reason) => {
                    told = reason;
                }
            }
        }
        Err(misconfigured(&told))
    }

    /// Sends the request in `body`.
    fn post(&mut self, bytes: &mut u64) -> Result<Reply, EngineError> {
        let reply = self.post_once(bytes);
        // It may be another one afterwards.
        self.is_encoding_known &= reply.is_ok() || self.is_encoding_chosen;
        reply
    }

    fn post_once(&mut self, bytes: &mut u64) -> Result<Reply, EngineError> {
        let prefix = match self.transport {
            Transport::Grpc(_) => PREFIX_BYTES,
            Transport::Http(_) => 0,
        };
        let mut request = vec![0; prefix];
        let encoding = self.compressor.encoding;
        let compressed = self.compressor.compress(&self.body, &mut request);
        compressed.map_err(|error| EngineError::unavailable(error.to_string()))?;
        *bytes += request.len() as u64;
        match &mut self.transport {
            Transport::Grpc(grpc) => grpc.send(request, encoding),
            Transport::Http(post) => post.send(&request, encoding),
        }
    }

    /// Sends the values of the message, in as many requests as the receiver needs.
    fn send_message(&mut self, message: &Message, sent: &mut Sent) -> Result<(), EngineError> {
        if message.len() > 0 {
            self.agree()?;
        }
        let mut from = 0;
        while from < message.len() {
            let end = message.end(from, self.request_bytes_max, &self.cache);
            self.body.clear();
            message.encode(from..end, &self.cache, &mut self.body);
            let samples = message.samples(from..end);
            let (refused, reason) = match self.post(&mut sent.bytes)? {
                Reply::Taken { rejected, reason } => (rejected.min(samples), reason),
                Reply::TooLong(_) if self.body.len() / 2 >= REQUEST_BYTES_MIN => {
                    self.request_bytes_max = self.body.len() / 2;
                    continue;
                }
                Reply::TooLong(reason) => {
                    // Its length was not the reason.
                    self.request_bytes_max = REQUEST_BYTES_MAX;
                    (samples, reason)
                }
                Reply::Refused(reason) => (samples, reason),
                Reply::Unimplemented(reason) => return Err(misconfigured(&reason)),
            };
            sent.samples += samples - refused;
            if refused > 0 {
                let reason = match reason.as_str() {
                    "" => "no reason given".to_owned(),
                    _ => reason,
                };
                sent.refused.push((reason, refused));
            } else if !reason.is_empty() && reason != self.warning {
                tracing::warn!(reason, "a receiver of OTLP warns");
                self.warning = reason;
            }
            from = end;
        }
        Ok(())
    }
}

impl Engine for Otlp {
    fn batch_cells(&self) -> usize {
        CELLS
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        self.cache.prune();
        let mut changes = Changes::default();
        for rows in batch.hosts {
            message.add(rows, &mut self.cache, &self.presence, &mut changes);
        }
        for host in batch.gone {
            message.end_host(host, &mut self.cache, &self.presence, &mut changes);
        }
        let mut sent = Sent::default();
        let result = self.send_message(&message, &mut sent);
        self.message = message;
        result?;
        self.presence.apply(changes);
        for host in batch.gone {
            self.cache.forget(host);
        }
        Ok(sent)
    }

    fn test(&mut self) -> Result<String, EngineError> {
        self.agree()?;
        self.body.clear();
        match self.post(&mut 0)? {
            Reply::Taken { .. } => Ok("takes OTLP".to_owned()),
            Reply::TooLong(reason) | Reply::Refused(reason) | Reply::Unimplemented(reason) => {
                Err(misconfigured(&reason))
            }
        }
    }
}

fn misconfigured(answer: &str) -> EngineError {
    EngineError::Misconfigured(format!(
        "the receiver answers {answer}; check url and compression"
    ))
}

#[cfg(test)]
mod tests;
