//! A route with its delivery queue, the time of its next attempt, and its health.

use std::time::{Duration, Instant};

use sysmon_wire::UnixMs;

use super::error::SendError;
use super::notification::Notification;
use super::queue::DeliveryQueue;
use super::route::Route;
use crate::{Alert, Transition};

/// Shortest and longest wait before a failed attempt is repeated; doubled each time in between.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// Transitions within this time are sent together.
const COLLECT: Duration = Duration::from_millis(50);

/// Time between two notifications over one route, in which transitions are collected.
const PAUSE: Duration = Duration::from_secs(5);

/// The same while more is queued than fitted into the last notification: chats accept one a second.
const PART_PAUSE: Duration = Duration::from_secs(1);

/// Longest error that is stored, in characters.
const ERROR_MAX: usize = 200;

/// The state of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteHealth {
    /// The route without secrets.
    pub route: String,
    /// Transitions in the delivery queue.
    pub queued: usize,
    /// Transitions dropped because the queue was full, or because the receiver refused them.
    pub dropped: u64,
    /// When a notification was last delivered, since the hub started.
    pub sent: Option<UnixMs>,
    /// Since when every attempt has failed, and the last error.
    pub failing: Option<(UnixMs, String)>,
}

#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) id: u64,
    pub(super) route: Route,
    pub(super) queue: DeliveryQueue,
    pub(super) is_sending: bool,
    /// Whether the attempt under way repeats firing alerts, and is not about the queue.
    is_repeat: bool,
    /// When firing alerts are due to be repeated; none if the receiver does not want that.
    repeat_at: Option<Instant>,
    backoff: Duration,
    next: Instant,
    sent: Option<UnixMs>,
    failing: Option<(UnixMs, String)>,
}

impl Delivery {
    pub(super) fn new(id: u64, route: Route, queue: DeliveryQueue, now: Instant) -> Self {
        Self {
            id,
            queue: queue.restored(route.is_keyed()),
            is_sending: false,
            is_repeat: false,
            // A new receiver hears at once what fires.
            repeat_at: route.repeat().map(|_| now),
            route,
            backoff: RETRY.0,
            next: now,
            sent: None,
            failing: None,
        }
    }

    pub(super) fn add(&mut self, transition: Transition, now: Instant) {
        if self.queue.is_empty() {
            self.next = self.next.max(now + COLLECT);
        }
        self.queue.add(transition);
    }

    /// A receiver that holds the `alerts` of a host by its name hears that they end, and of them under the name `to`.
    pub(super) fn rename_host(&mut self, alerts: &[Alert], to: &str, now: Instant) {
        if !self.route.is_keyed() {
            return;
        }
        for alert in alerts {
            if self.route.accepts(alert.severity) {
                let mut renamed = alert.clone();
                renamed.rename_host(&alert.host, to);
                self.add(Transition::resolved(alert.clone()), now);
                self.add(Transition::fired(renamed), now);
            }
        }
    }

    /// Time until the next attempt is due; none if there is nothing to send.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let queued = (!self.queue.is_empty()).then_some(self.next);
        let repeat = self.repeat_at.map(|at| at.max(self.next));
        let due = queued.into_iter().chain(repeat).min();
        due.map(|at| at.saturating_duration_since(now))
    }

    pub(super) fn is_repeat_due(&self, now: Instant) -> bool {
        self.repeat_at.is_some_and(|at| at <= now)
    }

    /// Begins an attempt to repeat the alerts that are `firing`; none if there are none.
    pub(super) fn repeat(&mut self, firing: Vec<Transition>, now: Instant) -> Option<Notification> {
        self.repeat_at = self.route.repeat().map(|every| now + every);
        if firing.is_empty() {
            return None;
        }
        (self.is_sending, self.is_repeat) = (true, true);
        Some(Notification::repeated(firing))
    }

    pub(super) fn start(&mut self) -> Option<Notification> {
        let notification = self.queue.start(&self.route.capacity())?;
        self.is_sending = true;
        Some(notification)
    }

    pub(super) fn finish(&mut self, sent: Result<(), SendError>, now: UnixMs, instant: Instant) {
        self.is_sending = false;
        let is_repeat = std::mem::take(&mut self.is_repeat);
        match sent {
            Ok(()) => {
                if !is_repeat {
                    self.queue.succeeded();
                }
                self.backoff = RETRY.0;
                self.next = instant
                    + if self.queue.is_empty() {
                        PAUSE
                    } else {
                        PART_PAUSE
                    };
                self.sent = Some(now);
                self.failing = None;
            }
            Err(error) => {
                if error.is_refusal() {
                    if !is_repeat {
                        self.queue.refused();
                    }
                    tracing::warn!(route = %self.route, %error, "notification refused by its receiver");
                    self.next = instant + PART_PAUSE;
                } else {
                    if !is_repeat {
                        self.queue.failed();
                    }
                    tracing::warn!(route = %self.route, %error, "notification failed, retrying");
                    let wait = error.retry_after().unwrap_or_default().min(RETRY.1);
                    self.next = instant + self.backoff.max(wait);
                    self.backoff = (self.backoff * 2).min(RETRY.1);
                }
                let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
                let error = error.to_string().chars().take(ERROR_MAX).collect();
                self.failing = Some((since, error));
            }
        }
    }

    pub(super) fn health(&self) -> RouteHealth {
        RouteHealth {
            route: self.route.to_string(),
            queued: self.queue.len(),
            dropped: self.queue.dropped,
            sent: self.sent,
            failing: self.failing.clone(),
        }
    }
}
