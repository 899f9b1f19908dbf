//! The delivery queue of one route. Pure.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::capacity::Capacity;
use super::lines::Rank;
use super::notification::Notification;
use crate::Transition;

/// Queued transitions; beyond that the least severe ones of the host with the most of them are dropped.
const QUEUED_MAX: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DeliveryQueue {
    /// Part of the attempt under way, whose result is unknown.
    #[serde(default)]
    sending: Vec<Transition>,
    waiting: VecDeque<Transition>,
    /// Transitions dropped because the queue was full, or because the receiver refused them.
    pub(super) dropped: u64,
    /// Transitions dropped because the queue was full, which no delivered message has reported.
    #[serde(default)]
    unreported: u64,
    /// How many of those the attempt under way reports.
    #[serde(skip)]
    reporting: u64,
    /// Messages delivered since the queue was empty.
    #[serde(skip)]
    burst: usize,
    /// Whether the receiver has refused the details of what is being sent.
    #[serde(skip)]
    is_refused: bool,
    /// Whether the receiver holds alerts by a key: it must hear of every last state, and may hear of one twice.
    #[serde(skip)]
    is_keyed: bool,
}

impl DeliveryQueue {
    /// The queue as it was before a restart. Whether an attempt under way succeeded is unknown: a duplicate is better
    /// than a loss.
    pub(super) fn restored(mut self, is_keyed: bool) -> Self {
        self.is_keyed = is_keyed;
        self.failed();
        self
    }

    /// Adds a transition. Of one alert only the newest is sent; one that reverts an unsent transition removes
    /// both, unless the receiver holds alerts: an attempt that failed may have reached it.
    pub(super) fn add(&mut self, transition: Transition) {
        let is_same = |queued: &Transition| queued.alert.key() == transition.alert.key();
        if let Some(at) = self.waiting.iter().position(is_same) {
            let before = self.waiting.remove(at);
            let is_reverted = before.is_some_and(|before| before.firing != transition.firing);
            if is_reverted && !self.is_keyed {
                return;
            }
        }
        self.waiting.push_back(transition);
        if self.waiting.len() > QUEUED_MAX {
            self.drop_least();
        }
    }

    /// Drops the oldest transition of the least severe, of the host that has most of these.
    fn drop_least(&mut self) {
        let Some(least) = self.waiting.iter().map(Rank::of).max() else {
            return;
        };
        let of_least = |one: &&Transition| Rank::of(one) == least;
        let mut by_host: HashMap<&str, usize> = HashMap::new();
        for one in self.waiting.iter().filter(of_least) {
            *by_host.entry(&one.alert.host).or_default() += 1;
        }
        let most = by_host.values().max().copied().unwrap_or(0);
        let is_it = |one: &Transition| {
            of_least(&one) && by_host.get(one.alert.host.as_str()) == Some(&most)
        };
        if let Some(at) = self.waiting.iter().position(is_it) {
            self.waiting.remove(at);
            self.dropped += 1;
            self.unreported += 1;
        }
    }

    /// Begins an attempt to send the most severe of what is queued, as much as the receiver takes in one message;
    /// none if the queue is empty.
    pub(super) fn start(&mut self, capacity: &Capacity) -> Option<Notification> {
        if self.is_refused {
            return Some(Notification::brief(self.sending.clone()));
        }
        self.sending.extend(self.waiting.drain(..));
        if self.sending.is_empty() {
            return None;
        }
        let queued = std::mem::take(&mut self.sending);
        let is_last = self.burst + 1 >= capacity.messages_max;
        self.reporting = self.unreported;
        let (message, left) = Notification::first_of(queued, capacity, is_last, self.reporting);
        self.waiting = left.into();
        self.sending = message.clone().into_transitions();
        Some(message)
    }

    pub(super) fn succeeded(&mut self) {
        self.sending.clear();
        self.is_refused = false;
        self.unreported -= std::mem::take(&mut self.reporting);
        self.burst = match self.waiting.is_empty() {
            true => 0,
            false => self.burst.saturating_add(1),
        };
    }

    /// The attempt failed in a way that may pass.
    pub(super) fn failed(&mut self) {
        self.reporting = 0;
        if self.is_refused {
            return;
        }
        let later = std::mem::take(&mut self.waiting);
        let all = std::mem::take(&mut self.sending).into_iter().chain(later);
        all.for_each(|transition| self.add(transition));
    }

    /// The receiver will never accept the message: its counts are sent instead, and if those are refused as well, it
    /// is dropped.
    pub(super) fn refused(&mut self) {
        self.reporting = 0;
        if self.is_refused {
            self.dropped += self.sending.len() as u64;
            self.sending.clear();
        }
        self.is_refused = !self.is_refused;
    }

