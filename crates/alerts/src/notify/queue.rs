//! What waits to be told over one route. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::message::{Message, Told};

/// Alerts that wait; past that the oldest are dropped, for the newest state is what matters.
const WAITING_MAX: usize = 1_000;

/// What waits to be told, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// On its way: whether it arrives is not known yet.
    #[serde(default)]
    sending: Vec<Told>,
    waiting: VecDeque<Told>,
    /// How many were dropped because there were too many.
    dropped: u64,
}

impl Queue {
    /// Adds something to tell. Of one alert only the newest state is told: if nobody knows that it fired,
    /// nobody needs to know that it is over, and the other way round.
    pub fn add(&mut self, told: Told) {
        let is_same = |waiting: &Told| waiting.alert.is_about(&told.alert);
        if let Some(at) = self.waiting.iter().position(is_same) {
            let before = self.waiting.remove(at);
            if before.is_some_and(|before| before.firing != told.firing) {
                return;
            }
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(told);
    }

    /// Everything that waits, in one message that is on its way from now on; none if nothing waits.
    pub fn send(&mut self) -> Option<Message> {
        self.sending.extend(self.waiting.drain(..));
        (!self.sending.is_empty()).then(|| Message(self.sending.clone()))
    }

    /// What was on its way arrived.
    pub fn arrived(&mut self) {
        self.sending.clear();
    }

    /// What was on its way did not arrive, and waits again.
    pub fn failed(&mut self) {
        let later = std::mem::take(&mut self.waiting);
        let all = std::mem::take(&mut self.sending).into_iter().chain(later);
        all.for_each(|told| self.add(told));
    }

    /// How many wait, and how many were dropped.
    pub fn figures(&self) -> (usize, u64) {
        (self.sending.len() + self.waiting.len(), self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::told;
    use super::*;
    use proptest::prelude::*;

    fn states(message: &Message) -> Vec<(String, bool)> {
        let states = message.0.iter();
        states
            .map(|told| (told.alert.host.clone(), told.firing))
            .collect()
    }

    #[test]
    fn of_one_alert_only_the_newest_state_is_told() {
        let mut queue = Queue::default();
        queue.add(told("a", "busy", true));
        queue.add(told("b", "busy", true));
        queue.add(told("a", "busy", false));
        assert_eq!(states(&queue.send().unwrap()), [("b".to_owned(), true)]);
        // Its end comes while it is on its way: it waits, for whether that arrives is not known.
        queue.add(told("b", "busy", false));
        queue.arrived();
        assert_eq!(states(&queue.send().unwrap()), [("b".to_owned(), false)]);
        queue.add(told("b", "busy", true));
        queue.failed();
        assert!(queue.send().is_none(), "they know that it fires");
        for n in 0..WAITING_MAX * 2 {
            queue.add(told(&n.to_string(), "busy", true));
        }
        assert_eq!(queue.figures(), (WAITING_MAX, WAITING_MAX as u64));
    }

    proptest! {
        /// Whatever fails and whenever, who is told has heard each change once, and in the end the truth.
        #[test]
        fn a_receiver_hears_changes_in_turn_and_in_the_end_the_truth(
            steps in proptest::collection::vec((0u8..4, 0usize..3), 0..80),
        ) {
            let (mut queue, mut truth, mut heard) = (Queue::default(), [false; 3], [false; 3]);
            let mut on_its_way: Option<Message> = None;
            let hear = |message: Option<Message>, heard: &mut [bool; 3]| {
                for (host, firing) in message.iter().flat_map(states) {
                    let heard = &mut heard[host.parse::<usize>().unwrap()];
                    assert_ne!(*heard, firing, "told twice");
                    *heard = firing;
                }
            };
            for (step, host) in steps {
                match step {
                    0 | 1 => {
                        truth[host] = !truth[host];
                        queue.add(told(&host.to_string(), "busy", truth[host]));
                    }
                    2 => match on_its_way.take() {
                        Some(message) => { hear(Some(message), &mut heard); queue.arrived(); }
                        None => on_its_way = queue.send(),
                    },
                    _ => if on_its_way.take().is_some() { queue.failed() },
                }
            }
            if on_its_way.is_some() { queue.failed() }
            hear(queue.send(), &mut heard);
            prop_assert_eq!(heard, truth);
        }
    }
}
