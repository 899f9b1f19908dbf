//! `sysmon-hub`: the command.

mod command;

use std::process::ExitCode;

use clap::Parser;
use sysmon_certs::HubState;
use sysmon_config::{Program, run, state_dir};

use command::args::{Args, CertCommand, Command};
use command::{alerts, serve, show, trust};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-hub", || {
        let config = args.common.load()?;
        let state = HubState::new(
            &state_dir(Program::Hub, args.common.state.as_deref()),
            &sysmon_clock::Random::system(),
        );
        match &args.command {
            None => serve::serve(&args, &config, &state),
            Some(Command::Status { json }) => show::status(&state, *json),
            Some(Command::Check) => show::check(&args, &config, &state),
            Some(Command::Alerts { command }) => {
                alerts::alerts(&args, &config, &state, command.as_ref())
            }
            Some(Command::Backup { file }) => show::backup(&state, file),
            Some(Command::Token(command)) => trust::token(&args, &config, &state, command),
            Some(Command::Audit { since, json }) => show::audit(&state, *since, *json),
            Some(Command::Ca(command)) => trust::authority(&state, command),
            Some(Command::Cert(CertCommand::List)) => trust::list(&state),
            Some(Command::Cert(CertCommand::Revoke { name })) => trust::revoke(&state, name),
            Some(Command::Cert(CertCommand::Issue { role, name, out })) => {
                trust::issue(&config, &state, *role, name, out)
            }
        }
    })
}
