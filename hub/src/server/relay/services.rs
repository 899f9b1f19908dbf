//! Services for the public: checks under their public names, from every place that tries them. Pure.

use std::collections::BTreeMap;

use sysmon_wire::limits::{INCIDENTS_MAX, SERVICE_DAYS, SERVICES_MAX};
use sysmon_wire::message::{Incident, IncidentUpdate, Points, Service, ServiceState, Services};
use sysmon_wire::{Label, UnixMs};

use super::policy::EdgeOptions;
use crate::incidents;

pub(super) const DAY_MS: i64 = 86_400_000;

/// The check that a series is of.
fn check(points: &Points) -> Option<&Label> {
    match points.attributes.as_slice() {
        [(attribute, name)] if attribute == "sysmon.check.name" => Some(name),
        _ => None,
    }
}

fn finite(points: &Points) -> impl DoubleEndedIterator<Item = f64> {
    points
        .values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
}

/// What was known at some moment of every series of `sysmon.check.up`.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The newest values.
    pub(super) present: Vec<Points>,
    /// The last day.
    pub(super) day: Vec<Points>,
    /// A point for each of the last days, today included.
    pub(super) days: Vec<Points>,
}

#[derive(Default)]
struct Seen {
    up: usize,
    down: usize,
    day: Mean,
    days: BTreeMap<i64, Mean>,
}

#[derive(Clone, Copy, Default)]
struct Mean(f64, u32);

impl Mean {
    fn add(&mut self, value: f64) {
        (self.0, self.1) = (self.0 + value, self.1 + 1);
    }

    /// In millionths; all of the time only if it is.
    fn share(self) -> Option<u32> {
        let share = (self.0 / f64::from(self.1)).clamp(0.0, 1.0) * 1e6;
        (self.1 > 0).then_some(share as u32)
    }
}

/// The services that are shared, by their public names.
pub(super) fn services(options: &EdgeOptions, known: &Known, today: UnixMs) -> Vec<Service> {
    let mut seen: BTreeMap<Label, Seen> = BTreeMap::new();
    let mut of = |points: &[Points], add: &dyn Fn(&mut Seen, &Points)| {
        for points in points {
            let public = check(points).and_then(|name| options.public_service(name));
            if let Some(public) = public {
                add(seen.entry(public).or_default(), points);
            }
        }
    };
    of(&known.days, &|seen, points| {
        for (value, n) in points.values.iter().zip(0..) {
            if value.is_finite() {
                let day = (points.start + n * points.step_ms).0.div_euclid(DAY_MS);
                seen.days.entry(day).or_default().add(*value);
            }
        }
    });
    of(&known.day, &|seen, points| {
        finite(points).for_each(|value| seen.day.add(value));
    });
    of(
        &known.present,
        &|seen, points| match finite(points).next_back() {
            Some(value) if value > 0.0 => seen.up += 1,
            Some(_) => seen.down += 1,
            None => {}
        },
    );
    let today = today.0.div_euclid(DAY_MS);
    let services = seen.into_iter().take(SERVICES_MAX);
    services
        .map(|(name, seen)| service(name, &seen, today))
        .collect()
}

fn service(name: Label, seen: &Seen, today: i64) -> Service {
    let state = match (seen.up, seen.down) {
        (0, 0) => ServiceState::Unknown,
        (_, 0) => ServiceState::Up,
        (0, _) => ServiceState::Down,
        _ => ServiceState::Partly,
    };
    let days = i64::try_from(SERVICE_DAYS).unwrap_or(0);
    let day = |day: i64| seen.days.get(&day).copied().unwrap_or_default();
    let last = |count: i64| {
        let mut mean = Mean::default();
        for known in (today - count + 1..=today).map(day).filter(|day| day.1 > 0) {
            mean.add(known.0 / f64::from(known.1));
        }
        // A few days say nothing of a month.
        let is_enough = 2 * i64::from(mean.1) >= count;
        mean.share().filter(|_| is_enough)
    };
    Service {
        name,
        state,
        shares: [seen.day.share(), last(7), last(30), last(days)],
        days: (today - days + 1..=today)
            .map(|at| day(at).share())
            .collect(),
    }
}

