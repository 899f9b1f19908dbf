//! Sources that may block (custom files and commands, drivers), each on a thread of its own, so that none delays
//! a sample.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sysmon_wire::SeriesKey;

use crate::board::{Board, Slot};

pub(super) const SERIES_MAX: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) values: Vec<(SeriesKey, i64)>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Default)]
struct Published {
    generation: u64,
    reading: Reading,
}

#[derive(Debug)]
pub(super) struct Background {
    published: Arc<Mutex<Published>>,
    collected: u64,
    slots: HashMap<SeriesKey, Slot>,
    current: Vec<Slot>,
}

impl Background {
    /// Calls `read` every `period` until it returns none. If the thread cannot be started, the source has no
    /// values.
    pub(super) fn start(
        name: &str,
        period: Duration,
        mut read: impl FnMut() -> Option<Reading> + Send + 'static,
    ) -> Self {
        let published = Arc::<Mutex<Published>>::default();
        let shared = Arc::clone(&published);
        let body = move || {
            while let Some(mut reading) = read() {
                reading.values.truncate(SERIES_MAX);
                let mut published = shared.lock().unwrap_or_else(PoisonError::into_inner);
                published.generation += 1;
                published.reading.values = reading.values;
                published.reading.notes.extend(reading.notes);
                drop(published);
                if Arc::strong_count(&shared) == 1 {
                    return;
                }
                thread::sleep(period);
            }
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
            tracing::warn!(source = name, %error, "cannot start a thread; source is not collected");
        }
        Self {
            published,
            collected: 0,
            slots: HashMap::new(),
            current: Vec::new(),
        }
    }

    /// Moves the newest reading to the board, and its notes to `notes`.
    pub(super) fn collect(&mut self, board: &mut Board, notes: &mut Vec<String>) {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if published.generation == self.collected {
            return;
        }
        self.collected = published.generation;
        notes.append(&mut published.reading.notes);
        self.current.drain(..).for_each(|slot| board.clear(slot));
        for (key, value) in published.reading.values.drain(..) {
            let slot = match self.slots.get(&key) {
                Some(slot) => *slot,
                None if self.slots.len() >= SERIES_MAX * 2 => continue,
                None => {
                    let slot = board.slot(key.clone());
                    self.slots.insert(key, slot);
                    slot
                }
            };
            board.set(slot, value);
            self.current.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::ABSENT;
    use sysmon_wire::metrics::UPTIME;

    #[test]
    fn values_are_set_while_the_source_has_them_and_cleared_afterwards() {
        let mut reads = 0;
        let mut source = Background::start("test", Duration::from_millis(1), move || {
            reads += 1;
            let values = if reads < 50 {
                vec![(UPTIME.series(&[]), 7)]
            } else {
                Vec::new()
            };
            Some(Reading {
                values,
                notes: vec![format!("read {reads}")],
            })
        });
        let (mut board, mut notes) = (Board::new(), Vec::new());
        let until =
            |source: &mut Background, board: &mut Board, notes: &mut Vec<String>, wanted: i64| {
                for _ in 0..5000 {
                    source.collect(board, notes);
                    if board.values().first() == Some(&wanted) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                panic!("never {wanted}");
            };
        until(&mut source, &mut board, &mut notes, 7);
        until(&mut source, &mut board, &mut notes, ABSENT);
        assert_eq!(notes[0], "read 1");
    }
}
