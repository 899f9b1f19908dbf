//! What is shown as text to be copied, and as records for other programs.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use sysmon_config::time::{format_clock, format_moment};
use sysmon_wire::message::{Change, HostProcess};
use sysmon_wire::metrics::{ALIASES, SUMMARY};
use sysmon_wire::{Label, Process, UnixMs};

use super::State;
use super::compare::Line;
use super::fleet::{CPU, FILESYSTEM, HostRow, LOAD, MEMORY, TEMPERATURE};
use crate::format::{amount, degrees, load, percent, size};
use crate::keys::Mode;
use crate::points::field;
use crate::view::changes::{metric, subject, value};
use crate::view::{self, compare};

/// The selected row in one line, after what it is called; none if nothing is selected.
pub fn row(state: &State) -> Option<(String, String)> {
    match state.place() {
        Mode::Host | Mode::Pane | Mode::Burst => {
            let name = &state.host.as_ref()?.name;
            Some((name.to_string(), host_line(state.fleet.host(name)?)))
        }
        Mode::Processes => {
            let process = state.processes.selected()?;
            let name = format!("process {}", process.identity.pid);
            Some((name, process_line(process)))
        }
        Mode::Process => {
            let process = state.processes.open.as_ref()?;
            let name = format!("process {}", process.identity.pid);
            Some((name, process_line(process)))
        }
        Mode::Top => {
            let HostProcess { host, process } = state.top.selected()?;
            let name = format!("process {} of {host}", process.identity.pid);
            Some((name, format!("{host}  {}", process_line(process))))
        }
        Mode::Compare => {
            let line = state.compare.selected()?;
            let mut name = state.compare.name(line);
            if line.ago_ms > 0 {
                name = format!("{} {name}", line.host);
            }
            let now = state.compare.value(line, state.now, state.at);
            let text = compare::value(state.compare.metric, now);
            let clock = format_clock(state.moment().0, &state.zone);
            let alias = state.compare.alias();
            Some((name.clone(), format!("{name}  {alias} {text}  {clock}")))
        }
        Mode::Changes => {
            let change = state.changes.selected()?;
            Some(("the change".to_owned(), change_line(state, change)))
        }
        _ => {
            let host = state.fleet.selected()?;
            Some((host.line.name.to_string(), host_line(host)))
        }
    }
}

fn host_line(host: &HostRow) -> String {
    let mut parts = vec![
        host.line.name.to_string(),
        host.tick.state.as_str().to_owned(),
    ];
    for (place, alias) in ALIASES.iter().take(SUMMARY).enumerate() {
        let Some(value) = host.value(place) else {
            continue;
        };
        let text = match place {
            CPU | MEMORY | FILESYSTEM => percent(Some(value)) + "%",
            LOAD => load(Some(value)),
            TEMPERATURE => degrees(Some(value)) + "°C",
            _ => amount(Some(value)) + "B/s",
        };
        parts.push(format!("{} {text}", alias.alias));
    }
    parts.join("  ")
}

fn process_line(process: &Process) -> String {
    let identity = &process.identity;
    format!(
        "{}  {}  {}  cpu {}.{}%  memory {}  read {}B/s  written {}B/s",
        identity.pid,
        identity.user,
        identity.command,
        process.cpu_permille / 10,
        process.cpu_permille % 10,
        size(Some(process.memory_bytes as f64)),
        amount(Some(process.read_bytes_per_s as f64)),
        amount(Some(process.write_bytes_per_s as f64)),
    )
}

fn change_line(state: &State, change: &Change) -> String {
    let subject = subject(change);
    let gap = if subject.is_empty() { "" } else { "  " };
    format!(
        "{}  {subject}{gap}{}  before {}  now {}  since {}",
        change.host,
        metric(change),
        value(change, change.before),
        value(change, change.after),
        format_clock(change.began.0, &state.zone),
    )
}

/// Records of one kind, each with the same fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// The moment they are of.
    pub time: UnixMs,
    /// Of which host, if of one.
    pub host: Option<Label>,
    /// What they are: `hosts`, `processes`, `changes`, `points`, `rows` of a pane.
    pub kind: &'static str,
    fields: Vec<Cow<'static, str>>,
    rows: Vec<Vec<Value>>,
}

