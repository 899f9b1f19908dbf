//! The hub that runs on this machine.

use std::path::{Path, PathBuf};

use sysmon_certs::{HubState, Identity};
use sysmon_clock::Random;
use sysmon_config::{Program, state_dir};

/// Where the shipped service has its state.
const SERVICE_STATE: &str = "/var/lib/sysmon/hub";

/// The address of a running hub whose state directory this user may read, and its owner's identity: that in `state` if it
/// is given, else the user's own, else the service's.
pub(crate) fn running_hub(state: Option<&Path>, random: &Random) -> Option<(String, Identity)> {
    let dirs = match state {
        Some(state) => vec![state.to_owned()],
        None => vec![state_dir(Program::Hub, None), PathBuf::from(SERVICE_STATE)],
    };
    dirs.into_iter().find_map(|dir| {
        let hub = HubState::new(&dir, random);
        let address = hub.address().ok()?;
        let owner = hub.existing_owner().ok()?;
        is_running(&dir).then(|| (address.to_string(), owner))
    })
}

/// Whether something listens at the hub's control socket: the address file outlives a hub that was killed.
#[cfg(unix)]
fn is_running(dir: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(dir.join("control.sock")).is_ok()
}

#[cfg(not(unix))]
fn is_running(_: &Path) -> bool {
    true
}
