//! `sysmon-edge`: the command.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use clap::{Parser, Subcommand};
use sysmon_certs::{CertError, Identity, PeerName, Role, Token};
use sysmon_config::{
    CommonArgs, Config, EdgeConfig, Failure, HubAddress, Program, init_logs, notify, run,
    state_dir, stop_signal,
};
use sysmon_edge::web::{
    Access, AcmeOptions, App, Listener, Logins, Options, Tls, serve as serve_web,
};
use sysmon_edge::{VERSION, confine, ingest};
use sysmon_link::Connector;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Shows the public a redacted view of the fleet, which the hub sends here.
#[derive(Debug, Parser)]
#[command(name = "sysmon-edge", version = VERSION, after_help = "\
Examples:
  sysmon-edge join lan-box:7979 sysmon1.…       get an identity, with the hub's token, where the hub can be reached
  sysmon-edge --web 0.0.0.0:8080                run; the hub needs edges = [\"HOST:7979\"] and share = [\"*\"]")]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Where the hub reaches it [default: [::]:7979]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Where browsers reach it [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    web: Option<SocketAddr>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get an identity with a token of role edge
    #[command(after_help = "Example:\n  sysmon-edge join lan-box:7979 sysmon1.…")]
    Join {
        /// The hub
        #[arg(value_name = "HOST:PORT")]
        hub: HubAddress,
        /// The token
        token: Token,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-edge", || {
        let config = args.common.load()?;
        let state = state_dir(Program::Edge, args.common.state.as_deref());
        match &args.command {
            None => serve(&args, &config, state),
            Some(Command::Join { hub, token }) => join(&state, hub, token),
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start")?)
}

fn join(state: &Path, hub: &HubAddress, token: &Token) -> Result<(), Failure> {
    let name = PeerName::nearest(&sysmon_config::host_name());
    let joined = runtime()?.block_on(async {
        let connector = Connector::for_joining(token.fingerprint(), VERSION)?;
        connector.join(&hub.to_string(), token, name.as_str()).await
    });
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    identity.save(state).map_err(anyhow::Error::from)?;
    let text = format!(
        "joined the hub at {hub} as {}; identity in {}\n",
        identity.peer(),
        state.display()
    );
    Ok(sysmon_config::print(&text)?)
}

fn identity(state: PathBuf) -> Result<Identity, CertError> {
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

/// Where the page's certificate comes from, if it has one.
fn tls(config: &EdgeConfig, state: &Path) -> Result<Option<Tls>, anyhow::Error> {
    if !config.acme.is_empty() {
        return Ok(Some(Tls::fetch(AcmeOptions {
            domains: config.acme.clone(),
            contact: config.acme_contact.clone(),
            directory: config.acme_directory.clone(),
            roots: config.acme_roots.clone(),
            kept: state.join("acme"),
        })?));
    }
    Ok(match (config.certificate.clone(), config.key.clone()) {
        (Some(certificate), Some(key)) => Some(Tls::read(certificate, key)?),
        _ => None,
    })
}

/// The port at which the authority is asked for certificates, if it is.
fn authority(config: &EdgeConfig) -> Option<u16> {
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

fn serve(args: &Args, config: &Config, state: PathBuf) -> Result<(), Failure> {
    init_logs(&args.common);
    let identity = identity(state.clone()).map_err(anyhow::Error::from)?;
    let (listen, web) = (
        args.listen.unwrap_or(config.edge.listen),
        args.web.unwrap_or(config.edge.web),
    );
    let tls = tls(&config.edge, &state)?;
    let app = Arc::new(App::new(Options {
        title: config.edge.title.clone(),
        proxies: config.edge.proxies.clone(),
        access: access(&config.edge)?,
    }));
    runtime()?.block_on(async {
        let listener = ingest::bind(listen, &identity).map_err(anyhow::Error::from)?;
        let hub_address = listener.address().context("the socket has no address")?;
        let sockets =
            Listener::bind(web, tls).with_context(|| format!("cannot listen on {web}"))?;
        let url = sockets.url().context("the socket has no address")?;
        let confined = confine::confine(&confine::Needs {
            state: &state,
            files: [&config.edge.certificate, &config.edge.key],
            authority: authority(&config.edge),
        });
        let name = identity.peer().name.to_string();
        tracing::info!(
            "edge {name} waits for its hub on {hub_address} (UDP) and shows the page on {url}"
        );
        tracing::info!("{confined}");
        notify::ready(&format!("page on {url}"));
        let own = Arc::new(ingest::Own {
            listener: listener.clone(),
            identity: Mutex::new(identity),
            state: Some(state),
        });
        tokio::select! {
            () = ingest::listen(Arc::clone(&app), own) => {}
            () = app.tick() => {}
            () = serve_web(Arc::clone(&app), sockets) => {}
            () = notify::watchdog() => {}
            () = stop_signal() => notify::stopping(),
        }
        listener.close().await;
        tracing::info!("stopped");
        Ok(())
    })
}
