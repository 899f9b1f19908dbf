//! `sysmon-tui` without a command: the terminal screens.

use std::time::Duration;

use anyhow::{Context, anyhow};
use jiff::tz::TimeZone;
use sysmon_config::time::parse_moment;
use sysmon_config::{Failure, Program, Theme, config_file, runtime, state_dir, stop_signal};
use sysmon_link::Connector;
use sysmon_screens::app::{Options, RunOptions, run, run_linear};
use sysmon_screens::keys::Keymap;
use sysmon_tui::VERSION;
use sysmon_wire::{Label, UnixMs};
use terminal_colorsaurus::{QueryOptions, ThemeMode, theme_mode};

use super::Invocation;
use super::target::Target;

/// How to draw: the command line takes precedence over the environment, and that over the configuration.
pub(crate) fn options(invocation: &Invocation) -> Result<Options, Failure> {
    let (args, config) = (&invocation.args, &invocation.config.tui);
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    let is_utf8 = locale.is_none_or(|name| name.to_lowercase().replace('-', "").contains("utf8"));
    // The fonts of consoles and old terminals lack block and braille characters.
    let is_term = |names: &[&str]| set("TERM").is_some_and(|term| names.contains(&term.as_str()));
    let has_no_colour = is_term(&["vt100", "vt220", "dumb"]);
    let is_plain = has_no_colour || is_term(&["linux", "ansi"]);
    let theme = match args.theme {
        Some(theme) => theme,
        // https://no-color.org
        None if set("NO_COLOR").is_some() || has_no_colour => Theme::Mono,
        None => config.theme,
    };
    let invalid_keys = |problem| Failure::Usage(anyhow!("[tui] keys: {problem}"));
    Ok(Options {
        theme,
        ascii: args.ascii || config.ascii || is_plain || !is_utf8,
        zone: TimeZone::system(),
        keys: Keymap::new(&config.keys).map_err(invalid_keys)?,
        sort: config.sort,
        columns: config.columns.clone(),
        filters: filters(&config.filters)?,
        pinned: config.pinned.clone(),
        bell: config.bell,
        colours: config.colors.clone(),
    })
}

/// Saved filters as the configuration has them: `NAME = FILTER`.
fn filters(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let filter = |text: &String| {
        let (name, filter) = text.split_once('=')?;
        let (name, filter) = (name.trim(), filter.trim());
        let is_name = !name.is_empty() && !name.contains(char::is_whitespace);
        is_name.then(|| (name.to_lowercase(), filter.to_owned()))
    };
    let wrong = |text: &String| {
        Failure::Usage(anyhow!(
            "[tui] filters: {text:?} is not of the form NAME = FILTER; for example \"web = #web !is:offline\""
        ))
    };
    let each = texts
        .iter()
        .map(|text| filter(text).ok_or_else(|| wrong(text)));
    each.collect()
}

/// How long a terminal may take to say what its background is.
const BACKGROUND_WAIT: Duration = Duration::from_millis(150);

/// Light on a terminal that says that its background is (OSC 11), else dark.
fn settled(theme: Theme) -> Theme {
    if theme != Theme::Auto {
        return theme;
    }
    let mut query = QueryOptions::default();
    query.timeout = BACKGROUND_WAIT;
    match theme_mode(query) {
        Ok(ThemeMode::Light) => Theme::Light,
        Ok(ThemeMode::Dark) | Err(_) => Theme::Dark,
    }
}

/// Whether nothing of this user says that they know the program: no configuration, and no hub that was joined.
fn is_new_user(invocation: &Invocation) -> bool {
    let common = &invocation.args.common;
    let is_configured = common.config.is_some() || config_file().is_some_and(|file| file.exists());
    !is_configured && common.state.is_none() && !state_dir(Program::Tui, None).exists()
}

pub(crate) fn show(invocation: &Invocation) -> Result<(), Failure> {
    let mut options = options(invocation)?;
    options.theme = settled(options.theme);
    let options = options;
    let target = Target::find(invocation)?;
    let args = &invocation.args;
    let now = invocation.clock.now();
    let moment = |text: &String| parse_moment(text, now.0, &options.zone).map(UnixMs);
    let at = args.at.as_ref().map(moment).transpose();
    let at = at.map_err(|error| Failure::Usage(anyhow!("--at: {error}")))?;
    runtime()?.block_on(async {
        let connector = Connector::new(&target.identity, VERSION, &invocation.clock)
            .map_err(anyhow::Error::from)?;
        let run_options = RunOptions {
            host: args.host.as_deref().map(Label::new),
            at,
            greets: is_new_user(invocation),
            opens_alone: args.demo.is_none(),
            low_bandwidth: args.low_bandwidth,
            stats: args.stats,
            identity: target.dir.as_deref(),
            clock: invocation.clock.clone(),
            random: invocation.random.clone(),
        };
        let hub = &target.hub;
        if args.linear {
            let ran = run_linear(&connector, hub, options, &run_options, stop_signal()).await;
            return Ok(ran.context("cannot write to standard output")?);
        }
        let stats = run(&connector, hub, options, &run_options, stop_signal())
            .await
            .context("cannot use the terminal")?;
        if args.stats {
            sysmon_config::print(&stats.to_string())?;
        }
        Ok(())
    })
}
