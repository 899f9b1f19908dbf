//! `sysmon-hub`: the command.

mod command;

use std::process::ExitCode;

use clap::Parser;
use sysmon_certs::HubState;
use sysmon_clock::{Clock, Random};
use sysmon_config::{Program, run, state_dir};

use command::args::{Args, Command, EdgeCommand, ExportCommand};
use command::{
    Context, alerts, backup, certificates, control, edges, exports, hosts, incidents, pairing,
    serve, show, tokens,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-hub", || {
        match &args.command {
            Some(Command::Manual(command)) => return command.run::<Args>(),
            Some(Command::Service(command)) => return command.run(&command::SERVICE),
            _ => {}
        }
        let random = Random::system();
        let context = Context {
            config: args.common.load()?,
            state: HubState::new(
                &state_dir(Program::Hub, args.common.state.as_deref()),
                &random,
            ),
            args,
            clock: Clock::system(),
            random,
        };
        match &context.args.command {
            None => serve::serve(&context),
            Some(command) if control::is_change(command) => {
                control::change(&context, command)?;
                match command {
                    Command::Export(ExportCommand::Backfill {
                        name,
                        no_wait: false,
                        ..
                    }) => exports::follow(&context, name),
                    _ => Ok(()),
                }
            }
            Some(Command::Export(ExportCommand::Test { name })) => exports::test(&context, name),
            Some(Command::Export(ExportCommand::List { json })) => exports::list(&context, *json),
            Some(Command::Export(_)) => Ok(()),
            Some(Command::Health) => show::health(&context),
            // Run above, without a configuration.
            Some(Command::Manual(_) | Command::Service(_)) => Ok(()),
            Some(Command::Status { json }) => show::status(&context, *json),
            Some(Command::Check) => show::check(&context),
            Some(Command::Alerts { command }) => alerts::alerts(&context, command.as_ref()),
            Some(Command::Backup {
                file,
                protection,
                unencrypted,
            }) => backup::backup(&context, file, protection, *unencrypted),
            Some(Command::Restore {
                file,
                protection,
                force,
            }) => backup::restore(&context, file, protection, *force),
            Some(Command::Host(_)) => hosts::list(&context),
            Some(Command::Incident(_)) => incidents::show(&context),
            Some(Command::Token(_)) => tokens::list(&context),
            Some(Command::Audit { since, json }) => show::audit(&context, *since, *json),
            Some(Command::Edge(EdgeCommand::Add {
                address,
                name,
                code_file,
            })) => pairing::add(&context, address, name.as_ref(), code_file.as_deref()),
            Some(Command::Edge(_)) => edges::list(&context),
            Some(Command::Ca(_)) => certificates::show(&context),
            Some(Command::Cert(command)) => certificates::certificate(&context, command),
        }
    })
}
