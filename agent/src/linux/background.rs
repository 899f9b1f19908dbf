//! Things that may take long (other people's files and commands, drivers): read on a thread of their
//! own, so that none of them can hold up a sample.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sysmon_wire::SeriesKey;

use crate::board::{Board, Slot};

/// Series one background source may have.
pub(super) const SERIES_MAX: usize = 512;

/// What a source found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) values: Vec<(SeriesKey, i64)>,
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Default)]
struct Published {
    generation: u64,
    found: Found,
}

/// A source on a thread of its own.
#[derive(Debug)]
pub(super) struct Background {
    published: Arc<Mutex<Published>>,
    seen: u64,
    slots: HashMap<SeriesKey, Slot>,
    shown: Vec<Slot>,
}

impl Background {
    /// Calls `look` every `period` until it returns nothing. Where no thread can be had there is
    /// nothing to see.
    pub(super) fn start(
        name: &str,
        period: Duration,
        mut look: impl FnMut() -> Option<Found> + Send + 'static,
    ) -> Self {
        let published = Arc::<Mutex<Published>>::default();
        let shared = Arc::clone(&published);
        let body = move || {
            while let Some(mut found) = look() {
                found.values.truncate(SERIES_MAX);
                let mut published = shared.lock().unwrap_or_else(PoisonError::into_inner);
                published.generation += 1;
                published.found.values = found.values;
                published.found.notes.extend(found.notes);
                drop(published);
                if Arc::strong_count(&shared) == 1 {
                    return;
                }
                thread::sleep(period);
            }
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(body) {
            tracing::warn!("{name} is not collected: {error}");
        }
        Self {
            published,
            seen: 0,
            slots: HashMap::new(),
            shown: Vec::new(),
        }
    }

    /// Takes what was found since the last time; notes go to `notes`.
    pub(super) fn collect(&mut self, board: &mut Board, notes: &mut Vec<String>) {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if published.generation == self.seen {
            return;
        }
        self.seen = published.generation;
        notes.append(&mut published.found.notes);
        // What is not found any more has no value.
        self.shown.drain(..).for_each(|slot| board.clear(slot));
        for (key, value) in published.found.values.drain(..) {
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
            self.shown.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::ABSENT;
    use sysmon_wire::metrics::UPTIME;

    #[test]
    fn what_is_found_comes_onto_the_board_and_what_is_gone_leaves_it() {
        let mut looks = 0;
        let mut source = Background::start("test", Duration::from_millis(1), move || {
            looks += 1;
            let values = if looks < 50 {
                vec![(UPTIME.series(&[]), 7)]
            } else {
                Vec::new()
            };
            Some(Found {
                values,
                notes: vec![format!("look {looks}")],
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
        assert_eq!(notes[0], "look 1");
    }
}