impl Records {
    /// What the screen shows, in its order.
    pub fn of(state: &State) -> Self {
        match state.place() {
            Mode::Processes => processes(state, state.processes.shown()),
            Mode::Process => processes(state, state.processes.open.iter()),
            Mode::Top => {
                let time = state.top.time.unwrap_or(state.moment());
                busiest(time, state.top.shown())
            }
            Mode::Changes => changes(state),
            Mode::Compare => points(state),
            Mode::Pane => pane(state),
            Mode::Host | Mode::Burst => {
                let name = state.host.as_ref().map(|host| &host.name);
                hosts(
                    state,
                    name.and_then(|name| state.fleet.host(name)).into_iter(),
                )
            }
            _ => hosts(state, state.fleet.shown()),
        }
    }

    /// As JSON: SI base units, times in Unix milliseconds.
    pub fn to_json(&self) -> String {
        let of = |row: &Vec<Value>| {
            let names = self.fields.iter().map(ToString::to_string);
            Value::Object(names.zip(row.iter().cloned()).collect())
        };
        let rows: Vec<Value> = self.rows.iter().map(of).collect();
        let mut all = Map::new();
        all.insert("time_ms".to_owned(), json!(self.time.0));
        if let Some(host) = &self.host {
            all.insert("host".to_owned(), json!(host));
        }
        all.insert(self.kind.to_owned(), Value::Array(rows));
        format!("{:#}\n", Value::Object(all))
    }

    /// As CSV (RFC 4180), with a line of headings.
    pub fn to_csv(&self) -> String {
        let mut out = self.fields.join(",") + "\r\n";
        for row in &self.rows {
            let cells = row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => field(text),
                other => other.to_string(),
            });
            out.push_str(&cells.collect::<Vec<_>>().join(","));
            out.push_str("\r\n");
        }
        out
    }
}

fn names(fields: &[&'static str]) -> Vec<Cow<'static, str>> {
    fields.iter().copied().map(Cow::from).collect()
}

/// The table of the pane that fills the screen, or what its charts are at now.
fn pane(state: &State) -> Records {
    let (fields, rows) = view::panes::table(state);
    let row = |(name, values): (String, Vec<Option<f64>>)| {
        let values = values.into_iter().map(|value| json!(value));
        std::iter::once(json!(name)).chain(values).collect()
    };
    let host = state.host.as_ref();
    Records {
        time: host
            .and_then(super::host::HostView::newest)
            .unwrap_or(state.moment()),
        host: host.map(|host| host.name.clone()),
        kind: "rows",
        fields: fields.into_iter().map(Cow::from).collect(),
        rows: rows.into_iter().map(row).collect(),
    }
}

fn hosts<'a>(state: &State, shown: impl Iterator<Item = &'a HostRow>) -> Records {
    let mut fields = vec!["name", "state", "last_sample_ms"];
    fields.extend(ALIASES.iter().take(SUMMARY).map(|alias| alias.alias));
    let row = |host: &HostRow| {
        let last = Some(host.tick.time.0).filter(|time| *time > 0);
        let mut row = vec![
            json!(host.line.name),
            json!(host.tick.state.as_str()),
            json!(last),
        ];
        row.extend((0..SUMMARY).map(|place| json!(host.value(place))));
        row
    };
    Records {
        time: state.moment(),
        host: None,
        kind: "hosts",
        fields: names(&fields),
        rows: shown.map(row).collect(),
    }
}

fn processes<'a>(state: &State, shown: impl Iterator<Item = &'a Process>) -> Records {
    let row = |process: &Process| {
        let identity = &process.identity;
        let mut row = vec![
            json!(identity.pid),
            json!(process.parent),
            json!(identity.user),
            json!(identity.command),
            json!(identity.cgroup),
            json!(char::from(process.state).to_string()),
            json!(process.threads),
        ];
        row.extend(used(process));
        row
    };
    Records {
        time: state.processes.time.unwrap_or(state.moment()),
        host: state.host.as_ref().map(|host| host.name.clone()),
        kind: "processes",
        fields: names(&[
            "pid",
            "parent",
            "user",
            "command",
            "cgroup",
            "state",
            "threads",
            "cpu",
            "memory",
            "disk.read",
            "disk.write",
        ]),
        rows: shown.map(row).collect(),
    }
}

