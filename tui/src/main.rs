//! `sysmon-tui`: the command.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand, ValueEnum};
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use sysmon_certs::{CertError, HubState, Identity, PeerName, Role, Token};
use sysmon_config::time::{parse_moment, parse_span};
use sysmon_config::{
    CommonArgs, Config, Failure, HubAddress, Program, Theme, run, state_dir, stop_signal,
};
use sysmon_hub::client;
use sysmon_hub::report::{Picture, real};
use sysmon_link::{Connector, LinkError};
use sysmon_tui::points::Table;
use sysmon_tui::standalone::{DEMO_HOSTS_MAX, Standalone};
use sysmon_tui::state::Options;
use sysmon_tui::state::fleet::RECEIVED;
use sysmon_tui::{VERSION, app, shot, svg, text};
use sysmon_wire::message::{Aggregate, HostState, HostTick, Purpose, Reply, Request};
use sysmon_wire::{Label, UnixMs};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a hub has to answer a snapshot or query.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long a hub inside has to show its first rows.
const FIRST_ROWS_WITHIN: Duration = Duration::from_secs(5);

/// How long rates are waited for: a little longer than the second row takes.
const FIRST_RATES_WITHIN: Duration = Duration::from_millis(2_200);

/// Lines of a table that people read; steps of a query are made so long that there are no more.
const STEPS: i64 = 60;

/// Shows the whole fleet in the terminal, live or as it was at any past second.
#[derive(Debug, Parser)]
#[command(name = "sysmon-tui", version = VERSION, after_help = "\
Examples:
  sysmon-tui                          this machine, with a hub and an agent inside
  sysmon-tui --demo 20                and twenty simulated hosts
  sysmon-tui --hub lan-box            the fleet of the hub on lan-box
  sysmon-tui snapshot --json | jq '.hosts[] | select(.state != \"live\")'
  sysmon-tui query cpu --host db-1 --since 1h")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// The hub to attach to [default: a hub and an agent inside, for this machine]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    hub: Option<HubAddress>,
    /// Without a hub: simulated hosts besides this machine
    #[arg(long, value_name = "N", global = true, conflicts_with = "hub", value_parser = clap::value_parser!(u16).range(0..=DEMO_HOSTS_MAX as i64))]
    demo: Option<u16>,
    /// Colours: dark, light, high-contrast, colour-blind, mono
    #[arg(long, global = true, value_parser = theme)]
    theme: Option<Theme>,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    ascii: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print one picture of the fleet or of a host
    #[command(after_help = "\
Examples:
  sysmon-tui snapshot
  sysmon-tui snapshot --host db-1 --at -2h
  sysmon-tui snapshot --json | jq '.hosts[].metrics.cpu'
  sysmon-tui snapshot --svg > fleet.svg")]
    Snapshot(SnapshotArgs),
    /// Join a hub with a token, as an operator
    #[command(after_help = "\
Example, as `sysmon-hub token create --role operator --name jane` prints it:
  sysmon-tui join lan-box:7979 sysmon1.…")]
    Join {
        /// The hub
        #[arg(value_name = "HOST:PORT")]
        address: HubAddress,
        /// The token
        token: Token,
        /// What to be called, if the token does not say [default: the user's name]
        #[arg(long)]
        name: Option<PeerName>,
    },
    /// Print one metric over time
    #[command(after_help = "\
Examples:
  sysmon-tui query cpu
  sysmon-tui query net.rx --host db-1 --since 1h --step 1m
  sysmon-tui query system.memory.usage --from 09:00 --to 09:30 --format csv > memory.csv")]
    Query(QueryArgs),
}

#[derive(Debug, Default, clap::Args)]
struct SnapshotArgs {
    /// As JSON
    #[arg(long, conflicts_with = "svg")]
    json: bool,
    /// As a picture of the screen
    #[arg(long)]
    svg: bool,
    /// Only this host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// As it was then: 14:03, -2h, "yesterday 9:00", 2026-05-04T09:00
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// Columns and rows of the screen
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size, default_value = "120x30")]
    size: Size,
}

