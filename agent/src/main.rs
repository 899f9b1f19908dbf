//! The command line of `sysmon-agent`.

mod check;
mod heartbeat;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use heartbeat::HeartbeatCommand;
use sysmon_agent::run::{AgentOptions, Source};
use sysmon_agent::sample::Sample;
use sysmon_agent::sampler::Sampler;
use sysmon_agent::spool::{SpoolHealth, SpoolLimits};
use sysmon_agent::{VERSION, identity, report};
use sysmon_certs::{CertError, Identity, PeerName, Token, TokenArgument};
use sysmon_clock::{Clock, Random};
use sysmon_config::{
    CommonArgs, Config, Failure, HubAddress, ManualCommand, Program, health, init_logs, notify,
    run, runtime, state_dir, stop_signal,
};
use sysmon_link::{Connector, LinkError};
use sysmon_service::{Service, ServiceCommand};
use sysmon_wire::message::Purpose;

/// Collects the metrics of this machine and pushes them to a hub
#[derive(Debug, Parser)]
#[command(name = "sysmon-agent", version = VERSION, after_help = "\
Examples:
  sysmon-agent                                push to the configured hub, or to the hub on this
                                              machine
  sysmon-agent --hub lan-box --state db-1     push to lan-box with the identity in db-1
  sysmon-agent sample                         print one sample of this machine")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Hub to push to
    #[arg(long, value_name = "HOST:PORT")]
    hub: Option<HubAddress>,
    /// Name of this host; must match the identity
    #[arg(long, global = true)]
    name: Option<PeerName>,
    #[command(flatten)]
    roots: RootArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Where the host's files are, for an agent in a container.
#[derive(Debug, clap::Args)]
struct RootArgs {
    /// The host's /proc, where it is elsewhere
    #[arg(long, value_name = "DIR", global = true, hide_short_help = true)]
    proc: Option<PathBuf>,
    /// The host's /sys
    #[arg(long, value_name = "DIR", global = true, hide_short_help = true)]
    sys: Option<PathBuf>,
    /// The host's root directory
    #[arg(long, value_name = "DIR", global = true, hide_short_help = true)]
    rootfs: Option<PathBuf>,
}

impl RootArgs {
    fn apply(&self, config: &mut Config) {
        let agent = &mut config.agent;
        let roots = [
            (&self.proc, &mut agent.proc),
            (&self.sys, &mut agent.sys),
            (&self.rootfs, &mut agent.rootfs),
        ];
        for (flag, root) in roots {
            if let Some(dir) = flag {
                root.clone_from(dir);
            }
        }
    }
}

/// What `sysmon-agent service` installs.
const SERVICE: Service = Service {
    program: "sysmon-agent",
    state: "agent",
    about: "sysmon agent: pushes this machine's metrics to its hub",
    unit: include_str!("../sysmon-agent.service"),
    capabilities: "^cap_sys_ptrace,^cap_dac_read_search",
};

