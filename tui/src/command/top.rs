//! `sysmon-tui top`.

use clap::ValueEnum;
use sysmon_client::Client;
use sysmon_config::time::format_moment;
use sysmon_config::{Config, Failure};
use sysmon_screens::format::{amount, size};
use sysmon_screens::state::shown::busiest;
use sysmon_wire::limits::TOP_MAX;
use sysmon_wire::message::{HostProcess, Reply, Request, TopBy};
use sysmon_wire::{Label, UnixMs};
use unicode_width::UnicodeWidthStr;

use jiff::tz::TimeZone;

use super::args::Args;
use super::snapshot::first_picture;
use super::target::{Target, answer, moment};

#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Only of this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// As it was then: 14:03, -2h, "yesterday 9:00", 2026-05-04T09:00
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// What the busiest are by
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: By,
    /// Only so many processes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=i64::from(TOP_MAX)))]
    pub(crate) limit: u16,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum By {
    #[default]
    Cpu,
    Memory,
    Disk,
}

pub(crate) fn top(args: &Args, config: &Config, asked: &TopArgs) -> Result<(), Failure> {
    let at = asked.at.as_deref().map(moment).transpose()?;
    let request = Request::Top {
        host: asked.host.as_deref().map(Label::new),
        at,
        by: match asked.by {
            By::Cpu => TopBy::Cpu,
            By::Memory => TopBy::Memory,
            By::Disk => TopBy::Disk,
        },
        limit: asked.limit,
    };
    let target = Target::find(args, config)?;
    let (time, processes) = answer(&target, async |connector| {
        if target.inside.is_some() {
            let hosts = usize::from(args.demo.unwrap_or(0)) + 1;
            first_picture(connector, &target.hub, hosts, None).await?;
        }
        let client = Client::connect(connector, &target.hub).await?;
        client
            .first(&request, |reply| match reply {
                Reply::Top {
                    time, processes, ..
                } => Some((time, processes)),
                _ => None,
            })
            .await
    })?;
    let text = if asked.json {
        busiest(time, processes.iter()).to_json()
    } else {
        table(time, &processes, &TimeZone::system())
    };
    Ok(sysmon_config::print(&text)?)
}

/// As a table for people, in columns as wide as their longest text.
fn table(time: UnixMs, processes: &[HostProcess], zone: &TimeZone) -> String {
    let widest = |text: fn(&HostProcess) -> &Label, title: &str| {
        let widths = processes.iter().map(|row| text(row).as_str().width());
        widths.max().unwrap_or(0).max(title.len())
    };
    let host_width = widest(|row| &row.host, "HOST");
    let user_width = widest(|row| &row.process.identity.user, "USER");
    let mut out = format!(
        "the busiest processes at {}\n\n",
        format_moment(time.0, zone)
    );
    let mut line = |host: &str, pid: &str, user: &str, numbers: [&str; 4], command: &str| {
        let [cpu, memory, read, written] = numbers;
        let host_gap = host_width.saturating_sub(host.width());
        let user_gap = user_width.saturating_sub(user.width());
        out.push_str(&format!(
            "{host}{:host_gap$}  {pid:>7}  {user}{:user_gap$}  {cpu:>6}  {memory:>5}  {read:>5}  {written:>5}  {command}\n",
            "", ""
        ));
    };
    let titles = ["CPU%", "MEM", "READ", "WRIT"];
    line("HOST", "PID", "USER", titles, "COMMAND");
    if processes.is_empty() {
        out.push_str("nothing was recorded of this moment\n");
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
    fn columns_stand_below_their_titles() {
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
            },
        };
        let rows = [row("a-long-name", 7), row("b", 1234)];
        let none = table(UnixMs(5), &[], &TimeZone::UTC);
        assert!(none.ends_with("\nnothing was recorded of this moment\n"));
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
