//! The agent's identity, and its hub where none is configured.

use std::path::Path;

use sysmon_certs::{CertError, HubState, Identity, PeerName, Role};
use sysmon_clock::{Clock, Random};
use sysmon_config::HubAddress;

const DAYS: u32 = 30;

const HUB_FILE: &str = "hub";

pub fn remember_hub(state: &Path, hub: &HubAddress) -> std::io::Result<()> {
    Ok(sysmon_files::write_private(
        &state.join(HUB_FILE),
        format!("{hub}\n"),
    )?)
}

pub fn known_hub(state: &Path) -> Option<HubAddress> {
    let text = std::fs::read_to_string(state.join(HUB_FILE)).ok()?;
    text.trim().parse().ok()
}

/// The hub on this machine that runs as the same user, if there is one.
#[derive(Debug)]
pub struct LocalHub(HubState);

impl LocalHub {
    pub fn find(dir: &Path, random: &Random) -> Self {
        Self(HubState::new(dir, random))
    }

    /// The address it listens on, as `HOST:PORT`.
    ///
    /// # Errors
    /// No hub is running with this state directory.
    pub fn address(&self) -> Result<String, CertError> {
        self.0.address().map(|address| address.to_string())
    }
}

/// Loads the identity in `state`. Where there is none but the state directory of a hub is readable, issues one:
/// reading that directory means owning the hub.
///
/// # Errors
/// There is no identity and no readable hub, files cannot be read or written, or the identity is not that of
/// agent `name`.
pub fn load(
    state: &Path,
    name: Option<&PeerName>,
    local: &LocalHub,
    clock: &Clock,
) -> Result<Identity, CertError> {
    let identity = match Identity::load(state) {
        Err(CertError::NoIdentity(dir)) => {
            let Ok(authority) = local.0.existing_authority() else {
                return Err(CertError::NoIdentity(dir));
            };
            let host_name = || PeerName::nearest(&sysmon_config::host_name());
            let name = name.cloned().unwrap_or_else(host_name);
            let now = clock.system_time();
            let identity = local.0.issue(&authority, Role::Agent, &name, now, DAYS)?;
            identity.save(state)?;
            identity
        }
        other => other?,
    };
    let peer = identity.peer();
    let is_expected = peer.role == Role::Agent && name.is_none_or(|name| *name == peer.name);
    if is_expected {
        return Ok(identity);
    }
    Err(CertError::WrongPeer {
        dir: state.to_owned(),
        found: peer.to_string(),
        wanted: name.map_or_else(|| "an agent".to_owned(), |name| format!("agent {name}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_beside_its_hub_is_issued_an_identity_and_elsewhere_needs_one() {
        let dir = tempfile::tempdir().unwrap();
        let (hub, state) = (dir.path().join("hub"), dir.path().join("agent"));
        let local = LocalHub::find(&hub, &Random::system());
        let clock = Clock::system();
        let name: PeerName = "a".parse().unwrap();
        let error = load(&state, Some(&name), &local, &clock).unwrap_err();
        assert!(matches!(error, CertError::NoIdentity(_)), "{error}");
        HubState::new(&hub, &sysmon_clock::Random::system())
            .authority(clock.system_time())
            .unwrap();
        assert_eq!(
            load(&state, Some(&name), &local, &clock)
                .unwrap()
                .peer()
                .name,
            name
        );
        let other: PeerName = "b".parse().unwrap();
        let error = load(&state, Some(&other), &local, &clock)
            .unwrap_err()
            .to_string();
        assert!(error.contains("is for agent a, not for agent b"), "{error}");
    }
}
