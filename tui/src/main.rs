//! `sysmon-tui`: the command.

mod command;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use sysmon_config::run;

use command::args::{Args, Command, SnapshotArgs};
use command::{join, query, show, snapshot, top, web};

fn main() -> ExitCode {
    let args = Args::parse();
    run("sysmon-tui", || {
        let config = args.common.load()?;
        if let Some(address) = args.web {
            return web::web(&args, &config, address);
        }
        match &args.command {
            None if std::io::stdout().is_terminal() => show::show(&args, &config),
            None => snapshot::snapshot(&args, &config, &SnapshotArgs::default()),
            Some(Command::Snapshot(asked)) => snapshot::snapshot(&args, &config, asked),
            Some(Command::Join {
                address,
                token,
                name,
                profile,
            }) => join::join(&args, address, token, name.as_ref(), profile.as_ref()),
            Some(Command::Query(asked)) => query::query(&args, &config, asked),
            Some(Command::Top(asked)) => top::top(&args, &config, asked),
        }
    })
}
