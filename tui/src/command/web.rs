//! `sysmon-tui --web`.

use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use sysmon_config::{Config, Failure, host_name, init_logs, stop_signal};
use sysmon_tui::web::Page;

use super::args::Args;
use super::target::{runtime, standalone};

pub(crate) fn web(args: &Args, config: &Config, address: SocketAddr) -> Result<(), Failure> {
    if args.command.is_some() {
        return Err(Failure::Usage(anyhow!(
            "--web shows a page until it is stopped: it goes with no command"
        )));
    }
    let hosts = usize::from(args.demo.unwrap_or(0));
    let title = match hosts {
        0 => host_name(),
        _ => format!("{} and {hosts} simulated hosts", host_name()),
    };
    // Hub and agents inside log a line for each other; who wants to see that asks for it.
    if args.common.verbose > 0 {
        init_logs(&args.common);
    }
    runtime()?.block_on(async {
        let started = Page::start(address, title, standalone(args, config));
        let page = started.context("cannot start the page")?;
        sysmon_config::print(&format!("{}/ until ctrl-C\n", page.url))?;
        page.serve(stop_signal()).await;
        Ok(())
    })
}
