//! `sysmon-tui --web`.

use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use sysmon_config::{Failure, host_name, init_logs, runtime, stop_signal};
use sysmon_tui::web::Page;

use super::Invocation;

pub(crate) fn web(invocation: &Invocation, address: SocketAddr) -> Result<(), Failure> {
    let args = &invocation.args;
    if args.command.is_some() {
        return Err(Failure::Usage(anyhow!(
            "--web cannot be combined with a command"
        )));
    }
    let title = match invocation.demo_hosts() {
        0 => host_name(),
        hosts => format!("{} and {hosts} simulated hosts", host_name()),
    };
    // The built-in hub and agents log a line about each other at every start, which is of interest only with -v.
    if args.common.verbose > 0 {
        init_logs(&args.common);
    }
    runtime()?.block_on(async {
        let page = Page::start(address, title, invocation.standalone());
        let page = page.context("cannot start the page")?;
        sysmon_config::print(&format!("{}/ until ctrl-C\n", page.url))?;
        page.serve(stop_signal())
            .await
            .map_err(anyhow::Error::from)?;
        Ok(())
    })
}
