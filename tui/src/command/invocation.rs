//! What every command gets: the command line, the configuration, and the sources of time and randomness.

use jiff::tz::TimeZone;
use sysmon_clock::{Clock, Random};
use sysmon_config::time::parse_moment;
use sysmon_config::{Config, Failure};
use sysmon_tui::standalone::StandaloneOptions;
use sysmon_wire::UnixMs;

use super::args::Args;

pub(crate) struct Invocation {
    pub(crate) args: Args,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl Invocation {
    pub(crate) fn demo_hosts(&self) -> usize {
        usize::from(self.args.demo.unwrap_or(0))
    }

    pub(crate) fn standalone(&self) -> StandaloneOptions {
        StandaloneOptions {
            agent: self.config.agent.clone(),
            hub: self.config.hub.clone(),
            demo_hosts: self.demo_hosts(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        }
    }

    pub(crate) fn moment(&self, text: &str) -> Result<UnixMs, Failure> {
        parse_moment(text, self.clock.now().0, &TimeZone::system())
            .map(UnixMs)
            .map_err(|error| Failure::Usage(error.into()))
    }
}
