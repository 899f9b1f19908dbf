//! What people type: the command, its subcommands and flags.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sysmon_certs::{PeerName, Role};
use sysmon_config::CommonArgs;
use sysmon_config::time::parse_span;
use sysmon_hub::VERSION;

/// Receives the metrics of every host, remembers them, and shows them to those who ask.
#[derive(Debug, Parser)]
#[command(name = "sysmon-hub", version = VERSION, after_help = "\
Examples:
  sysmon-hub                                        run, listening on port 7979
  sysmon-hub token create                           a token, and the command to join with it
  sysmon-hub status                                 how the running hub does")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Where to listen [default: [::]:7979]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// What the hub is called [default: this machine's name]
    #[arg(long)]
    pub(crate) name: Option<PeerName>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how the running hub and its hosts do
    #[command(after_help = "Example:\n  sysmon-hub status --json | jq '.hosts[].name'")]
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration and say what would be used
    #[command(after_help = "Example:\n  sysmon-hub check --config config.toml")]
    Check,
    /// Copy the history to a file, while the hub runs or not
    #[command(after_help = "Example:\n  sysmon-hub backup history-monday.db")]
    Backup {
        /// The file to write; it must not exist yet
        file: PathBuf,
    },
    /// Show what is watched and who is told, try it out, or keep it quiet
    Alerts {
        #[command(subcommand)]
        command: Option<AlertsCommand>,
    },
    /// Tokens with which machines and people join
    #[command(subcommand)]
    Token(TokenCommand),
    /// Certificates of agents, operators and edges
    #[command(subcommand)]
    Cert(CertCommand),
    /// The authority that all certificates come from
    #[command(subcommand)]
    Ca(CaCommand),
    /// Show who joined, was turned away, and changed what
    #[command(after_help = "\
Examples:
  sysmon-hub audit
  sysmon-hub audit --since 1h --json | jq 'select(.event == \"refused\")'")]
    Audit {
        /// How far back
        #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = parse_span)]
        since: Duration,
        /// A line of JSON for each
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Send a message to every route, or to one
    #[command(after_help = "Example:\n  sysmon-hub alerts test slack")]
    Test {
        /// Its number as `alerts` shows it, or a part of what is shown
        route: Option<String>,
    },
    /// Say when and for how long a rule would have fired, from what the running hub remembers
    #[command(after_help = "\
Examples:
  sysmon-hub alerts check disk-full --since 7d
  sysmon-hub alerts check \"busy: cpu > 90% for 10m on db-*\" --since 1d")]
    Check {
        /// The name of one of the rules, or a rule as it would stand in the configuration
        rule: String,
        /// Back from now
        #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = parse_span)]
        since: Duration,
        /// Only this host
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
    },
    /// Tell nobody of some alerts for a while; they are shown all the same
    #[command(after_help = "\
Examples:
  sysmon-hub alerts silence db-1 --for 2h --reason \"new disks\"
  sysmon-hub alerts silence \"web-*:cpu-saturated\" --for 1d --reason \"load test\"")]
    Silence {
        /// HOST, HOST:RULE or :RULE, with * for any letters, or #TAG in place of HOST
        scope: String,
        /// How long
        #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
        span: Duration,
        /// Why, for those who wonder
        #[arg(long)]
        reason: String,
    },
    /// Show the silences
    Silences,
    /// Take a silence back; what still fires is told
    Unsilence {
        /// As `alerts silences` shows it
        id: String,
    },
    /// Say that you take care of what fires
    #[command(
        after_help = "Example:\n  sysmon-hub alerts ack db-1:disk-full --note \"making room\""
    )]
    Ack {
        /// HOST, HOST:RULE or :RULE, as for `alerts silence`
        scope: String,
        /// What others should know
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Say that you no longer do, so that the next of those who look will
    Unack {
        /// HOST, HOST:RULE or :RULE, as for `alerts silence`
        scope: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Show the authority, and who still has a certificate of the one before
    Show,
    /// Put a new authority in its place; the present one stays trusted until `ca retire`
    #[command(after_help = "\
Whoever is connected gets a certificate of the new authority at once, and everybody else when they connect. \
`sysmon-hub ca show` says who is missing.")]
    Rotate,
    /// Trust the authority before this one no more: what it signed is worth nothing from then on
    Retire,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token that is good once, and print the command to join with
    #[command(after_help = "\
Examples:
  sysmon-hub token create                                an agent, under its machine's name
  sysmon-hub token create --role operator --name jane --ttl 1d")]
    Create {
        /// agent, operator or edge
        #[arg(long, default_value = "agent")]
        role: Role,
        /// The name of whoever joins with it [default: what they ask for]
        #[arg(long)]
        name: Option<PeerName>,
        /// How long it is good
        #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span)]
        ttl: Duration,
    },
    /// Show the tokens that were not used yet
    List,
    /// Make a token useless
    Revoke {
        /// As `token list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Show the certificates that were made and have not expired
    List,
    /// Make all certificates of a name useless, and end their connections
    #[command(after_help = "Example:\n  sysmon-hub cert revoke db-1")]
    Revoke {
        /// The host's or person's name
        name: PeerName,
    },
    /// Make an identity and write it to a directory, to be copied to where it is used
    #[command(
        after_help = "Example:\n  sysmon-hub cert issue --role operator --name jane --out jane"
    )]
    Issue {
        /// agent, operator or edge
        #[arg(long)]
        role: Role,
        /// The host's or person's name
        #[arg(long)]
        name: PeerName,
        /// The directory to write to
        #[arg(long)]
        out: PathBuf,
    },
}
