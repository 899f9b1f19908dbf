//! The command line of `sysmon-bench`.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sysmon_bench::agent::agent;
use sysmon_bench::export::{ExportBenchOptions, export};
use sysmon_bench::flood::flood;
use sysmon_bench::handshakes::handshakes;
use sysmon_bench::joining::joining;
use sysmon_bench::swarm::{SwarmOptions, swarm};
use sysmon_bench::terminal::{TerminalOptions, terminal};
use sysmon_bench::viewers::viewers;
use sysmon_bench::year::{YearOptions, year};
use sysmon_bench::{VERSION, concurrency, figures, runtime};
use sysmon_config::time::parse_span;
use sysmon_config::{CommonArgs, HubAddress, Program, init_logs, run, state_dir};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Generates load and measures the resource usage of sysmon
#[derive(Debug, Parser)]
#[command(name = "sysmon-bench", version = VERSION, after_help = "\
Examples:
  sysmon-bench swarm --hub localhost --hosts 1000 --series 200 --for 60s --state hub-state
  sysmon-bench flood --hub localhost --state hub-state
  sysmon-bench join                         time from joining to the first visible row
  sysmon-bench agent                        usage of the agent with 400 processes
  sysmon-bench year                         what a hub keeps after a year, in simulated time
  sysmon-bench figures                      start-up time and usage at rest")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Push from many agents that replay a recorded machine; --state is the state directory of the hub, whose
    /// authority issues their identities
    #[command(after_help = "\
Examples:
  sysmon-bench swarm --hub localhost --hosts 1000 --for 60s --state ~/.local/state/sysmon/hub
  sysmon-bench swarm --hub localhost --hosts 5000 --series 200 --json --state hub-state | jq .lag_ms")]
    Swarm {
        #[command(flatten)]
        options: SwarmOptions,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Connect from thousands of unauthenticated peers while a few agents push; --state is the state directory of
    /// the hub
    #[command(
        after_help = "Example:\n  sysmon-bench flood --hub localhost --attempts 10000 --state hub-state"
    )]
    Flood {
        /// Hub to connect to
        #[arg(long, value_name = "HOST:PORT")]
        hub: HubAddress,
        /// Number of connection attempts
        #[arg(long, default_value_t = 10_000)]
        attempts: usize,
    },
    /// Measure complete handshakes per second; --state is the state directory of the hub
    Handshakes {
        /// Hub to connect to
        #[arg(long, value_name = "HOST:PORT")]
        hub: HubAddress,
        /// Concurrent handshakes
        #[arg(long, value_name = "N", default_value = "32", value_parser = concurrency)]
        at_once: usize,
        /// Duration of the measurement
        #[arg(long = "for", value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
        length: Duration,
    },
    /// Measure the time from the join command to the first visible row
    Join,
    /// Measure the usage of the agent, and of comparable programs that are installed (Linux)
    #[command(after_help = "Example:\n  sysmon-bench agent --processes 400 --span 60s")]
    Agent {
        /// Minimum number of processes; sleeping ones are started as needed
        #[arg(long, default_value_t = 400)]
        processes: usize,
        /// Duration of each measurement: at rest, and while processes are shown
        #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
        span: Duration,
    },
    /// Measure usage and latency of a terminal that follows a fleet, and the usage of comparable programs that are
    /// installed (Linux)
    #[command(after_help = "\
Examples:
  sysmon-bench terminal --hosts 40 --size 200x50
  sysmon-bench terminal --hosts 1000 --past 2m
  sysmon-bench terminal --past 1d           moments of a whole day; takes minutes to prepare")]
    Terminal(TerminalOptions),
    /// Follow the page of an edge with many live viewers, and print the result as JSON
    #[command(
        after_help = "Example:\n  sysmon-bench viewers --edge 127.0.0.1:8080 --count 5000 --span 30s"
    )]
    Viewers {
        /// Edge to connect to, without TLS
        #[arg(long, value_name = "HOST:PORT")]
        edge: String,
        /// Number of viewers
        #[arg(long, value_name = "N", default_value_t = 1000)]
        count: usize,
        /// Duration of the measurement, once all are connected
        #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
        span: Duration,
    },
    /// Live through a year in simulated time, and show by month what a hub keeps (Linux)
    #[command(after_help = "\
Everything is replaced over time: containers, interfaces, filesystems, hosts, certificates, tokens, silences and alerts. \
The hub's core, history, alerts, register and tokens, and the board and outbox of the agents, are those of the \
programs; left out are sockets, collection, notification routes, baselines and the audit log.

Exits with 1 if something still grows once the longest retention has passed.

Examples:
  sysmon-bench year
  sysmon-bench year --months 3 --hosts 4    the shortest that can be judged
  sysmon-bench year --months 2 --hosts 2 --containers 2 --hours 14d")]
    Year(YearOptions),
    /// Measure what an export costs, with recorded rows and a real server (Linux)
    #[command(after_help = "\
Examples:
  sysmon-bench export --kind remote-write --url http://127.0.0.1:8428/api/v1/write --server victoria-metrics
  sysmon-bench export --kind otlp-grpc
  sysmon-bench export --kind postgres --url postgres://postgres@127.0.0.1/metrics --server postgres --minutes 10")]
    Export(ExportBenchOptions),
    /// Measure start-up time and usage at rest of the programs (Linux)
    #[command(after_help = "Example:\n  sysmon-bench figures --rest 60s")]
    Figures {
        /// Duration of the measurement at rest
        #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
        rest: Duration,
    },
}

/// Logs warnings only, unless verbose: thousands of agents log one line per connection.
fn init_quietly(args: &CommonArgs) {
    init_logs(&CommonArgs {
        quiet: args.verbose == 0,
        ..args.clone()
    });
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-bench", || {
        match args.command {
            Command::Agent { .. } => init_logs(&args.common),
            Command::Join | Command::Figures { .. } => {}
            // Each alert is a line of the log.
            Command::Year(_) if args.common.verbose == 0 => {}
            _ => init_quietly(&args.common),
        }
        Ok(sysmon_config::print(&report(&args)?)?)
    })
}

fn report(args: &Args) -> anyhow::Result<String> {
    let state = state_dir(Program::Hub, args.common.state.as_deref());
    match &args.command {
        Command::Swarm { options, json } => {
            let report = runtime()?.block_on(swarm(options, &state))?;
            Ok(match json {
                true => format!("{:#}\n", report.to_json()),
                false => report.to_string(),
            })
        }
        Command::Flood { hub, attempts } => {
            runtime()?.block_on(flood(&hub.to_string(), *attempts, &state))
        }
        Command::Handshakes {
            hub,
            at_once,
            length,
        } => runtime()?.block_on(handshakes(&hub.to_string(), *at_once, *length, &state)),
        Command::Join => joining(),
        Command::Agent { processes, span } => agent(*processes, *span),
        Command::Terminal(options) => terminal(*options),
        Command::Viewers { edge, count, span } => {
            let report = runtime()?.block_on(viewers(edge, *count, *span))?;
            Ok(format!("{report:#}\n"))
        }
        Command::Export(options) => export(options),
        Command::Year(options) => year(*options),
        Command::Figures { rest } => figures::figures(*rest),
    }
}
