//! What every sysmon command shares: the configuration file, state directories, logs and exit codes.

mod address;
mod command;
mod file;
mod keys;
mod places;
pub mod time;
mod units;

pub use address::{DEFAULT_PORT, HubAddress, HubAddressError};
pub use command::{CommonArgs, Failure, init_logs, run};
pub use file::ConfigError;
pub use keys::{AgentConfig, Config, EdgeConfig, HubConfig, Key, Theme, TuiConfig, keys};
pub use places::{Program, config_file, state_dir};
