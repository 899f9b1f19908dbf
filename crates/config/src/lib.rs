//! What every sysmon command shares: configuration, state directories, logs and exit codes.
//!
//! Keys are read by hand-written readers over `toml`'s spans because neither figment nor `config` reports the line of an
//! invalid value or suggests the nearest key.
#![warn(clippy::missing_errors_doc)]

mod address;
pub mod check;
mod command;
mod conflicts;
mod edge;
mod export;
mod file;
pub mod health;
mod keys;
mod location;
mod loopback;
mod manual;
pub mod notify;
mod places;
mod read;
mod screen;
mod shared;
mod stop;
mod suggest;
pub mod time;
mod units;
mod ups;
mod value;
mod watch;
mod weekly;

pub use address::{DEFAULT_PORT, HubAddress, HubAddressError};
pub use command::{CommonArgs, Failure, init_logs, note, print, run, runtime};
pub use export::{ExportConfig, export_kinds};
pub use file::ConfigError;
pub use keys::{AgentConfig, Config, EdgeConfig, HubConfig, Key, TuiConfig, keys};
pub use loopback::is_loopback_host;
pub use manual::ManualCommand;
pub use places::{Program, config_file, host_name, state_dir};
pub use screen::{Colour, Column, Order, Theme};
pub use shared::{Arguments, ShareAlerts};
pub use stop::{Hangup, Hangups, end_signal, stop_signal};
pub use suggest::suggest;
pub use ups::{UpsProgram, UpsSource, is_ups_name};
pub use weekly::{Weekly, WeeklyError};
