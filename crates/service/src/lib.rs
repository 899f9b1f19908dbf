//! `service install|status|uninstall`: a program as a service of systemd, OpenRC or launchd.
//!
//! [`plan`] says as steps what is to be done, and [`run`] prints and performs them.
#![warn(clippy::missing_errors_doc)]

mod plan;
mod run;

use std::path::Path;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use sysmon_config::Failure;

use plan::Machine;

/// A program that runs as a service.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name, which is also that of the service and of its user.
    pub program: &'static str,
    /// Its directory in `/var/lib/sysmon`.
    pub state: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The unit of systemd.
    pub unit: &'static str,
    /// Capabilities that it keeps without root, as OpenRC names them.
    pub capabilities: &'static str,
}

/// Commands for the service of a program.
#[derive(Clone, Debug, Subcommand)]
pub enum ServiceCommand {
    /// Install and start the service; enrol the machine first
    #[command(
        after_help = "Example:\n  sysmon-agent service install --dry-run     shows what it would do"
    )]
    Install(ServiceArgs),
    /// Show whether the service runs
    Status(ServiceArgs),
    /// Stop and uninstall the service; its state stays
    Uninstall(ServiceArgs),
}

/// How a command for a service is performed.
#[derive(Clone, Copy, Debug, Args)]
pub struct ServiceArgs {
    /// Print what would be done, and the files, without doing it
    #[arg(long)]
    dry_run: bool,
    /// The service manager [default: the one that runs]
    #[arg(long, value_enum)]
    manager: Option<Manager>,
}

/// What starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Manager {
    /// Most distributions of Linux.
    Systemd,
    /// Alpine and Gentoo.
    Openrc,
    /// macOS.
    Launchd,
}

impl Manager {
    fn running() -> Result<Self, Failure> {
        let exists = |path: &str| Path::new(path).exists();
        if cfg!(target_os = "macos") {
            Ok(Self::Launchd)
        } else if exists("/run/systemd/system") {
            Ok(Self::Systemd)
        } else if exists("/run/openrc") {
            Ok(Self::Openrc)
        } else {
            Err(anyhow!(
                "neither systemd nor OpenRC nor launchd runs here; name one with --manager, or let your service manager start the program with --state"
            )
            .into())
        }
    }
}

impl ServiceCommand {
    /// Runs the command.
    ///
    /// # Errors
    /// There is no service manager, a step fails, or the service does not run.
    pub fn run(&self, service: &Service) -> Result<(), Failure> {
        let (Self::Install(args) | Self::Status(args) | Self::Uninstall(args)) = self;
        let manager = match args.manager {
            Some(manager) => manager,
            None => Manager::running()?,
        };
        let binary = std::env::current_exe().context("cannot find this program's own file")?;
        let machine = Machine::of(service, manager, binary);
        let steps = match self {
            Self::Install(_) => machine.install(service).map_err(Failure::Usage)?,
            Self::Status(_) => machine.status(service),
            Self::Uninstall(_) => machine.uninstall(service),
        };
        run::run(&steps, args.dry_run)
    }
}
