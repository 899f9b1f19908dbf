//! What every sysmon command shares: the configuration file, state directories, logs and exit codes.

mod address;
mod command;
mod edge;
mod file;
mod keys;
pub mod notify;
mod places;
mod screen;
mod shared;
mod stop;
pub mod time;
mod units;
mod value;
mod weekly;

pub use address::{DEFAULT_PORT, HubAddress, HubAddressError};
pub use command::{CommonArgs, Failure, init_logs, note, print, run};
pub use edge::EdgeConfig;
pub use file::{ConfigError, suggest};
pub use keys::{AgentConfig, Config, HubConfig, Key, Theme, TuiConfig, keys};
pub use places::{Program, config_file, host_name, state_dir};
pub use screen::{Column, Order};
pub use shared::ShareAlerts;
pub use stop::{Hangup, Hangups, end_signal, stop_signal};
pub use weekly::Weekly;
