//! Quantities with SI and IEC prefixes: the one place that formats and parses them.

/// Which powers a prefix stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefixes {
    /// Powers of 1000: k, M, G, T, P.
    Si,
    /// Powers of 1024, as memory and storage tools write them: K, M, G, T, P.
    Iec,
}

impl Prefixes {
    const fn base(self) -> f64 {
        match self {
            Self::Si => 1000.0,
            Self::Iec => 1024.0,
        }
    }

    const fn names(self) -> [&'static str; 6] {
        match self {
            Self::Si => ["", "k", "M", "G", "T", "P"],
            Self::Iec => ["", "K", "M", "G", "T", "P"],
        }
    }
}

/// Byte units that people write, with their size; IEC units last.
pub const BYTE_UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// SI prefixes that people write, with their factor.
pub const SI_PREFIXES: [(&str, u64); 5] = [
    ("", 1),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

/// The value below 1000 and its prefix: `(1.25, "M")` for 1 250 000.
///
/// A value that would round to four digits gets the next prefix; beyond the largest prefix the value keeps growing.
pub fn scale(value: f64, prefixes: Prefixes) -> (f64, &'static str) {
    let mut scaled = value;
    let mut found = "";
    for name in prefixes.names() {
        found = name;
        if scaled.abs() < 999.5 || name == "P" {
            break;
        }
        scaled /= prefixes.base();
    }
    (scaled, found)
}

/// At most three digits, `separator`, and the prefix: `340k`, `1.2M`, or `1.2 M` with a space between.
///
/// With an empty separator, non-negative values below 10¹⁸ fit in four characters.
pub fn format(value: f64, prefixes: Prefixes, separator: &str) -> String {
    let (scaled, prefix) = scale(value, prefixes);
    let decimals = usize::from(!prefix.is_empty() && scaled.abs() < 9.95);
    format!("{scaled:.decimals$}{separator}{prefix}")
}

/// About three significant digits without trailing zeros: `17.2`, `2`, `0.01`.
pub fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        v if v.fract() == 0.0 || v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A whole number in the largest of `units` (largest first) that divides it, so that nothing is rounded: `90s`, `64MiB`.
pub fn exact(value: u64, units: &[(&str, u64)]) -> String {
    let divides = |(_, size): &&(&str, u64)| value > 0 && value.is_multiple_of(*size);
    let found = units.iter().find(divides).or(units.last());
    found.map_or_else(String::new, |(unit, size)| {
        format!("{}{unit}", value / size)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_at_most_three_digits() {
        let si = |value| format(value, Prefixes::Si, "");
        assert_eq!(si(0.0), "0");
        assert_eq!(si(999_499.0), "999k");
        assert_eq!(si(999_501.0), "1.0M");
        assert_eq!(si(1_234_567.0), "1.2M");
        assert_eq!(si(-12_500.0), "-12k");
        assert_eq!(format(2_500.0, Prefixes::Si, " "), "2.5 k");
        assert_eq!(
            format(3.1 * 1024.0 * 1024.0 * 1024.0, Prefixes::Iec, ""),
            "3.1G"
        );
        assert_eq!(format(2e21, Prefixes::Si, ""), "2000000P");
    }

    #[test]
    fn compact_values_fit_in_four_characters() {
        let mut value = 1.0;
        while value < 1e17 {
            for prefixes in [Prefixes::Si, Prefixes::Iec] {
                let text = format(value, prefixes, "");
                assert!(text.len() <= 4, "{text} of {value}");
            }
            value *= 1.07;
        }
    }

    #[test]
    fn significant_digits_drop_trailing_zeros() {
        let shown = [17.25, 2.0, 0.01, 0.5, 123.4, 0.0].map(significant);
        assert_eq!(shown, ["17.2", "2", "0.01", "0.5", "123", "0"]);
    }

    #[test]
    fn exact_values_use_the_largest_unit_that_divides_them() {
        let units = [("m", 60), ("s", 1)];
        assert_eq!(exact(120, &units), "2m");
        assert_eq!(exact(90, &units), "90s");
        assert_eq!(exact(0, &units), "0s");
    }
}
