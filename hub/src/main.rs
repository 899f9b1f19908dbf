//! `sysmon-hub`: the command.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use sysmon_certs::{HubState, PeerName, Role};
use sysmon_config::time::{format_span, parse_span};
use sysmon_config::{
    CommonArgs, Config, Failure, Program, host_name, init_logs, notify, run, state_dir,
};
use sysmon_hub::alerts::notify::{Message, Route, send};
use sysmon_hub::alerts::rule::{DEFAULTS, Rule};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::history::store::Store;
use sysmon_hub::server::{
    AlertOptions, BoundHub, EdgeOptions, HistoryOptions, HubOptions, TrustOptions,
};
use sysmon_hub::{VERSION, client};
use sysmon_link::Connector;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Receives the metrics of every host, remembers them, and shows them to those who ask.
#[derive(Debug, Parser)]
#[command(name = "sysmon-hub", version = VERSION, after_help = "\
Examples:
  sysmon-hub                                        run, listening on port 7979
  sysmon-hub token create                           a token, and the command to join with it
  sysmon-hub status                                 how the running hub does")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Where to listen [default: [::]:7979]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// What the hub is called [default: this machine's name]
    #[arg(long)]
    name: Option<PeerName>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    /// Show what is watched and who is told, or try it out
    #[command(after_help = "Example:\n  sysmon-hub alerts --test")]
    Alerts {
        /// Send a message to every route
        #[arg(long)]
        test: bool,
    },
    /// Tokens with which machines and people join
    #[command(subcommand)]
    Token(TokenCommand),
    /// Certificates of agents, operators and edges
    #[command(subcommand)]
    Cert(CertCommand),
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
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
enum CertCommand {
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

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-hub", || {
        let config = args.common.load()?;
        let state = HubState::new(&state_dir(Program::Hub, args.common.state.as_deref()));
        match &args.command {
            None => serve(&args, &config, &state),
            Some(Command::Status { json }) => status(&state, *json),
            Some(Command::Check) => check(&args, &config, &state),
            Some(Command::Alerts { test }) => alerts(&args, &config, *test),
            Some(Command::Backup { file }) => backup(&state, file),
            Some(Command::Token(command)) => token(&args, &config, &state, command),
            Some(Command::Cert(CertCommand::List)) => list(&state),
            Some(Command::Cert(CertCommand::Revoke { name })) => revoke(&state, name),
            Some(Command::Cert(CertCommand::Issue { role, name, out })) => {
                issue(&config, &state, *role, name, out)
            }
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start")?)
}

fn hub_name(args: &Args, config: &Config) -> PeerName {
    let named = args
        .name
        .clone()
        .or_else(|| config.hub.name.as_ref()?.parse().ok());
    named.unwrap_or_else(|| PeerName::nearest(&sysmon_config::host_name()))
}

fn days(config: &Config) -> u32 {
    (config.hub.certificate_life.as_secs() / 86_400) as u32
}

fn alert_options(config: &Config, state: &HubState) -> Result<AlertOptions, Failure> {
    let usual = || DEFAULTS.iter().map(ToString::to_string).collect();
    let rules: Vec<String> = config.hub.alerts.clone().unwrap_or_else(usual);
    let rules: Result<Vec<Rule>, _> = rules.iter().map(|rule| rule.parse()).collect();
    let routes: Result<Vec<Route>, _> = config
        .hub
        .notify
        .iter()
        .map(|route| route.parse())
        .collect();
    Ok(AlertOptions {
        rules: rules.map_err(|error| Failure::Usage(anyhow!("[hub] alerts: {error}")))?,
        routes: routes.map_err(|error| Failure::Usage(anyhow!("[hub] notify: {error}")))?,
        path: Some(state.dir().join("alerts.json")),
    })
}

fn options(args: &Args, config: &Config, state: &HubState) -> Result<HubOptions, Failure> {
    Ok(HubOptions {
        alerts: alert_options(config, state)?,
        edges: EdgeOptions {
            edges: config.hub.edges.iter().map(ToString::to_string).collect(),
            share: config
                .hub
                .share
                .iter()
                .filter_map(|share| share.parse().ok())
                .collect(),
        },
        listen: args.listen.unwrap_or(config.hub.listen),
        name: hub_name(args, config).to_string(),
        fleet: FleetOptions {
            stale_after: config.hub.stale_after,
            offline_after: config.hub.offline_after,
            retention: config.hub.retention,
            memory_bytes: config.hub.memory,
        },
        history: (config.hub.history > 0).then(|| HistoryOptions {
            path: state.dir().join("history.db"),
            bytes_max: config.hub.history,
        }),
        trust: Some(TrustOptions {
            state: state.clone(),
            days: days(config),
        }),
    })
}

fn serve(args: &Args, config: &Config, state: &HubState) -> Result<(), Failure> {
    init_logs(&args.common);
    let now = SystemTime::now();
    let authority = state.authority(now).map_err(anyhow::Error::from)?;
    let identity = state
        .hub_identity(&authority, &hub_name(args, config), now, days(config))
        .and_then(|identity| {
            state.owner_identity(&authority, now, days(config))?;
            Ok(identity)
        })
        .map_err(anyhow::Error::from)?;
    runtime()?.block_on(async {
        let hub = BoundHub::bind(options(args, config, state)?, &identity)
            .map_err(anyhow::Error::from)?;
        let address = hub
            .address()
            .ok_or_else(|| anyhow!("the socket has no address"))?;
        if let Some(loopback) = hub.loopback() {
            state.write_address(loopback).map_err(anyhow::Error::from)?;
        }
        let name = hub_name(args, config);
        tracing::info!(
            "hub {name} listens on {address} (UDP), state in {}",
            state.dir().display()
        );
        notify::ready(&format!("listens on {address}"));
        let stop = async {
            tokio::select! {
                () = sysmon_config::stop_signal() => notify::stopping(),
                () = notify::watchdog() => {}
            }
        };
        hub.serve(stop).await;
        state.forget_address();
        tracing::info!("stopped");
        Ok(())
    })
}

fn status(state: &HubState, json: bool) -> Result<(), Failure> {
    let owner = state.existing_owner().map_err(anyhow::Error::from)?;
    let address = state.address().map_err(anyhow::Error::from)?.to_string();
    let picture = runtime()?.block_on(async {
        let connector = Connector::new(&owner, VERSION).map_err(anyhow::Error::from)?;
        let wait = Duration::from_secs(5);
        let fetched = client::picture(&connector, &address, None);
        let picture = match tokio::time::timeout(wait, fetched).await {
            Ok(picture) => picture.map_err(anyhow::Error::from),
            Err(_) => Err(anyhow!("the hub at {address} does not answer")),
        };
        connector.close().await;
        picture
    })?;
    let text = if json {
        format!("{}\n", picture.to_json())
    } else {
        picture.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

fn backup(state: &HubState, file: &std::path::Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Usage(anyhow!(
            "{} exists already: choose another name",
            file.display()
        )));
    }
    let history = state.dir().join("history.db");
    if !history.exists() {
        return Err(anyhow!("there is no history in {}", state.dir().display()).into());
    }
    Store::backup(&history, file).map_err(anyhow::Error::from)?;
    let text = format!(
        "history written to {}; to go back to it, stop the hub and put it in place of {}\n",
        file.display(),
        history.display()
    );
    Ok(sysmon_config::print(&text)?)
}

fn check(args: &Args, config: &Config, state: &HubState) -> Result<(), Failure> {
    let options = options(args, config, state)?;
    let text = format!(
        "the configuration is good\nhub {} would listen on {}, keep {} h of rows in up to {} MiB\n",
        options.name,
        options.listen,
        options.fleet.retention.as_secs() / 3600,
        options.fleet.memory_bytes >> 20
    );
    Ok(sysmon_config::print(&text)?)
}

fn alerts(args: &Args, config: &Config, test: bool) -> Result<(), Failure> {
    let state = HubState::new(&state_dir(Program::Hub, args.common.state.as_deref()));
    let options = alert_options(config, &state)?;
    let mut text = String::from("watched:\n");
    for rule in &options.rules {
        text.push_str(&format!("  {rule} ({})\n", rule.severity.as_str()));
    }
    text.push_str("told:\n");
    if options.routes.is_empty() {
        text.push_str("  nobody but the log and those who look: set notify in [hub]\n");
    }
    let message = Message::test(hub_name(args, config).as_str());
    let mut failed = 0;
    for route in &options.routes {
        let result = if test {
            Some(send(route, &message))
        } else {
            None
        };
        let result = match result {
            None => String::new(),
            Some(Ok(())) => ": arrived".to_owned(),
            Some(Err(why)) => {
                failed += 1;
                format!(": failed: {why}")
            }
        };
        text.push_str(&format!("  {route}{result}\n"));
    }
    sysmon_config::print(&text)?;
    if failed > 0 {
        return Err(anyhow!("{failed} of {} routes failed", options.routes.len()).into());
    }
    Ok(())
}

fn token(
    args: &Args,
    config: &Config,
    state: &HubState,
    command: &TokenCommand,
) -> Result<(), Failure> {
    let tokens = state.tokens();
    let now = SystemTime::now();
    let text = match command {
        TokenCommand::Create { role, name, ttl } => {
            let program = match role {
                Role::Agent => "sysmon-agent",
                Role::Operator => "sysmon-tui",
                Role::Edge => "sysmon-edge",
                Role::Hub => {
                    return Err(Failure::Usage(anyhow!(
                        "a hub makes its own identity: choose agent, operator or edge"
                    )));
                }
            };
            let authority = state.authority(now).map_err(anyhow::Error::from)?;
            let print = authority.fingerprint().map_err(anyhow::Error::from)?;
            let created = tokens.create(print, *role, name.as_ref(), *ttl, now);
            let (token, grant) = created.map_err(anyhow::Error::from)?;
            let port = match state.address() {
                Ok(address) => address.port(),
                Err(_) => options(args, config, state)?.listen.port(),
            };
            let (host, span) = (host_name(), format_span(ttl.as_millis() as i64));
            format!(
                "token {} for an identity of role {role}, good once, for {span}; where it is to be used, run\n\n  \
                 {program} join {host}:{port} {token}\n",
                grant.id()
            )
        }
        TokenCommand::List => {
            let mut text = format!("{:<10}{:<10}{:<24}EXPIRES\n", "TOKEN", "ROLE", "NAME");
            for grant in tokens.list().map_err(anyhow::Error::from)? {
                let role = grant.role().map_or("?".to_owned(), |role| role.to_string());
                let name = grant
                    .name()
                    .map_or("any".to_owned(), |name| name.to_string());
                let left = grant.expires().duration_since(now).unwrap_or_default();
                let left = match left.as_millis() {
                    0 => "expired".to_owned(),
                    ms => format!("in {}", format_span(ms as i64)),
                };
                text.push_str(&format!("{:<10}{role:<10}{name:<24}{left}\n", grant.id()));
            }
            text
        }
        TokenCommand::Revoke { id } => {
            if !tokens.revoke(id).map_err(anyhow::Error::from)? {
                return Err(
                    anyhow!("there is no token {id:?}: see `sysmon-hub token list`").into(),
                );
            }
            format!("token {id} is useless now\n")
        }
    };
    Ok(sysmon_config::print(&text)?)
}

fn list(state: &HubState) -> Result<(), Failure> {
    let register = state.register();
    let revoked = register.revoked().map_err(anyhow::Error::from)?;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as u64;
    let mut text = format!("{:<24}{:<10}{:<20}STATE\n", "NAME", "ROLE", "EXPIRES");
    for issued in register.issued().map_err(anyhow::Error::from)? {
        if issued.expires_ms <= now {
            continue;
        }
        let state = if revoked.contains(&issued.serial) {
            "revoked"
        } else {
            "good"
        };
        let expires = format!("in {}", format_span((issued.expires_ms - now) as i64));
        text.push_str(&format!(
            "{:<24}{:<10}{expires:<20}{state}\n",
            issued.name, issued.role
        ));
    }
    Ok(sysmon_config::print(&text)?)
}

fn revoke(state: &HubState, name: &PeerName) -> Result<(), Failure> {
    let count = state.register().revoke(name).map_err(anyhow::Error::from)?;
    if count == 0 {
        return Err(
            anyhow!("{name} has no certificate that is good: see `sysmon-hub cert list`").into(),
        );
    }
    let what = if count == 1 {
        "certificate"
    } else {
        "certificates"
    };
    Ok(sysmon_config::print(&format!(
        "{count} {what} of {name} revoked; a running hub ends their connections within a second\n"
    ))?)
}

fn issue(
    config: &Config,
    state: &HubState,
    role: Role,
    name: &PeerName,
    out: &std::path::Path,
) -> Result<(), Failure> {
    if role == Role::Hub {
        return Err(Failure::Usage(anyhow!(
            "a hub makes its own identity: choose agent, operator or edge"
        )));
    }
    if out.join("key.pem").exists() {
        return Err(Failure::Usage(anyhow!(
            "{} holds an identity already: choose another --out, or remove it",
            out.display()
        )));
    }
    let issued = state
        .authority(SystemTime::now())
        .and_then(|authority| state.issue(&authority, role, name, SystemTime::now(), days(config)))
        .and_then(|identity| identity.save(out));
    issued.map_err(anyhow::Error::from)?;
    let text = format!(
        "identity of {role} {name} written to {}\ncopy the directory to where it is used and name it with --state\n",
        out.display()
    );
    Ok(sysmon_config::print(&text)?)
}
