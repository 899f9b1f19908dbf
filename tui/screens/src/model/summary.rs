//! The values that the hub sends of every host, by their place in [`sysmon_wire::metrics::ALIASES`].

use sysmon_wire::metrics::SUMMARY;

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
    format_of(place)(value) + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_unit() {
        let texts = [CPU, LOAD, TEMPERATURE, RECEIVED].map(|place| value_text(place, Some(0.5)));
        assert_eq!(texts, ["50%", "0.50", "0°", "0B/s"]);
        assert_eq!(value_text(CPU, None), "–%");
    }
}
