//! Which identity an agent uses, and where its hub is if nobody says.

use std::path::Path;
use std::time::SystemTime;

use sysmon_certs::{CertError, HubState, Identity, PeerName, Role};
use sysmon_config::HubAddress;

/// Days the certificate of an agent beside its hub is valid.
const DAYS: u32 = 30;

/// The file in a state directory that says which hub was joined.
const HUB_FILE: &str = "hub";

/// Notes which hub was joined, for later starts without a configuration.
pub fn remember_hub(state: &Path, hub: &HubAddress) -> std::io::Result<()> {
    std::fs::write(state.join(HUB_FILE), format!("{hub}\n"))
}

/// The hub that was joined, if one was.
pub fn known_hub(state: &Path) -> Option<HubAddress> {
    let text = std::fs::read_to_string(state.join(HUB_FILE)).ok()?;
    text.trim().parse().ok()
}

/// The hub that runs on this machine as the same user, if there is one.
#[derive(Debug)]
pub struct LocalHub(HubState);

impl LocalHub {
    /// The hub whose state would be in `dir`.
    pub fn find(dir: &Path) -> Self {
        Self(HubState::new(dir))
    }

    /// Where it is reached.
    pub fn address(&self) -> Result<String, CertError> {
        self.0.address().map(|address| address.to_string())
    }
}

/// The identity in `state`. Whoever can read the state of a hub on the same machine owns that hub,
/// so that beside it an agent's identity is made when there is none yet.
pub fn load(
    state: &Path,
    name: Option<&PeerName>,
    local: &LocalHub,
) -> Result<Identity, CertError> {
    let identity = match Identity::load(state) {
        Err(CertError::NoIdentity(dir)) => {
            let Ok(authority) = local.0.existing_authority() else {
                return Err(CertError::NoIdentity(dir));
            };
            let here = || PeerName::nearest(&sysmon_config::host_name());
            let name = name.cloned().unwrap_or_else(here);
            let identity =
                local
                    .0
                    .issue(&authority, Role::Agent, &name, SystemTime::now(), DAYS)?;
            identity.save(state)?;
            identity
        }
        other => other?,
    };
    let peer = identity.peer();
    let is_wanted = peer.role == Role::Agent && name.is_none_or(|name| *name == peer.name);
    if is_wanted {
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
    fn beside_its_hub_an_agent_needs_nothing_and_elsewhere_an_identity() {
        let dir = tempfile::tempdir().unwrap();
        let (hub, state) = (dir.path().join("hub"), dir.path().join("agent"));
        let local = LocalHub::find(&hub);
        let name: PeerName = "a".parse().unwrap();
        let error = load(&state, Some(&name), &local).unwrap_err();
        assert!(matches!(error, CertError::NoIdentity(_)), "{error}");
        HubState::new(&hub).authority(SystemTime::now()).unwrap();
        assert_eq!(load(&state, Some(&name), &local).unwrap().peer().name, name);
        let other: PeerName = "b".parse().unwrap();
        let error = load(&state, Some(&other), &local).unwrap_err().to_string();
        assert!(error.contains("is of agent a, not of agent b"), "{error}");
    }
}
