//! `sysmon-edge`: the command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use sysmon_certs::{CertError, Identity, PairingCode, PeerName, Role, Token, TokenArgument};
use sysmon_clock::{Clock, Random};
use sysmon_config::time::parse_span;
use sysmon_config::{
    CommonArgs, Config, EdgeConfig, Failure, HubAddress, ManualCommand, Program, health, init_logs,
    notify, run, runtime, state_dir, stop_signal,
};
use sysmon_edge::ingest::{self, Endpoint};
use sysmon_edge::web::{self, Access, AcmeOptions, App, Exposure, Listener, Logins, Options, Tls};
use sysmon_edge::{VERSION, sandbox};
use sysmon_link::{Connector, LinkError, LogLimiter, PairingListener};
use sysmon_service::{Service, ServiceCommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Serves a public, redacted view of the fleet as a web page; the hub dials in and sends it.
#[derive(Debug, Parser)]
#[command(name = "sysmon-edge", version = VERSION, after_help = "\
Examples:
  sysmon-edge join lan-box:7979 sysmon1.…       enrol with a token of role edge, where the hub is reachable
  sysmon-edge --web 0.0.0.0:8080                run; the hub needs edges = [\"HOST:7979\"] and share = [\"*\"]")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Address for the hub's connection (UDP) [default: [::]:7979]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Address of the web page (TCP) [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    web: Option<SocketAddr>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What `sysmon-edge service` installs.
const SERVICE: Service = Service {
    program: "sysmon-edge",
    state: "edge",
    about: "sysmon edge: public web page of the fleet",
    unit: include_str!("../sysmon-edge.service"),
    capabilities: "",
};

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol with a token of role edge
    #[command(after_help = "Example:\n  sysmon-edge join lan-box:7979 sysmon1.…")]
    Join {
        /// Address of the hub
        #[arg(value_name = "HOST:PORT")]
        hub: HubAddress,
        /// One-time token from `sysmon-hub token create --role edge`, or - to read it from standard input
        token: TokenArgument,
        /// Name of the edge, unless the token sets it [default: this machine's name]
        #[arg(long)]
        name: Option<PeerName>,
    },
    /// Enrol by a hub that dials in: wait for `sysmon-hub edge add` with the code that this prints
    #[command(after_help = "\
Examples:
  sysmon-edge pair                              prints a code for `sysmon-hub edge add HOST:7979`
  sysmon-edge pair --code-file code --for 1h    with a code that is there already")]
    Pair {
        /// File that contains the code, readable by its owner only [default: a new code]
        #[arg(long, value_name = "FILE")]
        code_file: Option<PathBuf>,
        /// Name of the edge [default: this machine's name]
        #[arg(long)]
        name: Option<PeerName>,
        /// How long to wait for the hub
        #[arg(long = "for", value_name = "SPAN", default_value = "15m", value_parser = parse_span)]
        span: Duration,
    },
    /// Check whether the running edge answers, for health checks of containers
    #[command(after_help = "Example:\n  sysmon-edge health --state /var/lib/sysmon/edge")]
    Health,
    /// Install, show or uninstall the edge as a service of this machine
    #[command(subcommand)]
    Service(ServiceCommand),
    #[command(flatten)]
    Manual(ManualCommand),
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-edge", || {
        let state = state_dir(Program::Edge, args.common.state.as_deref());
        match &args.command {
            Some(Command::Manual(command)) => return command.run::<Args>(),
            Some(Command::Service(command)) => return command.run(&SERVICE),
            Some(Command::Health) => return health::check("sysmon-edge", &state),
            _ => {}
        }
        let config = args.common.load()?;
        let (clock, random) = (Clock::system(), Random::system());
        match &args.command {
            Some(Command::Join { hub, token, name }) => {
                let token = &token.read().map_err(anyhow::Error::from)?;
                join(&state, hub, token, name.as_ref(), (&clock, &random))
            }
            Some(Command::Pair {
                code_file,
                name,
                span,
            }) => {
                let listen = args.listen.unwrap_or(config.edge.listen);
                let code = code(code_file.as_deref(), &random)?;
                let wait = Wait {
                    listen,
                    span: *span,
                };
                pair(&state, &wait, &code, name.as_ref(), (&clock, &random))
            }
            _ => serve(&args, &config, &state, (clock, &random)),
        }
    })
}

