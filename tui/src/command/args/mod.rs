//! The command line.

mod query;
mod top;

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use ratatui::layout::Size;
use sysmon_certs::{PeerName, TokenArgument};
use sysmon_config::{CommonArgs, HubAddress, ManualCommand, Theme};
use sysmon_tui::VERSION;
use sysmon_tui::standalone::DEMO_HOSTS_MAX;
use sysmon_tui::web::{DEFAULT_ADDRESS, loopback};

pub(crate) use query::{Format, QueryArgs};
pub(crate) use top::{By, TopArgs};

/// Monitors your machines from the terminal: one-second metrics for every host, live or at any point in the past.
#[derive(Debug, Parser)]
#[command(name = "sysmon-tui", version = VERSION, after_help = "\
Examples:
  sysmon-tui                          the hub that runs here, or this machine alone
  sysmon-tui --demo 20                this machine and twenty simulated hosts
  sysmon-tui --hub lan-box            the hosts of the hub on lan-box
  sysmon-tui --host db-1 --at 14:03   one host as it was then
  sysmon-tui --web                    this machine as a web page, for a browser on it
  sysmon-tui snapshot --json | jq '.hosts[] | select(.state != \"live\")'
  sysmon-tui query cpu --host db-1 --since 1h")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Hub to connect to [default: the hub that runs on this machine, or else a built-in hub and agent]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub(crate) hub: Option<HubAddress>,
    /// Add N simulated hosts to the built-in hub
    #[arg(long, value_name = "N", global = true, conflicts_with = "hub", value_parser = clap::value_parser!(u16).range(0..=DEMO_HOSTS_MAX as i64))]
    pub(crate) demo: Option<u16>,
    /// Colour theme: dark, light, high-contrast, colour-blind, mono
    #[arg(long, global = true, value_parser = theme)]
    pub(crate) theme: Option<Theme>,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
    /// For slow connections: draw every five seconds and after each key
    #[arg(long)]
    pub(crate) low_bandwidth: bool,
    /// For screen readers: announce changes as lines and read commands, instead of drawing
    #[arg(long, conflicts_with_all = ["low_bandwidth", "stats", "host", "at", "web"])]
    pub(crate) linear: bool,
    /// Open this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Show this moment: 14:03, -2h, "yesterday 9:00", 2026-05-04T09:00
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// On exit, print the number of frames, their bytes and how long they took
    #[arg(long)]
    pub(crate) stats: bool,
    /// Serve a web page to browsers on this machine instead of drawing in the terminal [address: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = DEFAULT_ADDRESS, value_parser = loopback, conflicts_with_all = ["hub", "low_bandwidth", "stats"])]
    pub(crate) web: Option<SocketAddr>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the fleet, or one host, once
    #[command(after_help = "\
Examples:
  sysmon-tui snapshot
  sysmon-tui snapshot --host db-1 --at -2h
  sysmon-tui snapshot --json | jq '.hosts[].metrics.cpu'
  sysmon-tui snapshot --svg > fleet.svg")]
    Snapshot(SnapshotArgs),
    /// Enrol as an operator with a token
    #[command(after_help = "\
Examples, as printed by `sysmon-hub token create --role operator --name jane`:
  sysmon-tui join lan-box:7979 sysmon1.…
  sysmon-tui join 10.0.0.5:7979 sysmon1.… --as office     then: sysmon-tui --hub office")]
    Join(JoinArgs),
    /// Print one metric over time
    #[command(after_help = "\
Examples:
  sysmon-tui query cpu
  sysmon-tui query net.rx --host db-1 --since 1h --step 1m
  sysmon-tui query cpu --aggregate p95 --top 5 --since 6h
  sysmon-tui query net.rx --by all --across sum --since 30d --step 1d
  sysmon-tui query system.memory.usage --from 09:00 --to 09:30 --format csv > memory.csv")]
    Query(QueryArgs),
    /// Print the busiest processes of all hosts
    #[command(after_help = "\
Examples:
  sysmon-tui top
  sysmon-tui top --by memory --limit 10
  sysmon-tui top --at -2h --host db-1
  sysmon-tui top --json | jq '.processes[] | select(.user == \"root\")'")]
    Top(TopArgs),
    #[command(flatten)]
    Manual(ManualCommand),
}

#[derive(Debug, Default, clap::Args)]
pub(crate) struct SnapshotArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "svg")]
    pub(crate) json: bool,
    /// Print the screen as an SVG picture
    #[arg(long)]
    pub(crate) svg: bool,
    /// Show this host only
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Show the past: 14:03, -2h, "yesterday 9:00", 2026-05-04T09:00
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// Columns and rows of the screen
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size, default_value = "120x30")]
    pub(crate) size: Size,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JoinArgs {
    /// Address of the hub
    #[arg(value_name = "HOST:PORT")]
    pub(crate) address: HubAddress,
    /// One-time token, or - to read it from standard input
    pub(crate) token: TokenArgument,
    /// Name of the operator, unless the token sets it [default: the user's name]
    #[arg(long)]
    pub(crate) name: Option<PeerName>,
    /// Name for the hub, to use with `--hub` later [default: HOST]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) profile: Option<PeerName>,
    #[command(flatten)]
    _unused: Unused,
}

/// Global options that a command accepts and does not use, left out of its help.
#[derive(Debug, clap::Args)]
struct Unused {
    #[arg(id = "hub", long, hide = true)]
    _hub: Option<String>,
    #[arg(id = "demo", long, hide = true)]
    _demo: Option<String>,
    #[arg(id = "theme", long, hide = true)]
    _theme: Option<String>,
    #[arg(id = "ascii", long, hide = true)]
    _ascii: bool,
}

fn theme(text: &str) -> Result<Theme, String> {
    let known = Theme::ALL.iter().find(|(name, _)| *name == text);
    known.map(|(_, theme)| *theme).ok_or_else(|| {
        let names: Vec<_> = Theme::ALL.iter().map(|(name, _)| *name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

fn size(text: &str) -> Result<Size, String> {
    let parsed = text
        .split_once(['x', '×'])
        .and_then(|(width, height)| Some(Size::new(width.parse().ok()?, height.parse().ok()?)));
    parsed
        .filter(|size| (1..=1000).contains(&size.width) && (1..=1000).contains(&size.height))
        .ok_or_else(|| "expected columns and rows, such as 120x30".to_owned())
}