#[derive(Debug, clap::Args)]
struct QueryArgs {
    /// A metric: cpu, mem, load1, net.rx, net.tx, disk.read, disk.write, fs.worst, temp.max, …,
    /// or a full name such as system.memory.usage
    metric: String,
    /// Only this host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Back from now [default: 10m]
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["from", "to"])]
    since: Option<String>,
    /// From this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// To this time [default: now]
    #[arg(
        long,
        value_name = "TIME",
        requires = "from",
        allow_hyphen_values = true
    )]
    to: Option<String>,
    /// Time one point stands for [default: such that there are about 60]
    #[arg(long, value_name = "SPAN")]
    step: Option<String>,
    /// How the samples of a step become a point
    #[arg(long, value_enum, default_value_t)]
    aggregate: AggregateArg,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Table,
    Csv,
    Json,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum AggregateArg {
    #[default]
    Mean,
    Min,
    Max,
    Last,
    Sum,
}

impl From<AggregateArg> for Aggregate {
    fn from(arg: AggregateArg) -> Self {
        match arg {
            AggregateArg::Mean => Self::Mean,
            AggregateArg::Min => Self::Min,
            AggregateArg::Max => Self::Max,
            AggregateArg::Last => Self::Last,
            AggregateArg::Sum => Self::Sum,
        }
    }
}

fn theme(text: &str) -> Result<Theme, String> {
    let known = Theme::ALL.iter().find(|(name, _)| *name == text);
    known.map(|(_, theme)| *theme).ok_or_else(|| {
        let names: Vec<_> = Theme::ALL.iter().map(|(name, _)| *name).collect();
        format!("it should be one of {}", names.join(", "))
    })
}

fn size(text: &str) -> Result<Size, String> {
    let parsed = text
        .split_once(['x', '×'])
        .and_then(|(width, height)| Some(Size::new(width.parse().ok()?, height.parse().ok()?)));
    parsed
        .filter(|size| (1..=1000).contains(&size.width) && (1..=1000).contains(&size.height))
        .ok_or_else(|| "it should be columns and rows, such as 120x30".to_owned())
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-tui", || {
        let config = args.common.load()?;
        match &args.command {
            None if std::io::stdout().is_terminal() => show(&args, &config),
            None => snapshot(&args, &config, &SnapshotArgs::default()),
            Some(Command::Snapshot(asked)) => snapshot(&args, &config, asked),
            Some(Command::Join {
                address,
                token,
                name,
            }) => join(&args, address, token, name.as_ref()),
            Some(Command::Query(asked)) => query(&args, &config, asked),
        }
    })
}

fn join(
    args: &Args,
    hub: &HubAddress,
    token: &Token,
    name: Option<&PeerName>,
) -> Result<(), Failure> {
    let state = state_dir(Program::Tui, args.common.state.as_deref());
    let user = std::env::var("USER").unwrap_or_default();
    let name = name.cloned().unwrap_or_else(|| PeerName::nearest(&user));
    let joined = runtime()?.block_on(async {
        let connector = Connector::joining(token.fingerprint(), VERSION)?;
        connector.join(&hub.to_string(), token, name.as_str()).await
    });
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    identity.save(&state).map_err(anyhow::Error::from)?;
    let text = format!(
        "joined the hub at {hub} as {}; look at it with\n\n  sysmon-tui --hub {hub}\n",
        identity.peer()
    );
    Ok(sysmon_config::print(&text)?)
}

/// The hub that is looked at, and as whom.
struct Target {
    hub: String,
    identity: Identity,
    /// Kept alive as long as it is looked at.
    inside: Option<Standalone>,
}

impl Target {
    fn find(args: &Args, config: &Config) -> Result<Self, Failure> {
        let hub = args.hub.as_ref().or(config.tui.hub.as_ref());
        if let (Some(hub), None) = (hub, args.demo) {
            let identity = identity(args.common.state.as_deref()).map_err(anyhow::Error::from)?;
            return Ok(Self {
                hub: hub.to_string(),
                identity,
                inside: None,
            });
        }
        let hosts = usize::from(args.demo.unwrap_or(0));
        let inside = Standalone::start(config.agent.clone(), &config.hub, hosts)
            .map_err(anyhow::Error::from)?;
        Ok(Self {
            hub: inside.hub.clone(),
            identity: inside.owner.clone(),
            inside: Some(inside),
        })
    }
}