fn join(
    state: &Path,
    hub: &HubAddress,
    token: &Token,
    name: Option<&PeerName>,
    environment: (&Clock, &Random),
) -> Result<(), Failure> {
    let identity = enrol(state, hub, token, name, environment)?;
    let text = format!(
        "joined the hub at {hub} as {}; identity saved in {}\n",
        identity.peer(),
        state.display()
    );
    Ok(sysmon_config::print(&text)?)
}

fn enrol(
    state: &Path,
    hub: &HubAddress,
    token: &Token,
    name: Option<&PeerName>,
    environment: (&Clock, &Random),
) -> Result<Identity, Failure> {
    let name = name.cloned();
    let name = name.unwrap_or_else(|| PeerName::nearest(&sysmon_config::host_name()));
    let target = hub.to_string();
    let joined = Connector::enrol(&target, token, &name, VERSION, environment);
    let joined = runtime()?.block_on(joined);
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    identity.save(state).map_err(anyhow::Error::from)?;
    Ok(identity)
}

/// Enrols with the configured join token if there is one and no identity yet.
fn enrol_at_first_start(
    config: &EdgeConfig,
    state: &Path,
    environment: (&Clock, &Random),
) -> Result<(), Failure> {
    let Some(reference) = &config.join_token else {
        return Ok(());
    };
    if !matches!(Identity::load(state), Err(CertError::NoIdentity(_))) {
        return Ok(());
    }
    let hub = config.hub.as_ref().ok_or_else(|| {
        Failure::Usage(anyhow!(
            "[edge] join_token needs [edge] hub: set it to HOST:PORT"
        ))
    })?;
    let token = Token::from_reference(reference).context("[edge] join_token")?;
    let identity = enrol(state, hub, &token, None, environment)?;
    tracing::info!(edge = %identity.peer(), %hub, "enrolled with the configured token");
    Ok(())
}

/// The code in a file, or a new one, which is printed.
fn code(file: Option<&Path>, random: &Random) -> Result<PairingCode, Failure> {
    let Some(path) = file else {
        let code = PairingCode::generate(random).map_err(anyhow::Error::from)?;
        sysmon_config::print(&format!(
            "pairing code: {code}\nrun `sysmon-hub edge add HOST:PORT` on the hub's machine, with this machine's address, and enter the code\n"
        ))?;
        return Ok(code);
    };
    let text = sysmon_files::read_secret(path).map_err(anyhow::Error::from)?;
    let code = text.parse::<PairingCode>();
    let code = code.with_context(|| format!("cannot use {}", path.display()));
    code.map_err(Failure::Usage)
}

/// Where and how long an edge waits for the hub that pairs it.
struct Wait {
    listen: SocketAddr,
    span: Duration,
}

fn pair(
    state: &Path,
    Wait { listen, span }: &Wait,
    code: &PairingCode,
    name: Option<&PeerName>,
    (clock, random): (&Clock, &Random),
) -> Result<(), Failure> {
    let name = name.cloned();
    let name = name.unwrap_or_else(|| PeerName::nearest(&sysmon_config::host_name()));
    let identity = runtime()?.block_on(async {
        let listener = PairingListener::bind(*listen, code)?;
        let mut limiter = LogLimiter::new(clock.instant());
        let failed = |address: SocketAddr, error: &LinkError| {
            if let Some(suppressed) = limiter.pass(clock.instant()) {
                tracing::warn!(%address, %error, suppressed, "a peer without the pairing code");
            }
        };
        let paired = tokio::time::timeout(*span, listener.pair(name.as_str(), random, failed));
        let paired = paired.await.map_err(|_| {
            anyhow::anyhow!("no hub came with the code in time: run `sysmon-hub edge add` on its machine while this waits")
        })??;
        let (identity, hub) = (paired.identity.clone(), paired.hub.clone());
        identity.save(state)?;
        paired.confirm().await?;
        listener.close().await;
        Ok::<_, anyhow::Error>((identity, hub))
    });
    let (identity, hub) = identity?;
    let text = format!(
        "paired with hub {hub} as {}; identity saved in {}\nstart `sysmon-edge` now\n",
        identity.peer(),
        state.display()
    );
    Ok(sysmon_config::print(&text)?)
}

fn identity(state: PathBuf) -> Result<Identity, CertError> {
    sysmon_files::check_private_dir(&state)?;
    let identity = Identity::load(&state)?;
    if identity.peer().role == Role::Edge {
        return Ok(identity);
    }
    Err(CertError::WrongPeer {
        dir: state,
        found: identity.peer().to_string(),
        wanted: "an edge".to_owned(),
    })
}

