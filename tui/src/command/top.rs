//! `sysmon-tui top`.

use jiff::tz::TimeZone;
use serde_json::json;
use sysmon_config::Failure;
use sysmon_config::time::format_moment;
use sysmon_screens::format::{amount, size};
use sysmon_screens::top::records;
use sysmon_wire::message::{HostProcess, Reply, Request, TopBy};
use sysmon_wire::{Label, UnixMs};
use unicode_width::UnicodeWidthStr;

use super::Invocation;
use super::args::{By, TopArgs};
use super::target::Target;

const NO_DATA: &str = "no data for this time\n";

pub(crate) fn top(invocation: &Invocation, args: &TopArgs) -> Result<(), Failure> {
    let at = args.at.as_deref().map(|text| invocation.moment(text));
    let request = Request::Top {
        host: args.host.as_deref().map(Label::new),
        at: at.transpose()?,
        by: match args.by {
            By::Cpu => TopBy::Cpu,
            By::Memory => TopBy::Memory,
            By::Disk => TopBy::Disk,
        },
        limit: args.limit,
        each: 0,
    };
    let target = Target::find(invocation)?;
    let pick = |reply| match reply {
        Reply::Top {
            time,
            processes,
            complete_to,
            ..
        } => Some((time, processes, complete_to)),
        _ => None,
    };
    let (time, processes, complete_to) =
        target.ask(async |client| client.first(&request, pick).await)?;
    let text = if args.json {
        let mut records = records(time, processes.iter());
        records.more = vec![("complete_to", json!(complete_to))];
        records.to_json()
    } else {
        table(time, &processes, &TimeZone::system()) + &depth(complete_to)
    };
    Ok(sysmon_config::print(&text)?)
}

/// How deep the list is, if processes may be missing from it.
fn depth(complete_to: Option<u32>) -> String {
    complete_to.map_or_else(String::new, |complete| {
        format!(
            "\nComplete to place {complete}: agents send the processes that use most. The processes of a host in \
             `sysmon-tui` are all of them.\n"
        )
    })
}

/// A table whose columns are as wide as their longest text.
fn table(time: UnixMs, processes: &[HostProcess], zone: &TimeZone) -> String {
    let widest = |text: fn(&HostProcess) -> &Label, title: &str| {
        let widths = processes.iter().map(|row| text(row).as_str().width());
        widths.max().unwrap_or(0).max(title.len())
    };
    let host_width = widest(|row| &row.host, "HOST");
    let user_width = widest(|row| &row.process.identity.user, "USER");
    let mut out = format!("busiest processes at {}\n\n", format_moment(time.0, zone));
    let mut line = |host: &str, pid: &str, user: &str, numbers: [&str; 4], command: &str| {
        let [cpu, memory, read, written] = numbers;
        let host_gap = host_width.saturating_sub(host.width());
        let user_gap = user_width.saturating_sub(user.width());
        out.push_str(&format!(
            "{host}{:host_gap$}  {pid:>7}  {user}{:user_gap$}  {cpu:>6}  {memory:>5}  {read:>5}  {written:>5}  {command}\n",
            "", ""
        ));
    };
    let titles = ["CPU%", "MEM", "READ", "WRITE"];
    line("HOST", "PID", "USER", titles, "COMMAND");
    if processes.is_empty() {
        out.push_str(NO_DATA);
        return out;
    }
    for HostProcess { host, process } in processes {
        let identity = &process.identity;
        let cpu = format!("{:.1}", f64::from(process.cpu_permille) / 10.0);
        let memory = size(Some(process.memory_bytes as f64));
        let read = amount(Some(process.read_bytes_per_s as f64));
        let written = amount(Some(process.write_bytes_per_s as f64));
        line(
            host.as_str(),
            &identity.pid.to_string(),
            identity.user.as_str(),
            [&cpu, &memory, &read, &written],
            identity.command.as_str(),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::{Process, ProcessIdentity};

    #[test]
    fn columns_are_aligned_with_their_titles() {
        let row = |host: &str, pid: u32| HostProcess {
            host: host.into(),
            process: Process {
                identity: ProcessIdentity {
                    pid,
                    start: UnixMs(1),
                    user: "u".into(),
                    command: "cc1".into(),
                    cgroup: "".into(),
                },
                parent: 0,
                state: b'?',
                threads: 1,
                cpu_permille: 12_345,
                memory_bytes: 3 << 30,
                read_bytes_per_s: 0,
                write_bytes_per_s: 41_000_000,
                arguments: sysmon_wire::Label::default(),
            },
        };
        let rows = [row("a-long-name", 7), row("b", 1234)];
        let none = table(UnixMs(5), &[], &TimeZone::UTC);
        assert!(none.ends_with(NO_DATA));
        let text = table(UnixMs(5_000), &rows, &TimeZone::UTC);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with("1970-01-01 00:00:05"), "{text}");
        for (title, value) in [("COMMAND", "cc1"), ("USER", "u")] {
            let at = lines[2].find(title).unwrap();
            assert!(
                lines[3..].iter().all(|l| l[at..].starts_with(value)),
                "{text}"
            );
        }
        assert!(
            lines[4].starts_with("b  ") && lines[4].contains("1234.5   3.0G"),
            "{text}"
        );
    }
}
