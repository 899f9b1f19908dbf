//! Sources that may block (custom files and commands, drivers), each on a thread of its own, so that none delays
//! a sample.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sysmon_wire::{LimitState, SeriesKey};

use crate::board::Board;
use crate::listing::ListLimit;
use crate::present::PresentSeries;

pub(crate) const SERIES_MAX: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) values: Vec<(SeriesKey, i64)>,
    /// Every problem that there is now.
    pub(crate) notes: Vec<String>,
    /// Values beyond [`SERIES_MAX`].
    pub(crate) left_out: usize,
}

#[derive(Debug, Default)]
struct Published {
    generation: u64,
    reading: Reading,
}

/// Where a source hands over its newest reading.
#[derive(Debug)]
pub(crate) struct Publisher(Arc<Mutex<Published>>);

impl Publisher {
    pub(crate) fn publish(&self, mut reading: Reading) {
        reading.left_out += reading.values.len().saturating_sub(SERIES_MAX);
        reading.values.truncate(SERIES_MAX);
        let mut published = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        published.generation += 1;
        published.reading = reading;
    }

    /// Whether nobody will collect what is published.
    pub(crate) fn is_closed(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

#[derive(Debug)]
pub(crate) struct Background {
    published: Arc<Mutex<Published>>,
    collected: u64,
    series: PresentSeries,
    notes: Vec<String>,
    limit: ListLimit,
}

impl Background {
    /// Calls `read` every `period` until it returns none. If the thread cannot be started, the source has no
    /// values.
    pub(crate) fn start(
        name: &str,
        period: Duration,
        read: impl FnMut() -> Option<Reading> + Send + 'static,
    ) -> Self {
        Self::start_after(Duration::ZERO, name, period, read)
    }

    /// Like [`Self::start`], with this time before the first reading.
    pub(crate) fn start_after(
        delay: Duration,
        name: &str,
        period: Duration,
        mut read: impl FnMut() -> Option<Reading> + Send + 'static,
    ) -> Self {
        Self::spawn(name, move |publisher| {
            if !delay.is_zero() {
                thread::sleep(delay);
                if publisher.is_closed() {
                    return;
                }
            }
            while let Some(reading) = read() {
                publisher.publish(reading);
                if publisher.is_closed() {
                    return;
                }
                thread::sleep(period);
            }
        })
    }

    /// Runs `body` on a thread of its own, which publishes when it has something new. If the thread cannot be started,
    /// the source has no values.
    pub(crate) fn spawn(name: &str, body: impl FnOnce(Publisher) + Send + 'static) -> Self {
        let published = Arc::<Mutex<Published>>::default();
        let publisher = Publisher(Arc::clone(&published));
        let thread = thread::Builder::new().name(name.to_owned());
        if let Err(error) = thread.spawn(move || body(publisher)) {
            tracing::warn!(source = name, %error, "cannot start a thread; source is not collected");
        }
        Self {
            published,
            collected: 0,
            series: PresentSeries::default(),
            notes: Vec::new(),
            limit: ListLimit::new("metrics", SERIES_MAX),
        }
    }

    /// Moves the newest reading to the board.
    pub(crate) fn collect(&mut self, board: &mut Board) {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if published.generation == self.collected {
            return;
        }
        self.collected = published.generation;
        let reading = std::mem::take(&mut published.reading);
        drop(published);
        self.notes = reading.notes;
        let present = reading.values.len() + reading.left_out;
        self.limit.set_present(present);
        for (key, value) in reading.values {
            self.series.set(board, key, value);
        }
        self.series.release_others(board);
    }

    /// The limit of each source: that of the fullest, and what all of them left out.
    pub(crate) fn limit(name: &'static str, sources: &[Self]) -> LimitState {
        let mut all = ListLimit::new(name, SERIES_MAX).state();
        for state in sources.iter().map(|source| source.limit.state()) {
            all.current = all.current.max(state.current);
            all.reached_total += state.reached_total;
        }
        all
    }

    /// The problems of the newest reading.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
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
                left_out: 0,
            })
        });
        let mut board = Board::new();
        let until = |source: &mut Background, board: &mut Board, wanted: i64| {
            for _ in 0..5000 {
                source.collect(board);
                if board.values().first() == Some(&wanted) {
                    return;
                }
                thread::sleep(Duration::from_millis(1));
            }
            panic!("never {wanted}");
        };
        until(&mut source, &mut board, 7);
        until(&mut source, &mut board, ABSENT);
        assert!(
            source.notes()[0].starts_with("read "),
            "{:?}",
            source.notes()
        );
        assert_eq!(source.notes().len(), 1);
    }

    #[test]
    fn labels_that_change_with_every_reading_do_not_use_up_the_series() {
        let (send, received) = std::sync::mpsc::sync_channel::<usize>(0);
        let mut source = Background::start("test", Duration::ZERO, move || {
            let number = received.recv().ok()?;
            let of = |at: usize| ("system.device", format!("{number}-{at}"));
            let keys = (0..SERIES_MAX).map(of);
            let values = keys.map(|(name, value)| (UPTIME.series(&[(name, &value)]), 1));
            Some(Reading {
                values: values.collect(),
                ..Reading::default()
            })
        });
        let mut board = Board::new();
        for number in 0..20 {
            send.send(number).unwrap();
            let wanted = format!("{number}-{}", SERIES_MAX - 1);
            let is_wanted = |(key, value): (&SeriesKey, &i64)| {
                *value == 1 && key.attributes.first().is_some_and(|(_, v)| *v == *wanted)
            };
            let mut tries = 0;
            while !board.keys().iter().zip(board.values()).any(is_wanted) {
                assert!(tries < 5000, "{wanted} never has a value");
                tries += 1;
                thread::sleep(Duration::from_millis(1));
                source.collect(&mut board);
            }
            board.tidy();
            assert_eq!(board.series(), SERIES_MAX);
        }
    }
}
