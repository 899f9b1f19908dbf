//! `sysmon-tui`: the command line.

mod command;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use sysmon_clock::{Clock, Random};
use sysmon_config::run;

use command::args::{Args, Command, SnapshotArgs};
use command::{Invocation, join, query, show, snapshot, top, web};

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-tui", || {
        if let Some(Command::Manual(command)) = &args.command {
            return command.run::<Args>();
        }
        let invocation = Invocation {
            config: args.common.load()?,
            args,
            clock: Clock::system(),
            random: Random::system(),
        };
        if let Some(address) = invocation.args.web {
            return web::web(&invocation, address);
        }
        match &invocation.args.command {
            None if invocation.args.linear || std::io::stdout().is_terminal() => {
                show::show(&invocation)
            }
            None => snapshot::snapshot(&invocation, &SnapshotArgs::default()),
            Some(Command::Snapshot(args)) => snapshot::snapshot(&invocation, args),
            Some(Command::Join(args)) => join::join(&invocation, args),
            Some(Command::Query(args)) => query::query(&invocation, args),
            Some(Command::Top(args)) => top::top(&invocation, args),
            // Run above, without a configuration.
            Some(Command::Manual(_)) => Ok(()),
        }
    })
}
