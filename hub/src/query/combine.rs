//! Groups and ranks series. Pure.

use std::collections::BTreeMap;

use sysmon_series::quantile;
use sysmon_wire::Label;
use sysmon_wire::message::{Aggregate, Group, Points};

pub(super) const HOST: &str = "host";

/// Groups series, and returns the `top` with the highest mean; all of them if `top` is 0.
///
/// All have the same steps. A series without one of the attributes is grouped as if it were empty.
pub fn combine(all: Vec<Points>, group: Option<&Group>, top: usize) -> Vec<Points> {
    let mut all = match group {
        Some(group) => grouped(all, group),
        None => all,
    };
    if top > 0 && top < all.len() {
        all.sort_by(|a, b| mean(&b.values).total_cmp(&mean(&a.values)));
        all.truncate(top);
    }
    all
}

/// The mean of the present values; below every number if there are none.
fn mean(values: &[f64]) -> f64 {
    let there = values.iter().filter(|value| !value.is_nan());
    let (count, sum) = there.fold((0u32, 0.0), |(count, sum), value| (count + 1, sum + value));
    if count == 0 {
        f64::NEG_INFINITY
    } else {
        sum / f64::from(count)
    }
}

fn grouped(all: Vec<Points>, group: &Group) -> Vec<Points> {
    let mut groups: BTreeMap<Vec<Label>, Vec<Points>> = BTreeMap::new();
    for points in all {
        let value = |name: &Label| {
            if name.as_str() == HOST {
                return points.host.clone();
            }
            let found = points.attributes.iter().find(|(key, _)| key == name);
            found.map_or_else(|| Label::new(""), |(_, value)| value.clone())
        };
        let key = group.by.iter().map(value).collect();
        groups.entry(key).or_default().push(points);
    }
    groups
        .into_iter()
        .filter_map(|(key, members)| {
            let first = members.first()?;
            let named = group.by.iter().cloned().zip(key);
            let (host, attributes): (Vec<_>, Vec<_>) =
                named.partition(|(name, _)| name.as_str() == HOST);
            Some(Points {
                host: host
                    .into_iter()
                    .next()
                    .map_or_else(|| Label::new(""), |(_, host)| host),
                metric: first.metric.clone(),
                unit: first.unit.clone(),
                attributes,
                start: first.start,
                step_ms: first.step_ms,
                values: across(&members, group.across),
            })
        })
        .collect()
}

fn across(members: &[Points], how: Aggregate) -> Vec<f64> {
    let steps = members.iter().map(|points| points.values.len()).max();
    let mut there: Vec<f64> = Vec::with_capacity(members.len());
    (0..steps.unwrap_or(0))
        .map(|step| {
            there.clear();
            let values = members.iter().filter_map(|points| points.values.get(step));
            there.extend(values.filter(|value| !value.is_nan()));
            if there.is_empty() {
                return f64::NAN;
            }
            let sum = || there.iter().sum::<f64>();
            match how {
                Aggregate::Sum => sum(),
                Aggregate::Min => there.iter().copied().fold(f64::INFINITY, f64::min),
                Aggregate::Max => there.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                Aggregate::Quantile(permille) => {
                    there.sort_unstable_by(f64::total_cmp);
                    quantile(&there, f64::from(permille) / 1000.0)
                }
                // Plans refuse `Last` and `Rate`.
                Aggregate::Mean | Aggregate::Last | Aggregate::Rate => sum() / there.len() as f64,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;

    fn points(host: &str, disk: &str, values: &[f64]) -> Points {
        Points {
            host: host.into(),
            metric: "system.disk.io".into(),
            unit: "By/s".into(),
            attributes: vec![("system.device".into(), disk.into())],
            start: UnixMs(0),
            step_ms: 1000,
            values: values.to_vec(),
        }
    }

    fn all() -> Vec<Points> {
        vec![
            points("a", "sda", &[1.0, f64::NAN]),
            points("a", "sdb", &[2.0, 4.0]),
            points("b", "sda", &[9.0, 5.0]),
        ]
    }

    fn group(by: &[&str], across: Aggregate) -> Option<Group> {
        let by = by.iter().map(|name| Label::new(name)).collect();
        Some(Group { by, across })
    }

    #[test]
    fn series_are_grouped_by_host_or_by_device() {
        let by_host = combine(all(), group(&["host"], Aggregate::Sum).as_ref(), 0);
        let found: Vec<_> = by_host
            .iter()
            .map(|points| (points.host.as_str(), &points.values[..]))
            .collect();
        assert_eq!(found, [("a", &[3.0, 4.0][..]), ("b", &[9.0, 5.0][..])]);
        let by_disk = combine(all(), group(&["system.device"], Aggregate::Max).as_ref(), 0);
        assert_eq!(
            by_disk[0].attributes,
            [("system.device".into(), "sda".into())]
        );
        assert_eq!(
            (by_disk[0].host.as_str(), &by_disk[0].values[..]),
            ("", &[9.0, 5.0][..])
        );
        let one = combine(all(), group(&[], Aggregate::Quantile(500)).as_ref(), 0);
        assert_eq!((one.len(), &one[0].values[..]), (1, &[2.0, 4.5][..]));
    }

    #[test]
    fn the_highest_series_come_first_and_empty_ones_last() {
        let mut all = all();
        all.push(points("c", "sda", &[f64::NAN, f64::NAN]));
        let top = combine(all, None, 2);
        let hosts: Vec<_> = top.iter().map(|points| points.host.as_str()).collect();
        assert_eq!(hosts, ["b", "a"]);
        assert_eq!(top[1].values, [2.0, 4.0]);
    }
}
