//! The command line: subcommands, flags and their help.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args as ClapArgs, Parser, Subcommand};
use sysmon_certs::{HostScope, PeerName, Role};
use sysmon_config::time::parse_span;
use sysmon_config::{CommonArgs, Failure, HubAddress, ManualCommand};
use sysmon_service::ServiceCommand;

use super::backup::Protection;
use sysmon_hub::VERSION;

/// Collects metrics from every agent, stores them, and serves them to terminals and edges.
#[derive(Clone, Debug, Parser)]
#[command(name = "sysmon-hub", version = VERSION, after_help = "\
Examples:
  sysmon-hub                                        run, listening on port 7979
  sysmon-hub token create                           create a token and print the command to join with it
  sysmon-hub status                                 show the running hub and its hosts")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Address to listen on (UDP) [default: [::]:7979]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Name of the hub [default: this machine's name]
    #[arg(long)]
    pub(crate) name: Option<PeerName>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the status of the running hub and its hosts
    #[command(after_help = "Example:\n  sysmon-hub status --json | jq '.hosts[].name'")]
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Validate the configuration and show what would be used
    #[command(after_help = "Example:\n  sysmon-hub check --config config.toml")]
    Check,
    /// Back up everything that the hub needs into one encrypted file, whether the hub is running or not
    #[command(after_help = "\
Examples:
  sysmon-hub backup --passphrase-file /root/passphrase hub-monday.age
  sysmon-hub backup --unencrypted hub-monday.tar")]
    Backup {
        /// File to write; must not exist yet
        file: PathBuf,
        #[command(flatten)]
        protection: Protection,
        /// Write a plain file, although it holds the key of the certificate authority
        #[arg(long, conflicts_with = "passphrase_file")]
        unencrypted: bool,
    },
    /// Restore a backup into the state directory of a hub that is not running
    #[command(
        after_help = "Example:\n  sysmon-hub restore --passphrase-file /root/passphrase hub-monday.age"
    )]
    Restore {
        /// File that `sysmon-hub backup` wrote
        file: PathBuf,
        #[command(flatten)]
        protection: Protection,
        /// Move the state that is there aside
        #[arg(long)]
        force: bool,
    },
    /// Show rules and routes, test and replay them, silence and acknowledge alerts
    Alerts {
        #[command(subcommand)]
        command: Option<AlertsCommand>,
    },
    /// Manage join tokens for machines, people, edges and gateways
    #[command(subcommand)]
    Token(TokenCommand),
    /// Manage certificates of agents, operators, edges and gateways
    #[command(subcommand)]
    Cert(CertCommand),
    /// List hosts, forget those that are gone, and rename them
    #[command(subcommand)]
    Host(HostCommand),
    /// Manage the certificate authority that issues all certificates
    #[command(subcommand)]
    Ca(CaCommand),
    /// Pair edges with this hub, list and remove them
    #[command(subcommand)]
    Edge(EdgeCommand),
    /// Open, update, resolve or list incidents, which the public page shows
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// List, test, fill, pause and resume the engines that the history is exported to
    #[command(subcommand)]
    Export(ExportCommand),
    /// Show who joined, who was refused, and who changed what
    #[command(after_help = "\
Examples:
  sysmon-hub audit
  sysmon-hub audit --since 1h --json | jq 'select(.event == \"refused\")'")]
    Audit {
        /// How far back to look
        #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = parse_span)]
        since: Duration,
        /// Print one line of JSON per entry
        #[arg(long)]
        json: bool,
    },
    /// Check whether the running hub answers, for health checks of containers
    #[command(after_help = "Example:\n  sysmon-hub health --state /var/lib/sysmon/hub")]
    Health,
    /// Install, show or uninstall the hub as a service of this machine
    #[command(subcommand)]
    Service(ServiceCommand),
    #[command(flatten)]
    Manual(ManualCommand),
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Send a test message over every route, or over one
    #[command(after_help = "Example:\n  sysmon-hub alerts test slack")]
    Test {
        /// Number of the route in `sysmon-hub alerts`, or part of its description
        route: Option<String>,
    },
    /// Replay a rule over the running hub's history: when and for how long it would have fired
    #[command(after_help = "\
Examples:
  sysmon-hub alerts check disk-full --since 7d
  sysmon-hub alerts check \"busy: cpu > 90% for 10m on db-*\" --since 1d")]
    Check {
        /// Name of a configured rule, or a rule as written in the configuration
        rule: String,
        /// How far back to replay
        #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = parse_span)]
        since: Duration,
        /// Replay for this host only
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
    },
    /// Silence matching alerts for a limited time; screens still show them
    #[command(after_help = "\