/// The operator's identity in `state`, which may also be a hub's state directory, or its usual
/// place; beside a hub, its owner's.
fn identity(state: Option<&Path>) -> Result<Identity, CertError> {
    let dir = state_dir(Program::Tui, state);
    let error = match Identity::load(&dir) {
        Ok(identity) if identity.peer().role == Role::Operator => return Ok(identity),
        Ok(identity) => {
            return Err(CertError::WrongPeer {
                dir,
                found: identity.peer().to_string(),
                wanted: "an operator".to_owned(),
            });
        }
        Err(error @ CertError::NoIdentity(_)) => error,
        Err(error) => return Err(error),
    };
    let beside = state.map_or_else(|| state_dir(Program::Hub, None), Path::to_owned);
    HubState::new(&beside).existing_owner().map_err(|_| error)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start")?)
}

fn options(args: &Args, config: &Config) -> Options {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let is_utf8 = locale.is_none_or(|name| name.to_lowercase().replace('-', "").contains("utf8"));
    // Consoles and old terminals whose fonts lack block and braille characters.
    let is_plain = set("TERM")
        .is_some_and(|term| ["linux", "vt100", "vt220", "dumb", "ansi"].contains(&term.as_str()));
    let theme = match (args.theme, set("NO_COLOR")) {
        (Some(theme), _) => theme,
        // https://no-color.org
        (None, Some(_)) => Theme::Mono,
        (None, None) => config.tui.theme,
    };
    Options {
        theme,
        ascii: args.ascii || config.tui.ascii || is_plain || !is_utf8,
        zone: TimeZone::system(),
    }
}

