//! `sysmon-bench`: load, and figures.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sysmon_bench::agent::agent;
use sysmon_bench::swarm::{SwarmOptions, swarm};
use sysmon_bench::{VERSION, figures};
use sysmon_config::time::parse_span;
use sysmon_config::{CommonArgs, HubAddress, Program, init_logs, run, state_dir};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Puts load on a hub, and measures what sysmon costs.
#[derive(Debug, Parser)]
#[command(name = "sysmon-bench", version = VERSION, after_help = "\
Examples:
  sysmon-bench swarm --hub localhost --hosts 1000 --for 60s --state hub-state
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
    /// Simulate agents, with identities made by the authority of the hub whose state is --state
    #[command(after_help = "\
Example:
  sysmon-bench swarm --hub localhost --hosts 1000 --for 60s --state ~/.local/state/sysmon/hub")]
    Swarm {
        /// The hub
        #[arg(long, value_name = "HOST:PORT")]
        hub: HubAddress,
        /// How many agents
        #[arg(long, default_value_t = 100)]
        hosts: usize,
        /// Time between samples
        #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = parse_span)]
        interval: Duration,
        /// How long
        #[arg(long = "for", value_name = "SPAN", default_value = "60s", value_parser = parse_span)]
        length: Duration,
    },
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
    /// Measure how fast the programs start and what they cost at rest (Linux)
    #[command(after_help = "Example:\n  sysmon-bench figures --rest 60s")]
    Figures {
        /// How long to watch them at rest
        #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = parse_span)]
        rest: Duration,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-bench", || match &args.command {
        Command::Swarm {
            hub,
            hosts,
            interval,
            length,
        } => {
            init_logs(&args.common);
            let options = SwarmOptions {
                hub: hub.to_string(),
                hosts: *hosts,
                interval: *interval,
                length: *length,
            };
            let state = state_dir(Program::Hub, args.common.state.as_deref());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let summary = runtime.block_on(swarm(options, &state))?;
            let text = format!(
                "{hosts} agents took {} rows: {} acknowledged, {} not, {} dropped\n",
                summary.rows,
                summary.rows - summary.waiting - summary.dropped,
                summary.waiting,
                summary.dropped
            );
            Ok(sysmon_config::print(&text)?)
        }
        Command::Agent { processes, span } => {
            init_logs(&args.common);
            Ok(sysmon_config::print(&agent(*processes, *span)?)?)
        }
        Command::Figures { rest } => Ok(sysmon_config::print(&figures::figures(*rest)?)?),
    })
}
