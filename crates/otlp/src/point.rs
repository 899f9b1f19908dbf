//! One metric of a message: its points as values of series, and as inputs of what is computed from them. Pure.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint};
use sysmon_wire::limits::{ATTRIBUTES_PER_SERIES_MAX, LABEL_BYTES_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::metrics::metric as registered;
use sysmon_wire::{Kind, Label, MetricDef, Number, ScaleRange, SeriesKey, UnixMs};

use crate::names::{Mapping, Rename, Role, Values, factor, mapping};
use crate::rejections::{Reason, Rejections};
use crate::resource::label;

/// Metrics under their own names whose scale is remembered, of one host.
const SCALES_MAX: usize = SERIES_PER_HOST_MAX;

/// Bit of a point's flags: it says that there is no value.
const NO_RECORDED_VALUE: u32 = 1;

/// A point that is kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) time: UnixMs,
    /// Its series and value; none where only something computed is kept, or where it says that there is no value.
    pub(crate) value: Option<(SeriesKey, i64)>,
    pub(crate) input: Option<Input>,
}

/// A point that something is computed from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    pub(crate) role: Role,
    /// Under our names, those that are left out of the series included under theirs.
    pub(crate) attributes: Vec<(Label, Label)>,
    pub(crate) value: f64,
}

impl Input {
    pub(crate) fn attribute(&self, name: &str) -> Option<&Label> {
        let found = self.attributes.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }
}

/// Which times are accepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) oldest: UnixMs,
    pub(crate) newest: UnixMs,
}

/// The scales of metrics that are kept under their own names.
pub(crate) type Scales = HashMap<Label, ScaleRange>;

