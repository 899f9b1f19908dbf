//! `sysmon-bench`: load, and figures.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sysmon_bench::agent::agent;
use sysmon_bench::flood::flood;
use sysmon_bench::handshakes::handshakes as greet;
use sysmon_bench::joining::joining;
use sysmon_bench::swarm::{SwarmOptions, swarm};
use sysmon_bench::terminal::{TerminalOptions, terminal};
use sysmon_bench::viewers::viewers;
use sysmon_bench::{VERSION, figures};
use sysmon_config::time::parse_span;
use sysmon_config::{CommonArgs, HubAddress, Program, init_logs, run, state_dir};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts load on a hub, and measures what sysmon costs.
#[derive(Debug, Parser)]
#[command(name = "sysmon-bench", version = VERSION, after_help = "\
Examples:
  sysmon-bench swarm --hub localhost --hosts 1000 --series 200 --for 60s --state hub-state
  sysmon-bench flood --hub localhost --state hub-state
  sysmon-bench join                         how soon a machine that joins is seen
  sysmon-bench agent                        what the agent costs with 400 processes
  sysmon-bench figures                      how fast it starts and what it costs at rest")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be many agents that play a recorded machine, with identities made by the authority of the hub whose
    /// state is --state
    #[command(after_help = "\
Examples:
  sysmon-bench swarm --hub localhost --hosts 1000 --for 60s --state ~/.local/state/sysmon/hub
  sysmon-bench swarm --hub localhost --hosts 5000 --series 200 --json --state hub-state | jq .lag_ms")]
    Swarm {
        /// The hub
        #[arg(long, value_name = "HOST:PORT")]
        hub: HubAddress,
        /// How many agents
        #[arg(long, default_value_t = 100)]
        hosts: usize,
        /// Only so many of the recorded series, the first ones [default: all 368]
        #[arg(long, value_name = "N")]
        series: Option<usize>,
        /// How many agents connect at the same time
        #[arg(long, value_name = "N", default_value = "32", value_parser = handshakes)]
        handshakes: usize,
        /// Time between samples
        #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = parse_span)]
        interval: Duration,
        /// How long to measure, once all are connected
        #[arg(long = "for", value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
        length: Duration,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Be thousands of peers at once that nobody knows, while a few agents push, with identities made by the
    /// authority of the hub whose state is --state
    #[command(
        after_help = "Example:\n  sysmon-bench flood --hub localhost --attempts 10000 --state hub-state"
    )]
    Flood {
        /// The hub
        #[arg(long, value_name = "HOST:PORT")]
        hub: HubAddress,
        /// How many attempts to connect
        #[arg(long, default_value_t = 10_000)]
        attempts: usize,
    },
    /// Measure how many whole handshakes a hub does, as operators made by the authority whose state is --state
    Handshakes {
        /// The hub
        #[arg(long, value_name = "HOST:PORT")]
        hub: HubAddress,
        /// How many at the same time
        #[arg(long, value_name = "N", default_value = "32", value_parser = handshakes)]
        at_once: usize,
        /// For how long
        #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
        length: Duration,
    },
    /// Measure how long it takes from the line that joins a machine to its first row on a screen
    Join,
    /// Measure what the agent costs, beside others' that are installed (Linux)
    #[command(after_help = "Example:\n  sysmon-bench agent --processes 400 --span 60s")]
    Agent {
        /// Have at least so many processes, by starting some that sleep
        #[arg(long, default_value_t = 400)]
        processes: usize,
        /// How long to watch, once at rest and once while processes are shown
        #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
        span: Duration,
    },
    /// Measure what following a fleet in a terminal costs and how soon it shows what it is asked for, beside others
    /// that are installed (Linux)
    #[command(after_help = "\
