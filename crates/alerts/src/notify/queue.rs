//! The delivery queue of one route. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::notification::Notification;
use crate::Transition;

/// Queued transitions; beyond that the oldest are dropped, because the newest state matters most.
const QUEUED_MAX: usize = 1_000;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DeliveryQueue {
    /// Part of the attempt under way, whose result is unknown.
    #[serde(default)]
    sending: Vec<Transition>,
    waiting: VecDeque<Transition>,
    /// Transitions dropped because the queue was full.
    pub(super) dropped: u64,
}

impl DeliveryQueue {
    /// Adds a transition. Of one alert only the newest is sent; one that reverts an unsent transition removes
    /// both.
    pub(super) fn add(&mut self, transition: Transition) {
        let is_same = |queued: &Transition| queued.alert.key() == transition.alert.key();
        if let Some(at) = self.waiting.iter().position(is_same) {
            let before = self.waiting.remove(at);
            if before.is_some_and(|before| before.firing != transition.firing) {
                return;
            }
        }
        if self.waiting.len() >= QUEUED_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(transition);
    }

    /// Begins an attempt: everything queued as one notification; none if the queue is empty.
    pub(super) fn start(&mut self) -> Option<Notification> {
        self.sending.extend(self.waiting.drain(..));
        (!self.sending.is_empty()).then(|| Notification(self.sending.clone()))
    }

    pub(super) fn succeeded(&mut self) {
        self.sending.clear();
    }

    pub(super) fn failed(&mut self) {
        let later = std::mem::take(&mut self.waiting);
        let all = std::mem::take(&mut self.sending).into_iter().chain(later);
        all.for_each(|transition| self.add(transition));
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

    fn states(message: &Notification) -> Vec<(String, bool)> {
        let states = message.0.iter();
        states
            .map(|transition| (transition.alert.host.clone(), transition.firing))
            .collect()
    }

    #[test]
    fn only_the_newest_state_of_an_alert_is_sent() {
        let mut queue = DeliveryQueue::default();
        queue.add(transition("a", "busy", true));
        queue.add(transition("b", "busy", true));
        queue.add(transition("a", "busy", false));
        assert_eq!(states(&queue.start().unwrap()), [("b".to_owned(), true)]);
        // A resolution during the attempt is queued, because the result of the attempt is unknown.
        queue.add(transition("b", "busy", false));
        queue.succeeded();
        assert_eq!(states(&queue.start().unwrap()), [("b".to_owned(), false)]);
        queue.add(transition("b", "busy", true));
        queue.failed();
        assert!(queue.start().is_none(), "the receiver knows that it fires");
        for n in 0..QUEUED_MAX * 2 {
            queue.add(transition(&n.to_string(), "busy", true));
        }
        assert_eq!(
            (queue.len(), queue.dropped),
            (QUEUED_MAX, QUEUED_MAX as u64)
        );
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
                        None => attempt = queue.start(),
                    },
                    _ => if attempt.take().is_some() { queue.failed() },
                }
            }
            if attempt.is_some() { queue.failed() }
            receive(queue.start(), &mut received);
            prop_assert_eq!(received, current);
        }
    }
}