fn show(args: &Args, config: &Config) -> Result<(), Failure> {
    let target = Target::find(args, config)?;
    runtime()?.block_on(async {
        let connector = Connector::new(&target.identity, VERSION).map_err(anyhow::Error::from)?;
        let options = options(args, config);
        app::run(&connector, &target.hub, options, stop_signal())
            .await
            .context("cannot use the terminal")?;
        Ok(())
    })
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

fn moment(text: &str) -> Result<UnixMs, Failure> {
    parse_moment(text, now().0, &TimeZone::system())
        .map(UnixMs)
        .map_err(|error| Failure::Usage(error.into()))
}

/// Runs `ask` with a connector, within a time that people wait.
fn answer<T>(
    target: &Target,
    ask: impl AsyncFnOnce(&Connector) -> Result<T, LinkError>,
) -> Result<T, Failure> {
    let answered = runtime()?.block_on(async {
        let connector = Connector::new(&target.identity, VERSION)?;
        let answered = tokio::time::timeout(ANSWER_WITHIN, ask(&connector)).await;
        connector.close().await;
        answered.unwrap_or_else(|_| Err(LinkError::HelloTimeout))
    });
    Ok(answered.with_context(|| format!("cannot ask the hub at {}", target.hub))?)
}

fn snapshot(args: &Args, config: &Config, asked: &SnapshotArgs) -> Result<(), Failure> {
    let at = asked.at.as_deref().map(moment).transpose()?;
    let target = Target::find(args, config)?;
    let mut picture = answer(&target, async |connector| match &target.inside {
        None => client::picture(connector, &target.hub, at).await,
        Some(_) => {
            first_picture(
                connector,
                &target.hub,
                usize::from(args.demo.unwrap_or(0)) + 1,
                at,
            )
            .await
        }
    })?;
    if let Some(name) = &asked.host {
        let names: Vec<_> = picture
            .hosts
            .iter()
            .map(|(line, _)| line.name.to_string())
            .collect();
        if !picture.keep_only(name) {
            return Err(
                anyhow!("there is no host {name:?}; there are: {}", names.join(", ")).into(),
            );
        }
    }
    let text = if asked.json {
        format!("{}\n", picture.to_json())
    } else if asked.svg || asked.host.is_some() {
        screen(args, config, asked, at, &target)?
    } else {
        picture.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

/// The first picture of a hub that just started in which every host is live, with rates.
async fn first_picture(
    connector: &Connector,
    hub: &str,
    hosts: usize,
    at: Option<UnixMs>,
) -> Result<Picture, LinkError> {
    let start = tokio::time::Instant::now();
    let is_there = |picture: &Picture| {
        let live = picture
            .hosts
            .iter()
            .filter(|(_, tick)| tick.state == HostState::Live);
        // Rates need two rows, and a host without a network never has any.
        let is_rated = |tick: &HostTick| real(tick, RECEIVED).is_some();
        let patient = start.elapsed() < FIRST_RATES_WITHIN;
        live.filter(|(_, tick)| !patient || is_rated(tick)).count() >= hosts
    };
    loop {
        let picture = client::picture(connector, hub, None).await?;
        if is_there(&picture) || start.elapsed() > FIRST_ROWS_WITHIN {
            return match at {
                Some(_) => client::picture(connector, hub, at).await,
                None => Ok(picture),
            };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn screen(
    args: &Args,
    config: &Config,
    asked: &SnapshotArgs,
    at: Option<UnixMs>,
    target: &Target,
) -> Result<String, Failure> {
    let host = asked.host.as_deref().map(Label::new);
    let buffer = answer(target, async |connector| {
        shot::screen(
            connector,
            &target.hub,
            host.as_ref(),
            at,
            asked.size,
            options(args, config),
        )
        .await
    })?;
    if asked.svg {
        let what = asked.host.as_deref().unwrap_or("the fleet");
        return Ok(svg::svg(&buffer, &format!("sysmon: {what}")));
    }
    Ok(text::plain(&buffer))
}

fn query(args: &Args, config: &Config, asked: &QueryArgs) -> Result<(), Failure> {
    let (from, to) = span(asked)?;
    let step_ms = match &asked.step {
        Some(text) => in_ms(text)?.max(1),
        None => step_for(to - from),
    };
    if args.hub.is_none() && config.tui.hub.is_none() && args.demo.is_none() {
        return Err(Failure::Usage(anyhow!(
            "which hub? Name it with --hub HOST:PORT or in the configuration, or try --demo 8"
        )));
    }
    let target = Target::find(args, config)?;
    let request = Request::Query {
        metric: Label::new(&asked.metric),
        host: asked.host.as_deref().map(Label::new),
        from,
        to,
        step_ms,
        aggregate: asked.aggregate.into(),
    };
    let parts = answer(&target, async |connector| {
        if target.inside.is_some() {
            let hosts = usize::from(args.demo.unwrap_or(0)) + 1;
            first_picture(connector, &target.hub, hosts, None).await?;
        }
        let session = connector.connect(&target.hub, Purpose::View).await?;
        let mut replies = session.request(&request).await?;
        let mut parts = Vec::new();
        while let Some(reply) = replies.next().await? {
            match reply {
                Reply::Points(points) => parts.push(points),
                Reply::Refused { reason } => return Err(LinkError::Refused(reason.to_string())),
                _ => {}
            }
        }
        Ok(parts)
    })?;
    let table = Table::join(&asked.metric, step_ms, parts);
    let text = match asked.format {
        Format::Json => format!("{}\n", table.to_json()),
        Format::Csv => table.to_csv(),
        Format::Table => table.to_text(&TimeZone::system()),
    };
    Ok(sysmon_config::print(&text)?)
}

fn span(asked: &QueryArgs) -> Result<(UnixMs, UnixMs), Failure> {
    let to = match &asked.to {
        Some(text) => moment(text)?,
        None => now(),
    };
    let from = match (&asked.from, &asked.since) {
        (Some(text), _) => moment(text)?,
        (None, Some(text)) => to - in_ms(text)?,
        (None, None) => to - 600_000,
    };
    if from >= to {
        return Err(Failure::Usage(anyhow!("the query ends before it begins")));
    }
    Ok((from, to))
}

fn in_ms(text: &str) -> Result<i64, Failure> {
    let span = parse_span(text).map_err(|error| Failure::Usage(error.into()))?;
    Ok(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// A round step that makes about [`STEPS`] points of a span.
fn step_for(span_ms: i64) -> i64 {
    const SECONDS: [i64; 12] = [1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600, 86_400];
    let fits = |seconds: &&i64| span_ms / (**seconds * 1000) <= STEPS;
    SECONDS.iter().find(fits).copied().unwrap_or(604_800) * 1000
}