Examples:
  sysmon-bench terminal --hosts 40 --size 200x50
  sysmon-bench terminal --hosts 1000 --past 2m
  sysmon-bench terminal --past 1d           moments of a whole day; takes minutes to prepare")]
    Terminal {
        /// Simulated hosts
        #[arg(long, default_value_t = 40)]
        hosts: usize,
        /// How far back they tell what was
        #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = parse_span)]
        past: Duration,
        /// How long to watch the programs at rest
        #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
        span: Duration,
        /// Columns and rows
        #[arg(long, value_name = "WIDTHxHEIGHT", default_value = "200x50", value_parser = size)]
        size: (u16, u16),
    },
    /// Be many who watch an edge's page live; tell as JSON what they got
    #[command(
        after_help = "Example:\n  sysmon-bench viewers --edge 127.0.0.1:8080 --count 5000 --span 30s"
    )]
    Viewers {
        /// The edge, without TLS, as HOST:PORT
        #[arg(long, value_name = "HOST:PORT")]
        edge: String,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 1000)]
        count: usize,
        /// For how long, once all are there
        #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
        span: Duration,
    },
    /// Measure how fast the programs start and what they cost at rest (Linux)
    #[command(after_help = "Example:\n  sysmon-bench figures --rest 60s")]
    Figures {
        /// How long to watch them at rest
        #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
        rest: Duration,
    },
}

/// Thousands of agents that each tell of a connection tell nothing.
fn init_quietly(args: &CommonArgs) {
    init_logs(&CommonArgs {
        quiet: args.verbose == 0,
        ..args.clone()
    });
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let size = text.split_once('x');
    let size = size.and_then(|(width, height)| Some((height.parse().ok()?, width.parse().ok()?)));
    size.filter(|(rows, columns)| (1..=1000).contains(rows) && (1..=1000).contains(columns))
        .ok_or_else(|| "columns and rows, such as 200x50".to_owned())
}

fn handshakes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=10_000) => Ok(count),
        _ => Err("a number from 1 to 10000".to_owned()),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-bench", || match &args.command {
        Command::Swarm {
            hub,
            hosts,
            series,
            handshakes,
            interval,
            length,
            json,
        } => {
            init_quietly(&args.common);
            let options = SwarmOptions {
                hub: hub.to_string(),
                hosts: *hosts,
                series: *series,
                handshakes: *handshakes,
                interval: *interval,
                length: *length,
            };
            let state = state_dir(Program::Hub, args.common.state.as_deref());
            let report = runtime()?.block_on(swarm(options, &state))?;
            let text = if *json {
                format!("{:#}\n", report.to_json())
            } else {
                report.to_string()
            };
            Ok(sysmon_config::print(&text)?)
        }
        Command::Flood { hub, attempts } => {
            init_quietly(&args.common);
            let state = state_dir(Program::Hub, args.common.state.as_deref());
            let told = runtime()?.block_on(flood(&hub.to_string(), *attempts, &state))?;
            Ok(sysmon_config::print(&told)?)
        }
        Command::Handshakes {
            hub,
            at_once,
            length,
        } => {
            init_quietly(&args.common);
            let state = state_dir(Program::Hub, args.common.state.as_deref());
            let hub = hub.to_string();
            let greeted = greet(&hub, *at_once, *length, &state);
            Ok(sysmon_config::print(&runtime()?.block_on(greeted)?)?)
        }
        Command::Join => Ok(sysmon_config::print(&joining()?)?),
        Command::Agent { processes, span } => {
            init_logs(&args.common);
            Ok(sysmon_config::print(&agent(*processes, *span)?)?)
        }
        Command::Terminal {
            hosts,
            past,
            span,
            size,
        } => {
            init_quietly(&args.common);
            let options = TerminalOptions {
                hosts: *hosts,
                past: *past,
                span: *span,
                size: *size,
            };
            Ok(sysmon_config::print(&terminal(options)?)?)
        }
        Command::Viewers { edge, count, span } => {
            init_quietly(&args.common);
            let told = runtime()?.block_on(viewers(edge, *count, *span))?;
            Ok(sysmon_config::print(&format!("{told:#}\n"))?)
        }
        Command::Figures { rest } => Ok(sysmon_config::print(&figures::figures(*rest)?)?),
    })
}
