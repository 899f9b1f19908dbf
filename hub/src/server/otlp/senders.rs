//! The senders that the hub knows: their messages, their rates, and the streams of rows of their hosts.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sysmon_clock::Clock;
use sysmon_link::{LogLimiter, TokenBucket};
use sysmon_otlp::{Mapper, Reason, Rejections};
use sysmon_wire::message::RunId;
use sysmon_wire::{Label, UnixMs, fnv1a};
use tokio::sync::Semaphore;

use super::peer::Peer;
use crate::ingest::RowStream;
use crate::lock;

/// Uncompressed bytes of one sender in a second: a thousand hosts of four hundred series every ten seconds send two
/// million.
const BYTES_PER_SECOND: f64 = 8e6;

/// The same at once: a Collector that was cut off sends what it has stored.
const BYTES_AT_ONCE: f64 = 64e6;

/// Messages of one sender that are received at once.
const RECEIVING_PER_SENDER_MAX: usize = 4;

/// Messages that are recognised when they come again because the answer was lost.
const SEEN_MAX: usize = 256;

/// Rejections for the same reasons are logged again after this time.
const LOG_INTERVAL_MS: i64 = 600_000;

/// A sender without a message for this long is forgotten; its hosts are not.
const IDLE_MS: i64 = 7_200_000;

#[derive(Debug, Default)]
pub(super) struct Senders {
    known: Mutex<HashMap<Label, Arc<Sender>>>,
    points: AtomicU64,
    rejected: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Sender {
    pub(super) receiving: Arc<Semaphore>,
    pub(super) state: Mutex<SenderState>,
}

#[derive(Debug)]
pub(super) struct SenderState {
    pub(super) mapper: Mapper,
    pub(super) feeds: HashMap<Label, Feed>,
    pub(super) bytes: TokenBucket,
    log: LogLimiter,
    /// The reasons of the rejections that were logged last, and when.
    logged: (Vec<Reason>, UnixMs),
    seen: VecDeque<u64>,
    heard: UnixMs,
}

/// The stream of rows of one host.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) stream: RowStream,
    pub(super) table: u64,
    /// Series that the stream has.
    pub(super) defined: usize,
    pub(super) run: RunId,
    pub(super) seq: u64,
}

impl Senders {
    /// The state of a peer, made if it is new.
    pub(super) fn get(&self, peer: &Peer, now: UnixMs, instant: Instant) -> Arc<Sender> {
        let mut known = lock(&self.known);
        if let Some(sender) = known.get(peer.label()) {
            lock(&sender.state).heard = now;
            return Arc::clone(sender);
        }
        let is_used = |sender: &Arc<Sender>| {
            Arc::strong_count(sender) > 1 || now - lock(&sender.state).heard < IDLE_MS
        };
        known.retain(|_, sender| is_used(sender));
        let state = SenderState {
            mapper: Mapper::new(peer.naming().clone()),
            feeds: HashMap::new(),
            bytes: TokenBucket::new(BYTES_PER_SECOND, BYTES_AT_ONCE, instant),
            log: LogLimiter::new(instant),
            logged: (Vec::new(), UnixMs(0)),
            seen: VecDeque::new(),
            heard: now,
        };
        let sender = Arc::new(Sender {
            receiving: Arc::new(Semaphore::new(RECEIVING_PER_SENDER_MAX)),
            state: Mutex::new(state),
        });
        known.insert(peer.label().clone(), Arc::clone(&sender));
        sender
    }

    pub(super) fn count(&self, points: u64, rejected: u64) {
        self.points.fetch_add(points, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    pub(super) fn points(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.points), load(&self.rejected))
    }
}

impl SenderState {
    /// Logs rejections: the same again after ten minutes, because most senders repeat what is not kept.
    pub(super) fn log_rejections(
        &mut self,
        sender: &Label,
        rejections: &Rejections,
        clock: &Clock,
    ) {
        let (reasons, now) = (
            rejections.iter().map(|(reason, _)| reason.clone()),
            clock.now(),
        );
        let reasons: Vec<Reason> = reasons.collect();
        let is_known = self.logged.0 == reasons && now - self.logged.1 < LOG_INTERVAL_MS;
        if reasons.is_empty() || is_known {
            return;
        }
        if let Some(suppressed) = self.log.pass(clock.instant()) {
            let (rejected, reason) = (rejections.total(), rejections.text());
            tracing::warn!(%sender, rejected, reason, suppressed, "OTLP points rejected");
            self.logged = (reasons, now);
        }
    }

    /// Notes a message; false if the same bytes came before.
    pub(super) fn is_new(&mut self, message: &[u8]) -> bool {
        let hash = fnv1a(message);
        if self.seen.contains(&hash) {
            return false;
        }
        if self.seen.len() >= SEEN_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(hash);
        true
    }
}
