//! A route with its delivery queue, the time of its next attempt, and its health.

use std::time::{Duration, Instant};

use sysmon_wire::UnixMs;

use super::error::SendError;
use super::notification::Notification;
use super::queue::DeliveryQueue;
use super::route::Route;
use crate::Transition;

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
    backoff: Duration,
    next: Instant,
    sent: Option<UnixMs>,
    failing: Option<(UnixMs, String)>,
}

impl Delivery {
    pub(super) fn new(id: u64, route: Route, queue: DeliveryQueue, now: Instant) -> Self {
        Self {
            id,
            route,
            queue,
            is_sending: false,
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

    /// Time until the next attempt is due; none while the queue is empty.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        (!self.queue.is_empty()).then(|| self.next.saturating_duration_since(now))
    }

    pub(super) fn start(&mut self) -> Option<Notification> {
        let notification = self.queue.start(&self.route.capacity())?;
        self.is_sending = true;
        Some(notification)
    }

    pub(super) fn finish(&mut self, sent: Result<(), SendError>, now: UnixMs, instant: Instant) {
        self.is_sending = false;
        match sent {
            Ok(()) => {
                self.queue.succeeded();
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
                    self.queue.refused();
                    tracing::warn!(route = %self.route, %error, "notification refused by its receiver");
                    self.next = instant + PART_PAUSE;
                } else {
                    self.queue.failed();
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