/// The newest incidents, with the public names of their services.
pub(super) fn shown(
    options: &EdgeOptions,
    stored: &[incidents::Incident],
    now: UnixMs,
) -> Vec<Incident> {
    let days = i64::try_from(SERVICE_DAYS).unwrap_or(0);
    let oldest = now.0 - days * DAY_MS;
    let is_recent = |one: &&incidents::Incident| one.resolved_ms.is_none_or(|at| at >= oldest);
    let incident = |one: &incidents::Incident| {
        let names = one.checks.iter().map(|name| Label::new(name));
        let update = |update: &incidents::Update| IncidentUpdate {
            time: UnixMs(update.time_ms),
            text: Label::new(&update.text),
        };
        Incident {
            title: Label::new(&one.title),
            services: names
                .filter_map(|name| options.public_service(&name))
                .collect(),
            opened: UnixMs(one.opened_ms),
            resolved: one.resolved_ms.map(UnixMs),
            updates: one.updates.iter().map(update).collect(),
        }
    };
    let newest = stored.iter().rev().filter(is_recent).take(INCIDENTS_MAX);
    newest.map(incident).collect()
}

/// Both.
pub(super) fn all(
    options: &EdgeOptions,
    known: &Known,
    stored: &[incidents::Incident],
    now: UnixMs,
) -> Services {
    Services {
        services: services(options, known, now),
        incidents: shown(options, stored, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(host: &str, name: &str, (start, step_ms): (i64, i64), values: &[f64]) -> Points {
        Points {
            host: host.into(),
            metric: "sysmon.check.up".into(),
            unit: "1".into(),
            attributes: vec![("sysmon.check.name".into(), name.into())],
            start: UnixMs(start),
            step_ms,
            values: values.to_vec(),
        }
    }

    fn options(shares: &[&str]) -> EdgeOptions {
        EdgeOptions {
            checks: shares.iter().map(|share| share.parse().unwrap()).collect(),
            ..EdgeOptions::default()
        }
    }

    #[test]
    fn a_service_is_what_all_places_see_of_it_and_others_stay_secret() {
        let nan = f64::NAN;
        let known = Known {
            present: vec![
                points("a", "shop", (0, 5_000), &[0.0, 1.0, nan]),
                points("b", "shop", (0, 5_000), &[0.0]),
                points("b", "secret", (0, 5_000), &[1.0]),
            ],
            day: vec![points("a", "shop", (0, 600_000), &[1.0, 0.5])],
            days: vec![points(
                "a",
                "shop",
                (95 * DAY_MS, DAY_MS),
                &[0.8, 1.0, 1.0, nan, 0.9],
            )],
        };
        let shown = services(
            &options(&["shop=Online shop"]),
            &known,
            UnixMs(99 * DAY_MS + 5),
        );
        assert_eq!(shown.len(), 1);
        let shop = &shown[0];
        assert_eq!(
            (shop.name.as_str(), shop.state),
            ("Online shop", ServiceState::Partly)
        );
        assert_eq!(shop.days.len(), 90);
        assert_eq!(shop.days[87..], [Some(1_000_000), None, Some(900_000)]);
        assert_eq!(shop.shares, [Some(750_000), Some(924_999), None, None]);
        assert!(!format!("{shown:?}").contains("secret"));
        assert_eq!(services(&options(&[]), &known, UnixMs(0)), []);
    }

    #[test]
    fn a_share_is_all_of_the_time_only_if_it_is() {
        let mut mean = Mean::default();
        (0..9_999_999).for_each(|_| mean.1 += 1);
        mean.0 = 9_999_998.9;
        assert_eq!(mean.share(), Some(999_999));
        assert_eq!(Mean::default().share(), None);
    }

    #[test]
    fn incidents_name_shared_services_only_and_old_ones_go() {
        let incident = |id: u32, checks: &[&str], resolved_ms| incidents::Incident {
            id,
            title: "slow".to_owned(),
            checks: checks.iter().map(ToString::to_string).collect(),
            opened_ms: 1,
            resolved_ms,
            updates: vec![incidents::Update {
                time_ms: 2,
                text: "found \u{1b}[2J it".to_owned(),
            }],
        };
        let now = UnixMs(100 * DAY_MS);
        let stored = [
            incident(1, &[], Some(5)),
            incident(2, &["shop", "secret"], None),
        ];
        let shown = shown(&options(&["shop=Online shop"]), &stored, now);
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].services, ["Online shop"]);
        let said = format!("{shown:?}");
        assert!(
            !said.contains("secret") && !said.contains('\u{1b}'),
            "{said}"
        );
    }
}