#[derive(Debug, Subcommand)]
enum Command {
    /// Join a hub with a token, then start pushing to it
    #[command(after_help = "\
Examples, the first as printed by `sysmon-hub token create`:
  sysmon-agent join lan-box:7979 sysmon1.…         enrol, and push from now on
  sysmon-agent join --once lan-box:7979 sysmon1.…  enrol only: a service pushes")]
    Join {
        /// Hub to join
        #[arg(value_name = "HOST:PORT")]
        hub: HubAddress,
        /// Join token, or - to read it from standard input
        token: TokenArgument,
        /// Exit after enrolling, without pushing
        #[arg(long)]
        once: bool,
    },
    /// Renew the certificate of a program that sends OTLP, if two thirds of its life have passed
    #[command(after_help = "\
Example, once a day:
  sysmon-agent renew --state /etc/otelcol/sysmon")]
    Renew,
    /// Print one sample of this machine
    #[command(after_help = "Example:\n  sysmon-agent sample --json | jq '.series[].metric'")]
    Sample {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Try the configured checks once, without a hub
    #[command(after_help = "\
Examples:
  sysmon-agent check                               try all checks of the configuration
  sysmon-agent check shop                          try one of them
  sysmon-agent check --line 'db: tcp db-1:5432'    try one that is not configured yet")]
    Check {
        /// Only the check of this name
        check: Option<String>,
        /// A check as the configuration would have it
        #[arg(long, value_name = "CHECK", conflicts_with = "check")]
        line: Option<String>,
    },
    /// Add, list or remove heartbeats, which jobs send when they have run
    #[command(subcommand)]
    Heartbeat(HeartbeatCommand),
    /// Ask smartctl about the health of all disks and write it where the agent reads it; runs as root
    #[cfg(target_os = "linux")]
    #[command(after_help = "\
Examples:
  sysmon-agent smart                            as sysmon-smart.timer runs it every half hour
  sysmon-agent smart --out /tmp/health --print  try it, and show what was found")]
    Smart {
        /// Folder of the file
        #[arg(long, value_name = "DIR", default_value = "/var/lib/sysmon-smart")]
        out: PathBuf,
        /// smartctl, where it is elsewhere
        #[arg(long, value_name = "PROGRAM", default_value = "smartctl")]
        smartctl: String,
        /// Print what was found
        #[arg(long)]
        print: bool,
    },
    /// Check whether the running agent answers, for health checks of containers
    #[command(after_help = "Example:\n  sysmon-agent health --state /var/lib/sysmon/agent")]
    Health,
    /// Install, show or uninstall the agent as a service of this machine
    #[command(subcommand)]
    Service(ServiceCommand),
    #[command(flatten)]
    Manual(ManualCommand),
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-agent", || {
        match &args.command {
            Some(Command::Manual(command)) => return command.run::<Args>(),
            Some(Command::Service(command)) => return command.run(&SERVICE),
            Some(Command::Health) => return health::check("sysmon-agent", &state(&args)),
            _ => {}
        }
        let mut config = args.common.load()?;
        args.roots.apply(&mut config);
        let (clock, random) = (Clock::system(), Random::system());
        match &args.command {
            Some(Command::Join { hub, token, once }) => {
                let token = token.read().map_err(anyhow::Error::from)?;
                join(&args, hub, &token, (&clock, &random))?;
                if *once {
                    return Ok(());
                }
                push(&args, &config, clock, random)
            }
            Some(Command::Renew) => renew(&args, &config, &clock),
            Some(Command::Sample { json }) => sample(&config, *json, &clock),
            Some(Command::Check { check, line }) => {
                check::run(&config.agent, check.as_deref(), line.as_deref(), &clock)
            }
            #[cfg(target_os = "linux")]
            Some(Command::Smart {
                out,
                smartctl,
                print,
            }) => smart(out, smartctl, *print, &clock),
            Some(Command::Heartbeat(command)) => {
                command.run(&config.agent, &state(&args), &clock, &random)
            }
            _ => push(&args, &config, clock, random),
        }
    })
}

fn state(args: &Args) -> PathBuf {
    let state = state_dir(Program::Agent, args.common.state.as_deref());
    match (&args.name, &args.common.state) {
        // Several agents on one machine each get their own directory.
        (Some(name), None) => state.join(name.as_str()),
        _ => state,
    }
}

fn join(
    args: &Args,
    hub: &HubAddress,
    token: &Token,
    environment: (&Clock, &Random),
) -> Result<(), Failure> {
    let state = state(args);
    let identity = enrol(args, &state, hub, token, environment)?;
    let text = format!(
        "joined the hub at {hub} as {}; identity stored in {}\n",
        identity.peer(),
        state.display()
    );
    Ok(sysmon_config::print(&text)?)
}

fn enrol(
    args: &Args,
    state: &Path,
    hub: &HubAddress,
    token: &Token,
    environment: (&Clock, &Random),
) -> Result<Identity, Failure> {
    let name = args.name.clone();
    let name = name.unwrap_or_else(|| PeerName::nearest(&sysmon_config::host_name()));
    let target = hub.to_string();
    let joined = Connector::enrol(&target, token, &name, VERSION, environment);
    let joined = runtime()?.block_on(joined);
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    identity.save(state).map_err(anyhow::Error::from)?;
    identity::remember_hub(state, hub).map_err(anyhow::Error::from)?;
    Ok(identity)
}

/// Enrols with the configured join token if there is one and no identity yet.
fn enrol_at_first_start(
    args: &Args,
    config: &Config,
    state: &Path,
    environment: (&Clock, &Random),
) -> Result<(), Failure> {
    let Some(reference) = &config.agent.join_token else {
        return Ok(());
    };
    if !matches!(Identity::load(state), Err(CertError::NoIdentity(_))) {
        return Ok(());
    }
    let hub = args.hub.as_ref().or(config.agent.hub.as_ref());
    let hub = hub.ok_or_else(|| {
        Failure::Usage(anyhow::anyhow!(
            "join_token needs a hub; set it with --hub HOST:PORT or [agent] hub"
        ))
    })?;
    let token = Token::from_reference(reference).context("[agent] join_token")?;
    let identity = enrol(args, state, hub, &token, environment)?;
    tracing::info!(agent = %identity.peer(), %hub, "enrolled with the configured token");
    Ok(())
}

