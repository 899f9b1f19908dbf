//! The values that the hub sends of every host, by their place in [`sysmon_wire::metrics::ALIASES`].

use sysmon_wire::metrics::{ALIASES, SUMMARY};

use crate::format::{amount, degrees, load, percent};

/// A row for each value, in the order of the aliases: its constant, how the number is written, and its unit.
macro_rules! summary {
    ($($name:ident $format:ident $unit:literal,)*) => {
        #[expect(clippy::upper_case_acronyms, reason = "the constants' names, to count them")]
        enum Place { $($name,)* }

        $(pub const $name: usize = Place::$name as usize;)*

        const FORMATS: [(fn(Option<f64>) -> String, &str); SUMMARY] = [$(($format, $unit)),*];
    };
}

summary! {
    CPU percent "%",
    MEMORY percent "%",
    LOAD load "",
    RECEIVED amount "B/s",
    TRANSMITTED amount "B/s",
    READ amount "B/s",
    WRITTEN amount "B/s",
    FILESYSTEM percent "%",
    TEMPERATURE degrees "°",
}

/// How the number at a place is written, without its unit.
pub fn format_of(place: usize) -> fn(Option<f64>) -> String {
    FORMATS.get(place).map_or(amount, |(format, _)| *format)
}

pub fn value_text(place: usize, value: Option<f64>) -> String {
    let unit = FORMATS.get(place).map_or("", |(_, unit)| unit);
    let text = format_of(place)(value);
    if value.is_some() { text + unit } else { text }
}

/// The value of the summary that a metric is about, by its alias or name.
pub(crate) fn place_of(metric: &str) -> Option<usize> {
    let of_summary = ALIASES.iter().take(SUMMARY);
    let exact = of_summary.clone().position(|alias| alias.alias == metric);
    let near = || match metric {
        "load5" | "load15" => Some(LOAD),
        "psi.cpu" => Some(CPU),
        "psi.mem" => Some(MEMORY),
        "psi.io" => Some(READ),
        "temp.max" | "hw.temperature" => Some(TEMPERATURE),
        _ => of_summary
            .clone()
            .position(|alias| alias.metric.name == metric),
    };
    exact.or_else(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_unit() {
        let texts = [CPU, LOAD, TEMPERATURE, RECEIVED].map(|place| value_text(place, Some(0.5)));
        assert_eq!(texts, ["50%", "0.50", "0°", "0B/s"]);
        assert_eq!(value_text(CPU, None), "–");
    }
}