fn tls(config: &EdgeConfig, state: &Path) -> Result<Option<Tls>, anyhow::Error> {
    if !config.acme.is_empty() {
        return Ok(Some(Tls::acme(AcmeOptions {
            domains: config.acme.clone(),
            contact: config.acme_contact.clone(),
            directory: config.acme_directory.clone(),
            roots: config.acme_roots.clone(),
            cache: state.join("acme"),
        })?));
    }
    Ok(match (config.certificate.clone(), config.key.clone()) {
        (Some(certificate), Some(key)) => Some(Tls::read(certificate, key)?),
        _ => None,
    })
}

/// TCP port of the ACME directory, if certificates come by ACME.
fn acme_port(config: &EdgeConfig) -> Option<u16> {
    let directory = (!config.acme.is_empty()).then_some(&config.acme_directory)?;
    let directory: axum::http::Uri = directory.parse().ok()?;
    Some(directory.port_u16().unwrap_or(443))
}

fn access(config: &EdgeConfig) -> Result<Access, anyhow::Error> {
    if let Some(name) = &config.proxy_user_header {
        return Ok(Access::Proxy(name.parse()?));
    }
    let Some(path) = &config.logins else {
        return Ok(Access::Anyone);
    };
    let logins =
        Logins::read(path).with_context(|| format!("[edge] logins: {}", path.display()))?;
    Ok(Access::Logins(logins))
}

/// Refuses log-ins that everybody on the way can read, and warns of those that others may be able to.
fn check_logins(config: &EdgeConfig, address: SocketAddr, has_tls: bool) -> Result<(), Failure> {
    if config.logins.is_none() || has_tls {
        return Ok(());
    }
    match Exposure::of(address) {
        Exposure::Public => Err(Failure::Usage(anyhow!(
            "log-ins would cross the internet unencrypted: {address} is a public address without TLS; set certificate \
             and key or acme in [edge], or listen on a loopback address behind a proxy with TLS"
        ))),
        Exposure::Network if config.proxies.is_empty() => {
            tracing::warn!(%address, "log-ins are sent UNENCRYPTED: set certificate and key or acme in [edge], or proxies if a proxy adds TLS");
            Ok(())
        }
        _ => Ok(()),
    }
}

fn serve(
    args: &Args,
    config: &Config,
    state: &Path,
    (clock, random): (Clock, &Random),
) -> Result<(), Failure> {
    init_logs(&args.common);
    enrol_at_first_start(&config.edge, state, (&clock, random))?;
    let identity = identity(state.to_path_buf()).map_err(anyhow::Error::from)?;
    let name = identity.peer().name.to_string();
    let listen = args.listen.unwrap_or(config.edge.listen);
    let address = args.web.unwrap_or(config.edge.web);
    let tls = tls(&config.edge, state)?;
    check_logins(&config.edge, address, tls.is_some())?;
    let options = Options {
        title: config.edge.title.clone(),
        proxies: config.edge.proxies.clone(),
        access: access(&config.edge)?,
    };
    let app = Arc::new(App::new(options, clock));
    runtime()?.block_on(async {
        let saved = Some(state.to_path_buf());
        let endpoint = Endpoint::bind(listen, identity, saved, app.clock(), random);
        let endpoint = Arc::new(endpoint.map_err(anyhow::Error::from)?);
        let hub_address = endpoint
            .address()
            .context("the UDP socket has no address")?;
        let page = Listener::bind(address, tls);
        let page = page.with_context(|| format!("cannot listen on {address}"))?;
        let url = page.url().context("the TCP socket has no address")?;
        sandbox::enter(&sandbox::Allowed {
            state,
            files: [&config.edge.certificate, &config.edge.key],
            acme_port: acme_port(&config.edge),
        });
        tracing::info!(%name, %hub_address, %url, "edge started");
        notify::ready(&format!("page on {url}"));
        tokio::select! {
            () = ingest::listen(Arc::clone(&app), Arc::clone(&endpoint)) => {}
            () = app.publish_forever() => {}
            () = web::serve(Arc::clone(&app), page) => {}
            () = notify::watchdog() => {}
            () = health::answer(state) => {}
            () = stop_signal() => notify::stopping(),
        }
        endpoint.close().await;
        tracing::info!("stopped");
        Ok(())
    })
}