fn used(process: &Process) -> [Value; 4] {
    [
        json!(f64::from(process.cpu_permille) / 1000.0),
        json!(process.memory_bytes),
        json!(process.read_bytes_per_s),
        json!(process.write_bytes_per_s),
    ]
}

/// The busiest processes of all hosts.
pub fn busiest<'a>(time: UnixMs, shown: impl Iterator<Item = &'a HostProcess>) -> Records {
    let row = |HostProcess { host, process }: &HostProcess| {
        let identity = &process.identity;
        let mut row = vec![
            json!(host),
            json!(identity.pid),
            json!(identity.start.0),
            json!(identity.user),
            json!(identity.command),
            json!(identity.cgroup),
            json!(process.threads),
        ];
        row.extend(used(process));
        row
    };
    Records {
        time,
        host: None,
        kind: "processes",
        fields: names(&[
            "host",
            "pid",
            "start_ms",
            "user",
            "command",
            "cgroup",
            "threads",
            "cpu",
            "memory",
            "disk.read",
            "disk.write",
        ]),
        rows: shown.map(row).collect(),
    }
}

fn changes(state: &State) -> Records {
    let row = |change: &Change| {
        let attributes = change
            .attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        let process = change.process.as_ref();
        vec![
            json!(change.host),
            json!(change.metric),
            json!(attributes.collect::<Vec<_>>().join(",")),
            json!(process.map(|process| process.pid)),
            json!(process.map(|process| &process.command)),
            json!(change.unit),
            json!(change.before),
            json!(change.after),
            json!(change.began.0),
            json!(change.score),
        ]
    };
    Records {
        time: state.changes.time.unwrap_or(state.moment()),
        host: None,
        kind: "changes",
        fields: names(&[
            "host",
            "metric",
            "attributes",
            "pid",
            "command",
            "unit",
            "before",
            "after",
            "began_ms",
            "score",
        ]),
        rows: state.changes.rows().iter().map(row).collect(),
    }
}

/// The points of a comparison, each at its own time.
fn points(state: &State) -> Records {
    let compare = &state.compare;
    let of_line = |line: &Line| {
        let point = |(time, value): (UnixMs, f64)| {
            vec![
                json!((time - line.ago_ms).0),
                json!(line.host),
                json!(compare.alias()),
                json!(value),
            ]
        };
        line.points().map(point).collect::<Vec<_>>()
    };
    Records {
        time: state.moment(),
        host: None,
        kind: "points",
        fields: names(&["time_ms", "host", "metric", "value"]),
        rows: compare.lines().iter().flat_map(of_line).collect(),
    }
}