fn renew(args: &Args, config: &Config, clock: &Clock) -> Result<(), Failure> {
    let state = state(args);
    let identity = Identity::load(&state).map_err(anyhow::Error::from)?;
    let joined = identity::known_hub(&state);
    let hub = args.hub.as_ref().or(config.agent.hub.as_ref());
    let hub = hub.or(joined.as_ref()).ok_or_else(|| {
        Failure::Usage(anyhow::anyhow!(
            "no hub is configured; set it with --hub HOST:PORT or [agent] hub"
        ))
    })?;
    let renewed = runtime()?.block_on(async {
        let connector = Connector::new(&identity, VERSION, clock)?;
        let session = connector.connect(&hub.to_string(), Purpose::Renew).await?;
        let offset_ms = session.clock_offset_ms;
        connector.renew_if_due(&session.connection, offset_ms).await
    });
    let renewed = renewed.with_context(|| format!("cannot renew the certificate at {hub}"))?;
    if let Some(renewed) = &renewed {
        renewed.save(&state).map_err(anyhow::Error::from)?;
    }
    let done = if renewed.is_some() {
        "renewed"
    } else {
        "not due yet"
    };
    Ok(sysmon_config::print(&format!(
        "certificate of {}: {done}\n",
        identity.peer()
    ))?)
}

/// The most files that the agent wants to have open: those of every container and active process.
const OPEN_FILES: u64 = 16_384;

/// Raises the soft limit of open files as far as the hard one allows.
#[cfg(target_os = "linux")]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(OPEN_FILES, |max| max.min(OPEN_FILES));
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted),
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

fn push(args: &Args, config: &Config, clock: Clock, random: Random) -> Result<(), Failure> {
    init_logs(&args.common);
    #[cfg(target_os = "linux")]
    raise_open_files();
    let state = state(args);
    sysmon_files::check_private_dir(&state).map_err(anyhow::Error::from)?;
    enrol_at_first_start(args, config, &state, (&clock, &random))?;
    let local = identity::LocalHub::find(&state_dir(Program::Hub, None), &random);
    let identity =
        identity::load(&state, args.name.as_ref(), &local, &clock).map_err(anyhow::Error::from)?;
    let joined = match &args.command {
        Some(Command::Join { hub, .. }) => Some(hub.clone()),
        _ => identity::known_hub(&state),
    };
    let hub = args.hub.as_ref().or(config.agent.hub.as_ref());
    let hub = hub.or(joined.as_ref()).map(ToString::to_string);
    let hub = match hub {
        Some(hub) => hub,
        None => local.address().map_err(|e| {
            Failure::Usage(
                anyhow::Error::from(e)
                    .context("no hub is configured; set it with --hub HOST:PORT or [agent] hub"),
            )
        })?,
    };
    let answers = state.clone();
    let options = AgentOptions {
        hub,
        interval: config.agent.interval,
        spool: SpoolLimits {
            memory_bytes: usize::try_from(config.agent.spool_memory).unwrap_or(usize::MAX),
            disk_bytes: config.agent.spool_disk,
            age: config.agent.spool_age,
        },
        state: Some(state),
        clock,
        random,
    };
    let runtime = runtime()?;
    tracing::info!(agent = %identity.peer(), hub = %options.hub, "starting");
    let mut sampler = Sampler::new(&config.agent, &options.clock);
    if let Some(state) = &options.state {
        sampler.hear(&config.agent, state);
    }
    let summary = runtime
        .block_on(async {
            let connector = Connector::new(&identity, VERSION, &options.clock)?;
            let stop = async {
                tokio::select! {
                    () = stop_signal() => notify::stopping(),
                    () = notify::watchdog() => {}
                    () = health::answer(&answers) => {}
                }
            };
            notify::ready(&format!("pushing to {}", options.hub));
            Ok(sysmon_agent::run::run(options, connector, sampler, stop).await)
        })
        .map_err(|error: LinkError| anyhow::Error::from(error))?;
    tracing::info!(
        rows = summary.rows,
        unacknowledged = summary.waiting,
        dropped = summary.dropped,
        "stopped"
    );
    Ok(())
}

#[cfg(target_os = "linux")]
fn smart(out: &Path, smartctl: &str, print: bool, clock: &Clock) -> Result<(), Failure> {
    let report = sysmon_agent::smart::gather(out, smartctl, clock).map_err(anyhow::Error::from)?;
    for problem in &report.problems {
        sysmon_config::note("sysmon-agent", problem);
    }
    match print {
        true => Ok(sysmon_config::print(&report.to_table())?),
        false => Ok(()),
    }
}

/// Time between the two readings that rates and utilizations are computed from.
const SAMPLE_SPAN: Duration = Duration::from_millis(500);

fn sample(config: &Config, json: bool, clock: &Clock) -> Result<(), Failure> {
    let mut sampler = Sampler::new(&config.agent, clock);
    sampler.sample(clock.now(), SpoolHealth::default());
    std::thread::sleep(SAMPLE_SPAN);
    let time = clock.now();
    sampler.sample(time, SpoolHealth::default());
    let Sample { series, values, .. } = sampler.row();
    let text = if json {
        format!(
            "{}\n",
            report::to_json(time, &sampler.facts(), series, values)
        )
    } else {
        report::to_table(&sampler.facts(), series, values)
    };
    Ok(sysmon_config::print(&text)?)
}
