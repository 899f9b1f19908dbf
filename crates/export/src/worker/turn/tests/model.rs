//! Models of a hub and of an engine.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use sysmon_wire::metrics::LOAD_1M;
use sysmon_wire::timeline::EventKind;
use sysmon_wire::{HostFacts, SeriesKey};

use super::*;
use crate::{HostMinutes, HostNow, HostRows, LateRows, Minute, Span, Step};

/// A hub with one series for each host.
#[derive(Default)]
pub(super) struct FakeHub {
    pub(super) rows: BTreeMap<Label, Vec<i64>>,
    pub(super) late: Vec<LateRows>,
    /// Rows before this are gone.
    pub(super) horizon: i64,
    /// Hosts of events, the first of which has the id 1.
    pub(super) events: Vec<Label>,
}

pub(super) const MINUTE_MS: i64 = 60_000;

/// A minute that says which row it is of.
pub(super) fn one_row(time: i64) -> (usize, Minute) {
    let minute = Minute {
        time,
        count: 1,
        ..Minute::default()
    };
    (0, minute)
}

impl FakeHub {
    pub(super) fn add(&mut self, host: &str, time: i64) {
        let rows = self.rows.entry(host.into()).or_default();
        if rows.last().is_some_and(|newest| time <= *newest) {
            self.late.push(LateRows {
                id: self.late.len() as i64 + 1,
                host: host.into(),
                span: Span::from((time, time)),
            });
        }
        rows.push(time);
        rows.sort_unstable();
    }
}

#[derive(Default)]
pub(super) struct FakeEngine {
    pub(super) got: Vec<(Label, i64)>,
    /// The rows of which the minutes are made that the engine has.
    pub(super) minutes: BTreeMap<(Label, i64), Vec<i64>>,
    pub(super) stored: Option<Cursor>,
    pub(super) stores: bool,
    pub(super) fails: Option<&'static str>,
    pub(super) gone: Vec<Label>,
    pub(super) batches: Vec<usize>,
    pub(super) events: Vec<(i64, Label)>,
}

#[derive(Default)]
pub(super) struct Shared<T>(pub(super) Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Source for Shared<FakeHub> {
    fn present(&mut self) -> Result<Vec<HostNow>, SourceError> {
        Ok(Vec::new())
    }

    fn committed(&mut self) -> Committed {
        let newest = |hub: &mut FakeHub| {
            let hosts = hub.rows.iter();
            hosts
                .filter_map(|(host, rows)| Some((host.clone(), UnixMs(*rows.last()?))))
                .collect()
        };
        Committed {
            newest: self.with(newest),
            ..Committed::default()
        }
    }

    fn late_since(&mut self, id: i64) -> Result<Vec<LateRows>, SourceError> {
        Ok(self.with(|hub| {
            hub.late
                .iter()
                .filter(|late| late.id > id)
                .cloned()
                .collect()
        }))
    }

    fn newest_late(&mut self) -> Result<i64, SourceError> {
        Ok(self.with(|hub| hub.late.len() as i64))
    }

    fn rows(&mut self, host: &Label, span: Span) -> Result<Option<HostRows>, SourceError> {
        let times: Vec<i64> = self.with(|hub| {
            let rows = hub.rows.get(host).cloned().unwrap_or_default();
            let held = rows.into_iter().filter(|time| *time >= hub.horizon);
            held.filter(|time| (span.from.0..=span.to.0).contains(time))
                .collect()
        });
        let key: Arc<SeriesKey> = Arc::new(LOAD_1M.series(&[]));
        let ranked = Arc::new(LOAD_1M.series(&[("sysmon.rank", "1")]));
        Ok(Some(HostRows {
            host: host.clone(),
            facts: Arc::new(HostFacts::unknown()),
            columns: vec![
                times.iter().map(|time| *time as f64).collect(),
                vec![1.0; times.len()],
            ],
            keys: vec![key, ranked],
            times,
            span,
            step: Step::Rows,
            is_late: false,
        }))
    }

    fn minutes(&mut self, host: &Label, span: Span) -> Result<Option<HostMinutes>, SourceError> {
        let rows = self.rows(host, span)?;
        Ok(rows.map(|rows| HostMinutes {
            host: rows.host,
            facts: rows.facts,
            keys: rows.keys,
            span,
            minutes: rows.times.iter().map(|time| one_row(*time)).collect(),
            is_late: false,
        }))
    }

    fn oldest(&mut self, host: &Label) -> Result<Option<UnixMs>, SourceError> {
        let oldest = |hub: &mut FakeHub| {
            let rows = hub.rows.get(host)?.iter().copied();
            rows.filter(|time| *time >= hub.horizon).min().map(UnixMs)
        };
        Ok(self.with(oldest))
    }

    fn exports_events_of(&self, host: &Label) -> bool {
        *host != "left-out"
    }

    fn newest_event(&mut self) -> Result<i64, SourceError> {
        Ok(0)
    }

    fn events_since(&mut self, id: i64) -> Result<Vec<(i64, Event)>, SourceError> {
        let event = |(id, host): (i64, &Label)| {
            let event = Event {
                time: UnixMs(BEGIN),
                host: host.clone(),
                kind: EventKind::Joined,
                text: "".into(),
            };
            (id, event)
        };
        let new = |hub: &mut FakeHub| {
            let events = (1..).zip(&hub.events).filter(|(number, _)| *number > id);
            events.map(event).collect()
        };
        Ok(self.with(new))
    }
}

impl Engine for Shared<FakeEngine> {
    fn batch_cells(&self) -> usize {
        40
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn wants_minutes(&self) -> bool {
        true
    }

    fn stores_cursor(&self) -> bool {
        self.with(|engine| engine.stores)
    }

    fn stored_cursor(&mut self) -> Result<Option<Cursor>, EngineError> {
        Ok(self.with(|engine| engine.stored.clone()))
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        self.with(|engine| {
            if let Some(reason) = engine.fails {
                return Err(EngineError::unavailable(reason));
            }
            engine
                .batches
                .push(batch.hosts.iter().map(HostRows::cells).sum());
            for rows in batch.hosts {
                assert_eq!(rows.keys.len(), 1, "ranks are not exported");
                engine
                    .got
                    .extend(rows.times.iter().map(|time| (rows.host.clone(), *time)));
            }
            for HostMinutes {
                host,
                span,
                minutes,
                is_late,
                ..
            } in batch.minutes
            {
                let is_replaced =
                    |at: &(Label, i64)| at.0 == *host && (span.from.0..=span.to.0).contains(&at.1);
                let before = engine.minutes.len();
                engine.minutes.retain(|at, _| !is_replaced(at));
                assert!(*is_late || engine.minutes.len() == before, "sent once only");
                for (_, minute) in minutes {
                    let at = (host.clone(), UnixMs(minute.time).floor(MINUTE_MS).0);
                    engine.minutes.entry(at).or_default().push(minute.time);
                }
            }
            engine.gone.extend(batch.gone.iter().cloned());
            let events = batch.events.iter();
            engine
                .events
                .extend(events.map(|(id, event)| (*id, event.host.clone())));
            engine.stored = Some(batch.cursor.clone());
            Ok(Sent {
                samples: batch.hosts.iter().map(|rows| rows.samples() as u64).sum(),
                ..Sent::default()
            })
        })
    }

    fn test(&mut self) -> Result<String, EngineError> {
        Ok(String::new())
    }
}
