//! `sysmon-tui` without a command: the screen.

use anyhow::{Context, anyhow};
use jiff::tz::TimeZone;
use sysmon_config::{Config, Failure, Theme, stop_signal};
use sysmon_link::Connector;
use sysmon_screens::app;
use sysmon_screens::keys::Keymap;
use sysmon_screens::state::Options;
use sysmon_tui::VERSION;

use super::args::Args;
use super::target::{Target, runtime};

/// How it is to be drawn, by what was typed, the environment and the configuration.
pub(crate) fn options(args: &Args, config: &Config) -> Result<Options, Failure> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let is_utf8 = locale.is_none_or(|name| name.to_lowercase().replace('-', "").contains("utf8"));
    // Consoles and old terminals whose fonts lack block and braille characters.
    let is_of = |names: &[&str]| set("TERM").is_some_and(|term| names.contains(&term.as_str()));
    let has_no_colour = is_of(&["vt100", "vt220", "dumb"]);
    let is_plain = has_no_colour || is_of(&["linux", "ansi"]);
    let theme = match args.theme {
        Some(theme) => theme,
        // https://no-color.org
        None if set("NO_COLOR").is_some() || has_no_colour => Theme::Mono,
        None => config.tui.theme,
    };
    let wrong = |problem| Failure::Usage(anyhow!("[tui] keys: {problem}"));
    Ok(Options {
        theme,
        ascii: args.ascii || config.tui.ascii || is_plain || !is_utf8,
        zone: TimeZone::system(),
        keys: Keymap::new(&config.tui.keys).map_err(wrong)?,
        sort: config.tui.sort,
        columns: config.tui.columns.clone(),
    })
}

pub(crate) fn show(args: &Args, config: &Config) -> Result<(), Failure> {
    let options = options(args, config)?;
    let target = Target::find(args, config)?;
    runtime()?.block_on(async {
        let connector = Connector::new(&target.identity, VERSION, &sysmon_clock::Clock::system())
            .map_err(anyhow::Error::from)?;
        let slow = args.low_bandwidth;
        let (hub, dir) = (&target.hub, target.dir.as_deref());
        let stats = app::run(&connector, hub, options, slow, dir, stop_signal())
            .await
            .context("cannot use the terminal")?;
        if args.stats {
            sysmon_config::print(&stats.to_string())?;
        }
        Ok(())
    })
}