/// A name for a file of what is shown, with letters that every filesystem takes.
pub fn file_name(state: &State) -> String {
    let host = state.host.as_ref().map(|host| host.name.as_str());
    let what = match (state.place(), host) {
        (Mode::Host, Some(host)) => host.to_owned(),
        (Mode::Pane, Some(host)) => {
            format!("{host}-{}", state.panes.focus.title().to_lowercase())
        }
        (Mode::Burst, Some(host)) => format!("{host}-burst"),
        (Mode::Processes, Some(host)) => format!("{host}-processes"),
        (Mode::Process, Some(host)) => match &state.processes.open {
            Some(process) => format!("{host}-process-{}", process.identity.pid),
            None => host.to_owned(),
        },
        (Mode::Top, _) => "processes".to_owned(),
        (Mode::Changes, Some(host)) => format!("{host}-changes"),
        (Mode::Changes, None) => "changes".to_owned(),
        (Mode::Compare, _) => format!("compare-{}", state.compare.alias()),
        _ => "fleet".to_owned(),
    };
    let time = format_moment(state.moment().0, &state.zone).replace(' ', "T");
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '-'
        }
    };
    let name: String = format!("sysmon-{what}-{time}").chars().map(plain).collect();
    name + ".svg"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{change, fleet, process};

    #[test]
    fn what_is_shown_goes_out_in_its_order() {
        let mut state = fleet();
        state.fleet.filter = "b".to_owned();
        state.fleet.reorder();
        let records = Records::of(&state);
        let json: Value = serde_json::from_str(&records.to_json()).unwrap();
        assert_eq!(json["hosts"][0]["name"], "b");
        assert_eq!(json["hosts"][0]["cpu"], 0.2);
        assert_eq!(json["hosts"].as_array().unwrap().len(), 1);
        let csv = records.to_csv();
        assert!(
            csv.starts_with("name,state,last_sample_ms,cpu,mem,load1,"),
            "{csv}"
        );
        assert!(csv.contains("\r\nb,live,1000,0.2,,"), "{csv}");
        state.mode = Mode::Processes;
        state
            .processes
            .take(UnixMs(5000), true, vec![process(7, "cc \"x\", y", 900, 5)]);
        let csv = Records::of(&state).to_csv();
        assert!(
            csv.contains("\r\n7,1,root,\"cc \"\"x\"\", y\",,S,1,0.9,5,0,0\r\n"),
            "{csv}"
        );
        state.mode = Mode::Changes;
        state
            .changes
            .take(UnixMs(9000), vec![change("a", "cpu", f64::NAN, 0.9)]);
        let json: Value = serde_json::from_str(&Records::of(&state).to_json()).unwrap();
        assert_eq!(
            (&json["time_ms"], &json["changes"][0]["before"]),
            (&json!(9000), &Value::Null)
        );
    }

    #[test]
    fn points_of_a_comparison_go_out_at_their_own_time() {
        let mut state = fleet();
        state.mode = Mode::Compare;
        state.compare.itself("a".into());
        let window = super::super::timeline::Window {
            from: UnixMs(90_000_000),
            to: UnixMs(90_060_000),
        };
        let number = state.compare.ask(window).unwrap().number;
        let part = sysmon_wire::message::Points {
            host: "a".into(),
            metric: "system.cpu.utilization".into(),
            unit: "1".into(),
            attributes: Vec::new(),
            start: UnixMs(3_600_000),
            step_ms: 1_000,
            values: vec![0.5],
        };
        state.compare.take(number, 1, &part);
        let csv = Records::of(&state).to_csv();
        assert_eq!(csv, "time_ms,host,metric,value\r\n3600000,a,cpu,0.5\r\n");
        state.at = Some(UnixMs(90_000_000));
        state.compare.select(1);
        let (_, text) = row(&state).unwrap();
        assert!(text.starts_with("a 1 d before  cpu 50%"), "{text}");
        assert!(file_name(&state).starts_with("sysmon-compare-cpu-"));
    }

    #[test]

    fn the_busiest_of_all_hosts_have_their_host() {
        let mut state = fleet();
        state.mode = Mode::Top;
        let row = HostProcess {
            host: "b".into(),
            process: process(7, "cc1", 900, 5),
        };
        state.top.take(UnixMs(5000), 1, vec![row]);
        let csv = Records::of(&state).to_csv();
        assert!(csv.contains("\r\nb,7,1,root,cc1,,1,0.9,5,0,0\r\n"), "{csv}");
        assert!(
            super::row(&state)
                .unwrap()
                .1
                .starts_with("b  7  root  cc1  cpu 90.0%")
        );
        assert_eq!(
            file_name(&state),
            "sysmon-processes-1970-01-01T00-16-40.svg"
        );
        // Details of one.
        state.mode = Mode::Process;
        state.processes.take(
            UnixMs(5000),
            true,
            vec![process(8, "x", 1, 1), process(9, "y", 2, 1)],
        );
        state.processes.open_selected();
        let csv = Records::of(&state).to_csv();
        assert_eq!(csv.lines().count(), 2, "{csv}");
        assert!(csv.contains("\r\n9,"), "{csv}");
    }

    #[test]
    fn a_file_name_is_plain() {
        let mut state = fleet();
        assert_eq!(file_name(&state), "sysmon-fleet-1970-01-01T00-16-40.svg");
        state.mode = Mode::Host;
        state.host = Some(super::super::host::HostView::new("../x y".into()));
        assert_eq!(file_name(&state), "sysmon-..-x-y-1970-01-01T00-16-40.svg");
    }
}