    pub(super) fn len(&self) -> usize {
        self.sending.len() + self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::notification::tests::transition;
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::message::Severity;

    /// A receiver that takes everything at once.
    const ALL: Capacity = Capacity {
        text_max: usize::MAX,
        measure: str::len,
        names_max: usize::MAX,
        alerts_max: usize::MAX,
        messages_max: usize::MAX,
    };

    fn states(message: &Notification) -> Vec<(String, bool)> {
        let states = message.clone().into_transitions().into_iter();
        states
            .map(|transition| (transition.alert.host, transition.firing))
            .collect()
    }

    #[test]
    fn only_the_newest_state_of_an_alert_is_sent() {
        let mut queue = DeliveryQueue::default();
        queue.add(transition("a", "busy", true));
        queue.add(transition("b", "busy", true));
        queue.add(transition("a", "busy", false));
        assert_eq!(
            states(&queue.start(&ALL).unwrap()),
            [("b".to_owned(), true)]
        );
        // A resolution during the attempt is queued, because the result of the attempt is unknown.
        queue.add(transition("b", "busy", false));
        queue.succeeded();
        assert_eq!(
            states(&queue.start(&ALL).unwrap()),
            [("b".to_owned(), false)]
        );
        queue.add(transition("b", "busy", true));
        queue.failed();
        assert!(
            queue.start(&ALL).is_none(),
            "the receiver knows that it fires"
        );
        for n in 0..QUEUED_MAX * 2 {
            queue.add(transition(&n.to_string(), "busy", true));
        }
        assert_eq!(
            (queue.len(), queue.dropped),
            (QUEUED_MAX, QUEUED_MAX as u64)
        );
    }

    #[test]
    fn a_receiver_that_holds_alerts_hears_of_an_end_whose_beginning_may_have_reached_it() {
        let mut queue = DeliveryQueue::default().restored(true);
        queue.add(transition("a", "busy", true));
        queue.start(&ALL).unwrap();
        queue.add(transition("a", "busy", false));
        let text = serde_json::to_string(&queue).unwrap();
        queue.failed();
        let restored: DeliveryQueue = serde_json::from_str(&text).unwrap();
        for mut queue in [queue, restored.restored(true)] {
            let message = queue.start(&ALL).unwrap();
            assert_eq!(states(&message), [("a".to_owned(), false)]);
        }
    }

    #[test]
    fn a_full_queue_drops_the_least_severe_of_the_host_with_the_most() {
        let mut queue = DeliveryQueue::default();
        let warning = |host: &str, rule: &str| {
            let mut one = transition(host, rule, true);
            one.alert.severity = Severity::Warning;
            one
        };
        queue.add(transition("small", "critical", true));
        queue.add(warning("small", "warning"));
        for n in 0..QUEUED_MAX * 2 {
            queue.add(warning("large", &n.to_string()));
        }
        let message = queue.start(&ALL).unwrap();
        let rules: Vec<String> = message
            .clone()
            .into_transitions()
            .into_iter()
            .map(|one| one.alert.rule)
            .collect();
        assert_eq!(rules.len(), QUEUED_MAX);
        assert_eq!(rules[..2], ["critical", "warning"]);
        assert_eq!(
            rules.last(),
            Some(&(QUEUED_MAX * 2 - 1).to_string()),
            "the newest stay"
        );
        assert!(
            message
                .text()
                .contains("(1002 less severe or older ones were dropped"),
            "{}",
            message.text()
        );
        queue.failed();
        assert!(
            queue.start(&ALL).unwrap().text().contains("dropped"),
            "until it is delivered"
        );
        queue.succeeded();
        queue.add(transition("small", "other", true));
        assert!(!queue.start(&ALL).unwrap().text().contains("dropped"));
    }

    #[test]
    fn a_refused_message_is_sent_once_more_as_counts_and_blocks_nothing() {
        let mut queue = DeliveryQueue::default();
        queue.add(transition("a", "busy", true));
        let first = queue.start(&ALL).unwrap();
        queue.add(transition("b", "busy", true));
        queue.refused();
        let brief = queue.start(&ALL).unwrap();
        assert!(
            brief.text().contains("1 critical on a") && !brief.text().contains("97 %"),
            "{}",
            brief.text()
        );
        assert_ne!(first.id(), brief.id());
        queue.failed();
        assert_eq!(
            queue.start(&ALL).as_ref(),
            Some(&brief),
            "unreachable is not refused"
        );
        queue.refused();
        assert_eq!(queue.dropped, 1);
        assert_eq!(
            states(&queue.start(&ALL).unwrap()),
            [("b".to_owned(), true)]
        );
        queue.succeeded();
        assert!(queue.is_empty());
    }

    proptest! {
        /// Whichever attempts fail, a receiver gets each change once and in order, and finally the current state.
        #[test]
        fn a_receiver_gets_changes_in_order_and_finally_the_current_state(
            steps in proptest::collection::vec((0u8..4, 0usize..3), 0..80),
        ) {
            let (mut queue, mut current, mut received) = (DeliveryQueue::default(), [false; 3], [false; 3]);
            let mut attempt: Option<Notification> = None;
            let receive = |message: Option<Notification>, received: &mut [bool; 3]| {
                for (host, firing) in message.iter().flat_map(states) {
                    let received = &mut received[host.parse::<usize>().unwrap()];
                    assert_ne!(*received, firing, "sent twice");
                    *received = firing;
                }
            };
            for (step, host) in steps {
                match step {
                    0 | 1 => {
                        current[host] = !current[host];
                        queue.add(transition(&host.to_string(), "busy", current[host]));
                    }
                    2 => match attempt.take() {
                        Some(message) => { receive(Some(message), &mut received); queue.succeeded(); }
                        None => attempt = queue.start(&ALL),
                    },
                    _ => if attempt.take().is_some() { queue.failed() },
                }
            }
            if attempt.is_some() { queue.failed() }
            receive(queue.start(&ALL), &mut received);
            prop_assert_eq!(received, current);
        }
    }
}