Examples:
  sysmon-hub alerts silence db-1 --for 2h --reason \"new disks\"
  sysmon-hub alerts silence \"web-*:cpu-saturated\" --for 1d --reason \"load test\"")]
    Silence {
        /// HOSTS, HOSTS:RULE or :RULE; HOSTS are names with * and #TAGs, with commas between them, and ! before those to leave out
        scope: String,
        /// How long the silence lasts
        #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
        span: Duration,
        /// Reason, shown with the alert
        #[arg(long)]
        reason: String,
        /// Accept hosts, tags and rules that do not exist yet
        #[arg(long)]
        force: bool,
    },
    /// List the silences
    Silences,
    /// Remove a silence; alerts that are still firing are sent
    Unsilence {
        /// ID from `sysmon-hub alerts silences`
        id: String,
    },
    /// Acknowledge firing alerts: you take responsibility for them
    #[command(
        after_help = "Example:\n  sysmon-hub alerts ack db-1:disk-full --note \"making room\""
    )]
    Ack {
        /// HOSTS, HOSTS:RULE or :RULE, as for `alerts silence`
        scope: String,
        /// Note for others
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Withdraw an acknowledgement
    Unack {
        /// HOSTS, HOSTS:RULE or :RULE, as for `alerts silence`
        scope: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// Open an incident; prints its number
    #[command(after_help = "\
Example:
  sysmon-hub incident open \"The shop is slow\" --check shop")]
    Open {
        /// What has happened, in words for the public
        title: String,
        /// A check that it is about; may be given several times
        #[arg(long = "check", value_name = "CHECK")]
        checks: Vec<String>,
    },
    /// Add a word to an incident
    #[command(after_help = "Example:\n  sysmon-hub incident update 7 \"A disk is being replaced\"")]
    Update {
        /// Number of the incident
        number: u32,
        /// What is new, in words for the public
        text: String,
    },
    /// Resolve an incident
    #[command(after_help = "Example:\n  sysmon-hub incident resolve 7 \"The disk was replaced\"")]
    Resolve {
        /// Number of the incident
        number: u32,
        /// A last word for the public
        text: Option<String>,
    },
    /// List the incidents, the newest first
    List,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum EdgeCommand {
    /// Pair an edge: dial it, check it by the code that `sysmon-edge pair` shows there, and sign its key
    #[command(after_help = "\
Examples:
  sysmon-hub edge add edge.example.org                  asks for the code
  sysmon-hub edge add edge.example.org --code-file code")]
    Add {
        /// Address of the edge, where `sysmon-edge pair` waits
        #[arg(value_name = "HOST:PORT")]
        address: HubAddress,
        /// Name of the edge [default: the name of its machine]
        #[arg(long)]
        name: Option<PeerName>,
        /// File that contains the code, readable by its owner only [default: asked for]
        #[arg(long, value_name = "FILE")]
        code_file: Option<PathBuf>,
    },
    /// List the edges that the hub connects to
    List,
    /// Remove a paired edge and revoke its certificate
    #[command(after_help = "Example:\n  sysmon-hub edge remove edge-1")]
    Remove {
        /// Name or address of the edge
        edge: String,
    },
    /// Sign the key of an edge that has proved to have the code; `edge add` does this
    #[command(hide = true)]
    Sign {
        address: String,
        name: PeerName,
        request: String,
        #[arg(long)]
        named: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Show the certificate authority, and peers that still have a certificate of the previous one
    Show,
    /// Create a new certificate authority; the present one stays trusted until `ca retire`
    #[command(after_help = "\
Connected peers get a certificate of the new authority at once, others when they connect. \
`sysmon-hub ca show` lists the peers that are missing.")]
    Rotate,
    /// Stop trusting the previous certificate authority and every certificate that it signed
    #[command(after_help = "Example:\n  sysmon-hub ca retire")]
    Retire {
        /// Also if peers still have a certificate of the previous one: they have to enrol again
        #[arg(long)]
        force: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// List the hosts of the running hub
    List,
    /// Remove a host that is gone, with its history; its name is free afterwards
    #[command(after_help = "Example:\n  sysmon-hub host forget db-1")]
    Forget {
        /// Name of the host
        name: String,
    },
    /// Rename a host with its history, alerts and silences; its agent then joins again under the new name
    #[command(after_help = "\
The certificate of an agent carries its name, so that of the old name is revoked. Rules and windows in the \
configuration stay as they are.

Example:
  sysmon-hub host rename db-1 db-old                    while the agent is stopped
  sysmon-hub token create --name db-old                 prints the command that joins it again")]
    Rename {
        /// Name of the host
        old: String,
        /// Name that no other host has
        new: PeerName,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Create a token, which works once, and print the command to join with it
    #[command(after_help = "\
Examples:
  sysmon-hub token create                                an agent, under its machine's name
  sysmon-hub token create --role operator --name jane --ttl 1d
  sysmon-hub token create --role gateway --name col-1 --hosts \"web-*,db-*\" --max-hosts 50
  sysmon-hub token create --uses 20 --out token          for twenty machines, into a file
  sysmon-hub token create --install                      one line that does everything on the new machine")]
    Create {
        /// Role of the peer that joins: agent, operator, edge or gateway
        #[arg(long, default_value = "agent")]
        role: Role,
        /// Name of the peer that joins [default: the name that it asks for]
        #[arg(long)]
        name: Option<PeerName>,
        /// How long the token is valid
        #[arg(long, value_name = "SPAN", default_value = "1h", value_parser = parse_span)]
        ttl: Duration,
        /// How many machines may join, each under a name of its own
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
        uses: u32,
        /// Write the token to a file that only its owner can read, instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print one line that installs, enrols and starts an agent or edge on a new machine, from [hub] releases
        #[arg(long, conflicts_with = "out")]
        install: bool,
        /// The SHA-256 of the release's tarball [default: as its folder says]
        #[arg(long, value_name = "HEX", requires = "install", value_parser = sha256)]
        sha256: Option<String>,
        /// System of the new machine [default: this one's]
        #[arg(long, value_name = "TARGET", requires = "install", value_parser = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"])]
        target: Option<String>,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// List unused tokens
    List,
    /// Revoke a token
    Revoke {
        /// ID from `sysmon-hub token list`
        id: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// List the destinations: what each does, how far it is behind, and what it refused
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Connect to a destination of the configuration and check that it would take rows
    #[command(after_help = "Example:\n  sysmon-hub export test victoria")]
    Test {
        /// Name of the destination
        name: String,
    },
    /// Send the past to a destination: rows as far as there are any, minutes before that
    #[command(after_help = "\
Examples:
  sysmon-hub export backfill victoria --since 30d     shows the progress; Ctrl-C leaves it going on
  sysmon-hub export backfill victoria --since 1h --no-wait")]
    Backfill {
        /// Name of the destination
        name: String,
        /// How far back to go
        #[arg(long, value_name = "SPAN", value_parser = parse_span)]
        since: Duration,
        /// Return at once
        #[arg(long)]
        no_wait: bool,
    },
    /// Send nothing to a destination until it is resumed, over restarts too
    Pause {
        /// Name of the destination
        name: String,
    },
    /// Send to a destination again, what it missed too
    Resume {
        /// Name of the destination
        name: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// List issued certificates that have not expired
    List,
    /// Revoke all certificates of a host, person or edge and close their connections
    #[command(after_help = "Example:\n  sysmon-hub cert revoke db-1")]
    Revoke {
        /// Name of the host or person
        name: PeerName,
        /// Role of the certificates, where peers of several roles have this name
        #[arg(long)]
        role: Option<Role>,
    },
    /// Issue an identity and write it to a directory, to be copied to the machine that uses it
    #[command(
        after_help = "Example:\n  sysmon-hub cert issue --role operator --name jane --out jane"
    )]
    Issue {
        /// Role of the peer that joins: agent, operator, edge or gateway
        #[arg(long)]
        role: Role,
        /// Name of the host or person
        #[arg(long)]
        name: PeerName,
        /// Directory to write to
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        scope: ScopeArgs,
    },
}

fn sha256(text: &str) -> Result<String, String> {
    let is_sum = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_sum {
        true => Ok(text.to_ascii_lowercase()),
        false => {
            Err("a SHA-256 has 64 hexadecimal digits; SHA256SUMS of the release has it".to_owned())
        }
    }
}

/// The hosts that a gateway may write.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ScopeArgs {
    /// Hosts that a gateway may write: names and patterns with *, with commas between them
    #[arg(long, value_name = "HOSTS")]
    hosts: Option<String>,
    /// How many hosts a gateway may have at a time [default: 100]
    #[arg(long, value_name = "N", requires = "hosts")]
    max_hosts: Option<u32>,
}

impl ScopeArgs {
    /// The scope of a role: gateways have one, others none.
    pub(crate) fn of(&self, role: Role) -> Result<Option<HostScope>, Failure> {
        match (role, &self.hosts) {
            (Role::Gateway, Some(hosts)) => {
                let max = self.max_hosts.unwrap_or(HostScope::USUAL);
                let scope = HostScope::new(hosts, max);
                scope
                    .map(Some)
                    .map_err(|error| Failure::Usage(error.into()))
            }
            (Role::Gateway, None) => Err(Failure::Usage(anyhow!(
                "a gateway needs --hosts: the names and patterns of hosts that it may write, such as \"web-*,db-*\""
            ))),
            (_, Some(_)) => Err(Failure::Usage(anyhow!("only a gateway has --hosts"))),
            (_, None) => Ok(None),
        }
    }
}
