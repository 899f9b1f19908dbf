//! Arguments of `sysmon-tui top`.

use clap::ValueEnum;
use sysmon_wire::limits::TOP_MAX;

#[derive(Debug, clap::Args)]
pub(crate) struct TopArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show processes of this host only
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Show the past: 14:03, -2h, "yesterday 9:00", 2026-05-04T09:00
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    /// What to sort by
    #[arg(long, value_enum, default_value_t)]
    pub(crate) by: By,
    /// Number of processes
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
