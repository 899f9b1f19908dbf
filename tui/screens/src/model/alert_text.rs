//! What an alert says, as short as a line of a table needs.

use sysmon_wire::message::AlertLine;
use sysmon_wire::metrics::alias;

/// Beginnings of names that say least.
const PREFIXES: [&str; 4] = ["system.linux.", "system.", "container.", "hw."];

/// The value and its limit, of the metric's alias or of the device: `load5 41.2, limit 32`. What a rule says in its own
/// words stays.
pub(crate) fn why(alert: &AlertLine, host: &str) -> String {
    let summary = alert.summary.as_str();
    let summary = summary
        .strip_prefix(&format!("{host}: "))
        .unwrap_or(summary);
    let summary = summary
        .strip_prefix(&format!("{}: ", alert.rule))
        .unwrap_or(summary);
    let known = alias(alert.metric.as_str());
    let name = match known {
        Some(alias) => alias.metric.name,
        None => alert.metric.as_str(),
    };
    let Some(rest) = summary.strip_prefix(name).filter(|_| !name.is_empty()) else {
        return summary.to_owned();
    };
    let (what, rest) = match rest.strip_prefix(" of ") {
        // The value begins after the name of the device, which may contain anything.
        Some(rest) => [" is ", " will be ", " turned to ", " changed by "]
            .iter()
            .filter_map(|verb| rest.find(verb))
            .min()
            .map_or(("", rest), |at| rest.split_at(at)),
        None => ("", rest),
    };
    let subject = match (known, what) {
        (Some(alias), _) => alias.alias.to_owned(),
        (None, "") => PREFIXES
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix))
            .unwrap_or(name)
            .to_owned(),
        (None, what) => what.to_owned(),
    };
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("is ").unwrap_or(rest);
    let rest = rest
        .replace(", over ", ", limit ")
        .replace(", under ", ", limit ")
        .replace(" of the time", "")
        .replace(", by the trend of the last hour", "");
    format!("{subject} {rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::Severity;

    fn said(metric: &str, summary: &str) -> String {
        let alert = AlertLine {
            rule: "rule".into(),
            severity: Severity::Warning,
            since: UnixMs(0),
            summary: summary.into(),
            acknowledged: None,
            silenced: None,
            metric: metric.into(),
        };
        why(&alert, "db-2")
    }

    #[test]
    fn the_value_and_its_limit_come_first() {
        let pressure =
            "system.linux.pressure.time of cpu some is 98.0 % of the time, over 60.0 % of the time";
        assert_eq!(said("psi.cpu", pressure), "psi.cpu 98.0 %, limit 60.0 %");
        assert_eq!(
            said("load5", "system.cpu.load_average.5m is 41.2, over 32.0"),
            "load5 41.2, limit 32.0"
        );
        let fs = "system.filesystem.utilization";
        assert_eq!(
            said(fs, &format!("{fs} of /srv is 95.4 %, over 95.0 %")),
            "/srv 95.4 %, limit 95.0 %"
        );
        let within = "will be over 100.0 % within 4 h, by the trend of the last hour";
        assert_eq!(
            said(fs, &format!("{fs} of / {within}")),
            "/ will be over 100.0 % within 4 h"
        );
        assert_eq!(
            said(
                "system.linux.raid.missing",
                "system.linux.raid.missing is 1, over 0"
            ),
            "raid.missing 1, limit 0"
        );
    }

    #[test]
    fn own_words_and_rules_of_whole_hosts_stay() {
        assert_eq!(
            said("", "nothing heard from db-2"),
            "nothing heard from db-2"
        );
        assert_eq!(said("cpu", "db-2: rule: call somebody"), "call somebody");
    }
}
