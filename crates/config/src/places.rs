//! Default paths of configuration and state.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The programs, each with a state directory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `sysmon-hub`.
    Hub,
    /// `sysmon-agent`.
    Agent,
    /// `sysmon-tui`.
    Tui,
    /// `sysmon-edge`.
    Edge,
}

impl Program {
    fn folder(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Agent => "agent",
            Self::Tui => "operator",
            Self::Edge => "edge",
        }
    }
}

fn project() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "sysmon")
}

/// The machine's configuration, for services and for users without one of their own.
const SYSTEM_FILE: &str = "/etc/sysmon/config.toml";

/// The default configuration file: the user's, or the machine's if only that exists.
pub fn config_file() -> Option<PathBuf> {
    let own = project().map(|project| project.config_dir().join("config.toml"));
    let system = PathBuf::from(SYSTEM_FILE);
    match own {
        Some(own) if own.exists() || !system.exists() => Some(own),
        _ => Some(system).filter(|system| system.exists()),
    }
}

/// A program's state directory, which holds its identity too: `flag`, or the default.
///
/// On Linux `~/.local/state/sysmon/PROGRAM`; without a home directory `/var/lib/sysmon/PROGRAM`.
pub fn state_dir(program: Program, flag: Option<&Path>) -> PathBuf {
    if let Some(dir) = flag {
        return dir.to_owned();
    }
    let base = match project() {
        Some(project) => project
            .state_dir()
            .unwrap_or_else(|| project.data_local_dir())
            .to_owned(),
        None => PathBuf::from("/var/lib/sysmon"),
    };
    base.join(program.folder())
}

/// This machine's name, without its domain; "host" where it has none.
pub fn host_name() -> String {
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    let short = name.split('.').next().unwrap_or_default();
    if short.is_empty() {
        "host".to_owned()
    } else {
        short.to_owned()
    }
}
