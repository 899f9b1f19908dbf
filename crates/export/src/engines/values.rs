//! Values of a host as text, exactly: scaled integers become decimals. Pure.

use std::fmt::Write;
use std::ops::Range;

use sysmon_wire::ABSENT;
use sysmon_wire::metrics::{ALIASES, SUMMARY};

use crate::HostNow;

/// The values of one host as text; made once for each host and reused for the next.
#[derive(Debug, Default)]
pub(super) struct Texts {
    text: String,
    ranges: [Range<usize>; SUMMARY],
}

impl Texts {
    /// Writes the values of a host.
    pub(super) fn set(&mut self, host: &HostNow) {
        self.text.clear();
        let aliases = ALIASES.iter().zip(&host.values);
        for (range, (alias, value)) in self.ranges.iter_mut().zip(aliases) {
            let start = self.text.len();
            if *value != ABSENT {
                push_scaled(&mut self.text, *value, alias.metric.scale);
            }
            *range = start..self.text.len();
        }
    }

    /// The values that are there, by alias.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let texts = self.ranges.iter().map(|range| self.text.get(range.clone()));
        let named = ALIASES.iter().map(|alias| alias.alias).zip(texts);
        named.filter_map(|(alias, text)| Some((alias, text.filter(|text| !text.is_empty())?)))
    }

    /// Appends the host as JSON, with the names of the HTTP API.
    pub(super) fn put_json(&self, host: &HostNow, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        put_json_text(host.host.as_str(), out);
        out.extend_from_slice(b",\"state\":\"");
        out.extend_from_slice(host.state.as_str().as_bytes());
        out.extend_from_slice(b"\",\"last_sample_ms\":");
        out.extend_from_slice(host.time.0.to_string().as_bytes());
        out.extend_from_slice(b",\"metrics\":{");
        for (at, (alias, text)) in self.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
            out.extend_from_slice(alias.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(b"}}");
    }
}

/// Which of the values are there, as a bit each.
pub(super) fn present_values(host: &HostNow) -> u32 {
    let bits = host.values.iter().enumerate();
    bits.fold(0, |mask, (at, value)| {
        mask | u32::from(*value != ABSENT) << at
    })
}

fn put_json_text(text: &str, out: &mut Vec<u8>) {
    // Writing to a vector does not fail, and neither does a text.
    let _ = serde_json::to_writer(out, text);
}

/// Appends `value × 10^scale` in decimal, without loss.
fn push_scaled(out: &mut String, value: i64, scale: i8) {
    let digits = usize::from(scale.unsigned_abs());
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let power = 10u64.checked_pow(u32::from(scale.unsigned_abs()));
    // Writing to a string does not fail.
    let _ = match (scale, power) {
        (0, _) | (_, None) => write!(out, "{sign}{magnitude}"),
        (1.., _) if magnitude == 0 => write!(out, "0"),
        (1.., _) => write!(out, "{sign}{magnitude}{:0>digits$}", ""),
        (_, Some(power)) => {
            let (whole, rest) = (magnitude / power, magnitude % power);
            let written = write!(out, "{sign}{whole}.{rest:0>digits$}");
            let length = out.trim_end_matches('0').trim_end_matches('.').len();
            out.truncate(length);
            written
        }
    };
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::HostState;
    use sysmon_wire::metrics::unscale;

    pub(in crate::engines) fn host(name: &str, time: i64, values: [i64; SUMMARY]) -> HostNow {
        HostNow {
            host: name.into(),
            state: HostState::Live,
            time: UnixMs(time),
            values,
        }
    }

    #[test]
    fn texts_are_read_as_the_same_values_bit_for_bit() {
        let values = [
            0,
            1,
            -7,
            10,
            100,
            613,
            1_000,
            123_456_789,
            9_007_199_254_740_993,
            i64::MAX,
        ];
        for scale in [-9, -6, -3, -2, 0, 2, 6] {
            for value in values {
                let mut text = String::new();
                push_scaled(&mut text, value, scale);
                let read: f64 = text.parse().unwrap();
                let wanted = unscale(value, scale);
                // What is beyond 2^53 is rounded once by a reader, and twice by a multiplication.
                let is_exact = scale <= 0 && value.unsigned_abs() < 1 << 53;
                match is_exact {
                    true => assert_eq!(read.to_bits(), wanted.to_bits(), "{value}e{scale}: {text}"),
                    false => assert!((read / wanted - 1.0).abs() < 1e-15 || value == 0, "{text}"),
                }
            }
        }
        let mut text = String::from("x0");
        push_scaled(&mut text, 500, -3);
        push_scaled(&mut text, 20, -1);
        push_scaled(&mut text, -5, 2);
        assert_eq!(text, "x00.52-500");
    }

    #[test]
    fn json_has_the_names_of_the_http_api_and_leaves_out_what_is_absent() {
        let mut values = [ABSENT; SUMMARY];
        values[0] = 613;
        values[3] = 1_000;
        let host = host("db \"1\"", 1_700_000_000_123, values);
        let (mut texts, mut json) = (Texts::default(), Vec::new());
        texts.set(&host);
        texts.put_json(&host, &mut json);
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"name":"db \"1\"","state":"live","last_sample_ms":1700000000123,"metrics":{"cpu":0.613,"net.rx":1000}}"#
        );
        assert_eq!(present_values(&host), 0b1001);
    }
}