/// What a metric is kept as.
enum Target {
    Mapped(&'static Mapping),
    /// A metric of the registry that they call the same.
    Registered(MetricDef),
    Custom(MetricDef),
}

/// The points of a metric with numbers; an error if none of its points is kept.
fn numbers(metric: &Metric) -> Result<(&[NumberDataPoint], Kind), (Reason, usize)> {
    match &metric.data {
        Some(Data::Gauge(gauge)) => Ok((&gauge.data_points, Kind::Gauge)),
        Some(Data::Sum(sum)) => {
            if sum.aggregation_temporality == AggregationTemporality::Delta as i32 {
                return Err((Reason::Delta, sum.data_points.len()));
            }
            let kind = if sum.is_monotonic {
                Kind::Counter
            } else {
                Kind::Gauge
            };
            Ok((&sum.data_points, kind))
        }
        Some(Data::Histogram(data)) => Err((Reason::Distribution, data.data_points.len())),
        Some(Data::ExponentialHistogram(data)) => {
            Err((Reason::Distribution, data.data_points.len()))
        }
        Some(Data::Summary(data)) => Err((Reason::Distribution, data.data_points.len())),
        None => Err((Reason::NoData, 1)),
    }
}

/// Reads the points of a metric of one host; `parts` tell its resource from others of the host.
pub(crate) fn read(
    metric: &Metric,
    parts: &[(Label, Label)],
    span: Span,
    scales: &mut Scales,
    rejections: &mut Rejections,
) -> Vec<Reading> {
    let (points, kind) = match numbers(metric) {
        Ok(numbers) => numbers,
        Err((reason, points)) => {
            rejections.add(reason, points);
            return Vec::new();
        }
    };
    let target = match target(metric, points, kind, scales) {
        Ok(target) => target,
        Err(reason) => {
            rejections.add(reason, points.len());
            return Vec::new();
        }
    };
    let mut readings = Vec::with_capacity(points.len());
    for point in points {
        match reading(metric, point, &target, parts, span, scales) {
            Ok(reading) => readings.push(reading),
            Err(reason) => rejections.add(reason, 1),
        }
    }
    readings
}

fn target(
    metric: &Metric,
    points: &[NumberDataPoint],
    kind: Kind,
    scales: &mut Scales,
) -> Result<Target, Reason> {
    let (name, unit) = (metric.name.as_str(), metric.unit.as_str());
    if name.is_empty() || name.len() > LABEL_BYTES_MAX || unit.len() > LABEL_BYTES_MAX {
        return Err(Reason::Name);
    }
    if name.starts_with("sysmon.") {
        return Err(Reason::Reserved);
    }
    if let Some(mapping) = mapping(name) {
        return Ok(Target::Mapped(mapping));
    }
    // An agent's metrics of processes are of ranks, not of processes.
    let known =
        registered(name).filter(|known| known.kind == kind && !name.starts_with("process."));
    if let Some(known) = known {
        return Ok(Target::Registered(known.def()));
    }
    let name = Label::new(name);
    if scales.len() >= SCALES_MAX && !scales.contains_key(&name) {
        return Err(Reason::Series);
    }
    let range = scales.entry(name.clone());
    let range = range.or_insert_with(|| ScaleRange::new(points.iter().all(is_integer)));
    for number in points.iter().filter_map(number).filter(is_finite) {
        range.extend(number);
    }
    range.settle();
    Ok(Target::Custom(MetricDef {
        name,
        unit: Label::new(if unit.is_empty() { "1" } else { unit }),
        kind,
        scale: range.scale(),
    }))
}

fn is_integer(point: &NumberDataPoint) -> bool {
    matches!(point.value, Some(Value::AsInt(_)))
}

fn is_finite(number: &Number) -> bool {
    number.as_f64().is_finite()
}

/// None where the point says that there is no value.
fn number(point: &NumberDataPoint) -> Option<Number> {
    if point.flags & NO_RECORDED_VALUE != 0 {
        return None;
    }
    match point.value? {
        Value::AsInt(integer) => Some(Number::Integer(integer)),
        Value::AsDouble(float) if float.is_nan() => None,
        Value::AsDouble(float) => Some(Number::from(float)),
    }
}

fn reading(
    metric: &Metric,
    point: &NumberDataPoint,
    target: &Target,
    parts: &[(Label, Label)],
    span: Span,
    scales: &Scales,
) -> Result<Reading, Reason> {
    let time = i64::try_from(point.time_unix_nano / 1_000_000).map_err(|_| Reason::Time)?;
    if time == 0 {
        return Err(Reason::Time);
    }
    let time = UnixMs(time);
    if time < span.oldest || time > span.newest {
        return Err(Reason::Age);
    }
    let renames = match target {
        Target::Mapped(mapping) => mapping.attributes,
        Target::Registered(_) | Target::Custom(_) => &[],
    };
    let mut attributes = attributes(&point.attributes, renames)?;
    if let Target::Custom(_) = target {
        attributes.extend(parts.iter().cloned());
    }
    attributes.sort();
    attributes.dedup_by(|a, b| a.0 == b.0);
    let Some(number) = number(point) else {
        return Ok(Reading {
            time,
            value: None,
            input: None,
        });
    };
    if !is_finite(&number) {
        return Err(Reason::Range);
    }
    let (def, role) = match target {
        Target::Mapped(mapping) => (mapping.metric.def(), mapping.role),
        Target::Registered(def) | Target::Custom(def) => (def.clone(), Role::Plain),
    };
    let factor = factor(&metric.unit, def.unit.as_str());
    let input = (role != Role::Plain).then(|| Input {
        role,
        attributes: attributes.clone(),
        value: number.as_f64() * factor,
    });
    let is_left_out = |name: &Label| {
        let is_it = |rename: &&Rename| rename.theirs.contains(&name.as_str());
        renames
            .iter()
            .find(is_it)
            .is_some_and(|rename| rename.ours.is_empty())
    };
    attributes.retain(|(name, _)| !is_left_out(name));
    if attributes.len() > ATTRIBUTES_PER_SERIES_MAX {
        return Err(Reason::Attributes);
    }
    let value = match (role, target) {
        (Role::Cpu, _) => None,
        (_, Target::Custom(def)) => {
            let range = scales.get(&def.name);
            let value = range.and_then(|range| range.store(number));
            Some(value.ok_or(Reason::Range)?)
        }
        _ => Some(scaled(number, factor, def.scale).ok_or(Reason::Range)?),
    };
    Ok(Reading {
        time,
        value: value.map(|value| {
            let metric = def;
            (SeriesKey { metric, attributes }, value)
        }),
        input,
    })
}

/// The integer that stands for a value in a series of the registry.
pub(crate) fn scaled(number: Number, factor: f64, scale: i8) -> Option<i64> {
    let power = 10f64.powi(i32::from(scale.unsigned_abs()));
    match number {
        Number::Integer(integer) if scale == 0 && factor == 1.0 => {
            (integer != i64::MIN).then_some(integer)
        }
        _ => {
            let value = number.as_f64() * factor;
            let value = if scale > 0 {
                value / power
            } else {
                value * power
            };
            let value = value.round();
            (value.abs() < i64::MAX as f64).then_some(value as i64)
        }
    }
}

/// The attributes under our names; those that are left out of the series stay under theirs.
fn attributes(theirs: &[KeyValue], renames: &[Rename]) -> Result<Vec<(Label, Label)>, Reason> {
    let mut out = Vec::with_capacity(theirs.len());
    // More than these cannot be renamed to fewer.
    if theirs.len() > ATTRIBUTES_PER_SERIES_MAX + renames.len() {
        return Err(Reason::Attributes);
    }
    for attribute in theirs {
        let name = attribute.key.as_str();
        if name.is_empty() || name.len() > LABEL_BYTES_MAX {
            return Err(Reason::Name);
        }
        if name.starts_with("sysmon.") {
            return Err(Reason::Reserved);
        }
        let value = label(attribute.value.as_ref())?;
        let rename = renames
            .iter()
            .find(|rename| rename.ours == name || rename.theirs.contains(&name));
        out.push(match rename {
            None => (Label::new(name), value),
            Some(rename) if rename.ours.is_empty() => {
                (Label::new(rename.theirs.first().unwrap_or(&name)), value)
            }
            Some(rename) => (Label::new(rename.ours), renamed(value, rename.values)),
        });
    }
    Ok(out)
}

fn renamed(value: Label, values: Values) -> Label {
    match values {
        Values::Same => value,
        Values::Lower => Label::new(&value.as_str().to_lowercase()),
        Values::Renamed(pairs) => {
            let found = pairs.iter().find(|(theirs, _)| value == *theirs);
            found.map_or(value, |(_, ours)| Label::new(ours))
        }
        Values::Cpu => match value.as_str().strip_prefix("cpu") {
            Some(number) if !number.is_empty() => Label::new(number),
            _ => value,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_by_the_scale_of_their_series() {
        assert_eq!(scaled(Number::Float(0.1234), 1.0, -3), Some(123));
        assert_eq!(scaled(Number::Float(2.4e9), 1.0, 6), Some(2_400));
        assert_eq!(scaled(Number::Integer(7), 1.0, -2), Some(700));
        assert_eq!(scaled(Number::Integer(1_500), 1e-3, -3), Some(1_500));
        let largest = Number::Integer(i64::MAX);
        assert_eq!(scaled(largest, 1.0, 0), Some(i64::MAX));
        assert_eq!(scaled(largest, 1.0, -3), None);
        assert_eq!(
            scaled(Number::Integer(i64::MIN), 1.0, 0),
            None,
            "it stands for no value"
        );
        assert_eq!(scaled(Number::Float(-1e300), 1.0, 0), None);
    }
}
