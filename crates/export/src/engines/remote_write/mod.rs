//! Prometheus remote write 1.0: VictoriaMetrics, Prometheus, Mimir, Thanos, Grafana Cloud.
//!
//! The protocol: <https://prometheus.io/docs/specs/prw/remote_write_spec/>. A request is a protobuf message compressed with
//! snappy. What a server refuses is found by halving the request, so that one bad sample takes no good one with it.

mod message;
mod series;

use std::time::Duration;

use super::DestinationError;
use super::http::{Answer, Http};
use super::presence::{Changes, Presence};
use crate::destination::DestinationOptions;
use crate::{Batch, Engine, EngineError, Sent};
use message::{Item, Message, put_metadata};
use series::LabelCache;

/// Values in one request: at some five bytes each it is within 70–200 kB, which servers like best.
const CELLS: usize = 36_000;

/// Bytes of a request before compression; what has many labels is sent in several.
const REQUEST_BYTES_MAX: usize = 2 << 20;

const INTERVAL: Duration = Duration::from_secs(10);

/// Requests for one that is refused. What a server refuses as a whole is not sent value by value.
const HALVES_MAX: usize = 200;

/// After so many failures with a status of 500 or more of the same batch, smaller requests are tried: Prometheus answers
/// so to samples that it will never take.
const FAILURES_MAX: u32 = 3;

/// Metadata is sent again after this many batches, for servers that lost it.
const METADATA_EVERY: u64 = 360;

/// A client.
pub struct RemoteWrite {
    http: Http,
    labels: LabelCache,
    presence: Presence,
    batches: u64,
    /// Failures in a row that were answered, but as temporary.
    failures: u32,
    message: Message,
    body: Vec<u8>,
    compressed: Vec<u8>,
    snappy: snap::raw::Encoder,
}

impl std::fmt::Debug for RemoteWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteWrite").finish_non_exhaustive()
    }
}

impl RemoteWrite {
    /// A client for a destination.
    ///
    /// # Errors
    /// A file of the destination cannot be read.
    pub fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        Ok(Self {
            http: Http::new(options, options.url.reveal())?,
            labels: LabelCache::new(options),
            presence: Presence::default(),
            batches: 0,
            failures: 0,
            message: Message::default(),
            body: Vec::new(),
            compressed: Vec::new(),
            snappy: snap::raw::Encoder::new(),
        })
    }

    fn post(&mut self) -> Result<(Answer, u64), EngineError> {
        self.compressed
            .resize(snap::raw::max_compress_len(self.body.len()), 0);
        let length = self.snappy.compress(&self.body, &mut self.compressed);
        let length = length.map_err(|error| EngineError::unavailable(error.to_string()))?;
        let body = self.compressed.get(..length).unwrap_or_default();
        let headers = [
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ];
        Ok((self.http.post(&headers, body)?, length as u64))
    }

    /// Sends the values of the message; halves what is refused until the refused values are alone.
    fn send_items(&mut self, message: &Message, sent: &mut Sent) -> Result<(), EngineError> {
        let mut waiting: Vec<Vec<Item>> = message.parts(REQUEST_BYTES_MAX);
        waiting.reverse();
        let (mut halves, mut accepted, mut last) = (0, 0u64, None);
        while let Some(items) = waiting.pop() {
            self.body.clear();
            message.encode(&items, &mut self.body);
            let samples = items.iter().map(Item::samples).sum::<usize>() as u64;
            let (answer, bytes) = self.post()?;
            sent.bytes += bytes;
            if answer.is_success() {
                accepted += samples;
                continue;
            }
            let may_be_refused = answer.status < 500 || self.failures >= FAILURES_MAX;
            if answer.is_misconfigured() || answer.status == 429 || !may_be_refused {
                self.failures += u32::from(answer.is_temporary());
                return Err(self.http.error(&answer));
            }
            halves += 1;
            match message::halves(&items) {
                Some((first, second)) if halves < HALVES_MAX => {
                    waiting.push(second);
                    waiting.push(first);
                }
                _ => {
                    let reason = match answer.reason.as_str() {
                        "" => format!("status {}", answer.status),
                        reason => reason.to_owned(),
                    };
                    sent.refused.push((reason, samples));
                }
            }
            last = Some(answer);
        }
        // A server that takes nothing is not one that refuses some values.
        if let Some(answer) = last.filter(|answer| accepted == 0 && answer.is_temporary()) {
            return Err(self.http.error(&answer));
        }
        self.failures = 0;
        sent.samples += accepted;
        Ok(())
    }
}

impl RemoteWrite {
    /// Sends what is known of names that the server does not know yet, and from time to time of all.
    fn send_metadata(&mut self, sent: &mut Sent) -> Result<(), EngineError> {
        let all = self.batches.is_multiple_of(METADATA_EVERY);
        self.batches += 1;
        self.body.clear();
        for (name, family) in &self.labels.families {
            if all || !family.is_sent {
                put_metadata(&mut self.body, name, family);
            }
        }
        if self.body.is_empty() {
            return Ok(());
        }
        let (answer, bytes) = self.post()?;
        sent.bytes += bytes;
        // A server that refuses metadata wants none.
        if !answer.is_temporary() {
            for family in self.labels.families.values_mut() {
                family.is_sent = true;
            }
        }
        Ok(())
    }
}

impl Engine for RemoteWrite {
    fn batch_cells(&self) -> usize {
        CELLS
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        let mut changes = Changes::default();
        for rows in batch.hosts {
            message.add(rows, &mut self.labels, &self.presence, &mut changes);
        }
        for host in batch.gone {
            message.end(host, &mut self.labels, &self.presence, &mut changes);
        }
        let mut sent = Sent::default();
        let result = self.send_items(&message, &mut sent);
        self.message = message;
        result?;
        self.presence.apply(changes);
        self.send_metadata(&mut sent)?;
        Ok(sent)
    }

    fn test(&mut self) -> Result<String, EngineError> {
        self.body.clear();
        let (answer, _) = self.post()?;
        // An empty request is answered with success, or refused for being empty.
        match answer.is_success() || answer.status == 400 {
            true => Ok("takes Prometheus remote write".to_owned()),
            false => Err(self.http.error(&answer)),
        }
    }
}

#[cfg(test)]
mod tests;
