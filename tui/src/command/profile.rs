//! Profiles that `sysmon-tui join` writes: a hub's address and an identity for it.

use std::path::{Path, PathBuf};

use sysmon_certs::{CertError, HubState, Identity, PeerName, Role};
use sysmon_clock::Random;
use sysmon_config::{HubAddress, Program, state_dir};

const HUB_FILE: &str = "hub";

/// A hub's address, and the directories that may hold an identity for it.
pub(crate) struct Profile {
    pub(crate) hub: HubAddress,
    dir: PathBuf,
    /// State directory of a hub on this machine; its owner needs no identity of their own.
    hub_state: PathBuf,
    is_joined: bool,
}

impl Profile {
    /// The profile with the name of `hub`'s host, if `sysmon-tui join` made one; the state directory itself otherwise.
    pub(crate) fn find(state: Option<&Path>, hub: &HubAddress) -> Self {
        let dir = state_dir(Program::Tui, state);
        let hub_state = state.map_or_else(|| state_dir(Program::Hub, None), Path::to_owned);
        let named = dir.join(PeerName::nearest(hub.host()).as_str());
        let joined = std::fs::read_to_string(named.join(HUB_FILE)).ok();
        match joined.and_then(|text| text.trim().parse().ok()) {
            Some(joined) => Self {
                // An explicit port takes precedence over the profile's address.
                hub: if hub.is_usual_port() {
                    joined
                } else {
                    hub.clone()
                },
                dir: named,
                hub_state,
                is_joined: true,
            },
            None => Self {
                hub: hub.clone(),
                dir,
                hub_state,
                is_joined: false,
            },
        }
    }

    /// Which hubs were joined, if this is none of them.
    pub(crate) fn hint(&self, state: Option<&Path>) -> Option<String> {
        if self.is_joined {
            return None;
        }
        let entries = std::fs::read_dir(state_dir(Program::Tui, state)).ok()?;
        let joined = entries
            .flatten()
            .filter(|entry| entry.path().join(HUB_FILE).is_file());
        let mut names: Vec<String> = joined
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        (!names.is_empty()).then(|| format!("joined hubs: {}", names.join(", ")))
    }

    /// Writes a profile called `name`, or into `state` if that is given.
    pub(crate) fn save(
        state: Option<&Path>,
        hub: &HubAddress,
        name: &str,
        identity: &Identity,
    ) -> Result<(), anyhow::Error> {
        let dir = match state {
            Some(state) => state.to_owned(),
            None => state_dir(Program::Tui, None).join(PeerName::nearest(name).as_str()),
        };
        identity.save(&dir)?;
        sysmon_files::write_private(&dir.join(HUB_FILE), format!("{hub}\n"))?;
        Ok(())
    }

    /// The operator's identity and the directory it can be renewed in; on the hub's machine its owner's, which the hub
    /// renews itself.
    pub(crate) fn identity(
        &self,
        random: &Random,
    ) -> Result<(Identity, Option<PathBuf>), CertError> {
        let error = match Identity::load(&self.dir) {
            Ok(identity) if identity.peer().role == Role::Operator => {
                return Ok((identity, Some(self.dir.clone())));
            }
            Ok(identity) => {
                return Err(CertError::WrongPeer {
                    dir: self.dir.clone(),
                    found: identity.peer().to_string(),
                    wanted: "an operator".to_owned(),
                });
            }
            Err(error @ CertError::NoIdentity(_)) => error,
            Err(error) => return Err(error),
        };
        let owner = HubState::new(&self.hub_state, random).existing_owner();
        owner.map(|owner| (owner, None)).map_err(|_| error)
    }
}
