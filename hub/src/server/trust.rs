//! Who may come in: joining with a token, and keeping out those whose certificate was revoked.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sysmon_certs::{CertError, HubState, Identity, Peer, PeerName, Role, TokenStoreError};
use sysmon_link::{CloseCode, Connection, JoinSession, PeerCertificate, RENEWAL_INTERVAL};
use sysmon_wire::message::{Blob, JoinReply, JoinRequest, Reply};
use sysmon_wire::{Label, UnixMs};

use super::limits::Tries;
use crate::audit::{Audit, Entry};

/// Attempts to join with a token that is not good, in a minute from one address: a token cannot be guessed, and
/// who tries does not keep others out.
const BAD_ATTEMPTS_MAX: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Certificates that a peer has renewed in an hour; one in twenty days is enough. Each is noted, and revoking one
/// reads them all.
const RENEWALS_MAX: u32 = 6;
const HOUR: Duration = Duration::from_hours(1);

/// What the hub needs to let machines join.
#[derive(Clone, Debug)]
pub struct TrustOptions {
    /// The hub's state directory.
    pub state: HubState,
    /// What the hub is called in its certificate.
    pub name: PeerName,
    /// Days that certificates are valid.
    pub days: u32,
}

/// Tokens and revocations of a running hub.
#[derive(Debug)]
pub(super) struct Trust {
    options: TrustOptions,
    /// Days that certificates it issues from now on are valid.
    days: AtomicU32,
    /// Serial numbers that are not let in, and when the file with them was changed.
    revoked: Mutex<(HashSet<String>, Option<SystemTime>)>,
    /// Connections that are there now.
    sessions: Mutex<HashMap<u64, (String, Connection)>>,
    /// Attempts to join with a token that is not good, by address.
    attempts: Tries<IpAddr>,
    renewals: Tries<Peer>,
    audit: Audit,
    /// When the authority was last replaced, and when it was last looked whether the hub's own certificate is due.
    looked: Mutex<(Option<SystemTime>, Instant)>,
}

/// Notes a connection for as long as it lives.
#[derive(Debug)]
pub(super) struct Stay<'a> {
    trust: &'a Trust,
    number: u64,
}

impl Drop for Stay<'_> {
    fn drop(&mut self) {
        lock(&self.trust.sessions).remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trust {
    pub(super) fn new(options: TrustOptions) -> Self {
        let options_changed = options.state.authority_changed();
        let trust = Self {
            audit: Audit::new(options.state.dir()),
            days: AtomicU32::new(options.days),
            options,
            revoked: Mutex::default(),
            sessions: Mutex::default(),
            attempts: Tries::new(BAD_ATTEMPTS_MAX, MINUTE),
            renewals: Tries::new(RENEWALS_MAX, HOUR),
            looked: Mutex::new((options_changed, Instant::now())),
        };
        trust.review();
        trust
    }

    /// The hub's own identity, if it is another from now on: the certificate was due, or the authority has been
    /// replaced. Then all connections end too, so that those who come again renew theirs.
    pub(super) fn take_identity(&self) -> Result<Option<Identity>, CertError> {
        let state = &self.options.state;
        let changed = state.authority_changed();
        {
            let mut looked = lock(&self.looked);
            if changed == looked.0 && looked.1.elapsed() < RENEWAL_INTERVAL {
                return Ok(None);
            }
            *looked = (changed, Instant::now());
        }
        let now = SystemTime::now();
        let authority = state.existing_authority()?;
        let days = self.days.load(Ordering::Relaxed);
        let before = state.existing_identity()?;
        let identity = state.hub_identity(&authority, &self.options.name, now, days)?;
        state.owner_identity(&authority, now, days)?;
        if before.serial() == identity.serial() {
            return Ok(None);
        }
        if before.authorities() != identity.authorities() {
            tracing::info!("the authority has been replaced: all who are connected come again");
            for (_, connection) in lock(&self.sessions).values() {
                connection.close(CloseCode::Shutdown.into(), b"the hub has another authority");
            }
        }
        Ok(Some(identity))
    }

    /// Signs the key of a peer that is connected again, or says why not.
    pub(super) fn renew(&self, who: &PeerCertificate, request: &[u8]) -> Result<Reply, String> {
        let peer = &who.peer;
        if self.renewals.is_over(peer, Instant::now()) {
            return Err("certificates are renewed too often: try again in an hour".to_owned());
        }
        let state = &self.options.state;
        let (now, days) = (SystemTime::now(), self.days.load(Ordering::Relaxed));
        let signed = state
            .existing_authority()
            .and_then(|authority| authority.sign(request, peer.role, &peer.name, now, days))
            .map_err(|error| error.to_string())?;
        // It may have been revoked since it was last looked.
        match state
            .register()
            .record_renewal(&signed, (peer, &who.serial), now, days)
        {
            Ok(true) => self.renewals.count(peer.clone(), Instant::now()),
            Ok(false) => return Err(REVOKED.to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let signed = (signed.authority_pem, signed.certificate_pem);
        tracing::info!("the certificate of {peer} is renewed");
        self.audit
            .note(&Entry::new(UnixMs::from_system(now), "renewed", peer));
        Ok(Reply::Renewed {
            authority: Blob(signed.0.into_bytes()),
            certificate: Blob(signed.1.into_bytes()),
        })
    }

    /// Where it is noted who came in and who did not.
    pub(super) fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Issues certificates that are valid for this long from now on.
    pub(super) fn set_days(&self, days: u32) {
        self.days.store(days, Ordering::Relaxed);
    }

    /// Reads which certificates are revoked, if that changed, and ends their connections.
    pub(super) fn review(&self) {
        let register = self.options.state.register();
        let changed = std::fs::metadata(register.revoked_path())
            .and_then(|file| file.modified())
            .ok();
        if changed == lock(&self.revoked).1 {
            return;
        }
        let serials = match register.revoked() {
            Ok(serials) => serials,
            Err(error) => {
                // Those known to be revoked stay out.
                tracing::error!("{error}");
                return;
            }
        };
        for (serial, connection) in lock(&self.sessions).values() {
            if serials.contains(serial) {
                connection.close(CloseCode::Refused.into(), REVOKED.as_bytes());
            }
        }
        *lock(&self.revoked) = (serials, changed);
    }

    pub(super) fn is_revoked(&self, serial: &str) -> bool {
        lock(&self.revoked).0.contains(serial)
    }

    /// Notes a connection, so that it can be ended.
    pub(super) fn enter(&self, serial: &str, connection: &Connection) -> Stay<'_> {
        let number = connection.stable_id() as u64;
        lock(&self.sessions).insert(number, (serial.to_owned(), connection.clone()));
        Stay {
            trust: self,
            number,
        }
    }

    /// Lets a machine join, or says why not.
    pub(super) async fn join(
        &self,
        mut stranger: JoinSession,
        from: IpAddr,
        hub: &str,
        version: &str,
    ) -> Result<Identified, String> {
        let request = stranger
            .request(hub, version)
            .await
            .map_err(|error| error.to_string())?;
        match self.grant(&request, network_of(from), SystemTime::now()) {
            Ok((identified, reply)) => {
                stranger.reply(&reply).await;
                Ok(identified)
            }
            Err(reason) => {
                let refused = JoinReply::Refused {
                    reason: Label::new(&reason),
                };
                stranger.reply(&refused).await;
                Err(reason)
            }
        }
    }

    fn grant(
        &self,
        request: &JoinRequest,
        from: IpAddr,
        now: SystemTime,
    ) -> Result<(Identified, JoinReply), String> {
        if self.attempts.is_over(&from, Instant::now()) {
            return Err("too many attempts to join: try again in a minute".to_owned());
        }
        let tokens = self.options.state.tokens();
        let grant = tokens.find(&request.secret.0, now).map_err(|error| {
            self.attempts.count(from, Instant::now());
            error.to_string()
        })?;
        let role = grant.role().ok_or("the token's role is not known")?;
        let name = match grant.name() {
            Some(name) => name,
            None => request
                .name
                .as_str()
                .parse::<PeerName>()
                .map_err(|error| error.to_string())?,
        };
        // Who holds an unbound token may take a new name, but not the place of another.
        if grant.name().is_none()
            && self
                .is_taken(role, &name, now)
                .map_err(|error| error.to_string())?
        {
            return Err(format!(
                "the name {name} is taken: choose another with --name, or make a token with --name {name}"
            ));
        }
        let signed = self
            .sign(&request.request.0, role, &name, now)
            .map_err(|error| error.to_string())?;
        // Of two who use a token at once only one gets past this.
        match tokens.consume(&grant) {
            Ok(true) => {}
            Ok(false) => return Err(TokenStoreError::Unknown.to_string()),
            Err(error) => return Err(error.to_string()),
        }
        let reply = JoinReply::Granted {
            authority: Blob(signed.0.into_bytes()),
            certificate: Blob(signed.1.into_bytes()),
        };
        Ok((Identified { role, name }, reply))
    }

    fn sign(
        &self,
        request: &[u8],
        role: Role,
        name: &PeerName,
        now: SystemTime,
    ) -> Result<(String, String), CertError> {
        let state = &self.options.state;
        let authority = state.existing_authority()?;
        let days = self.days.load(Ordering::Relaxed);
        let signed = authority.sign(request, role, name, now, days)?;
        state
            .register()
            .record_signed(&signed, role, name, now, days)?;
        Ok((signed.authority_pem, signed.certificate_pem))
    }

    fn is_taken(&self, role: Role, name: &PeerName, now: SystemTime) -> Result<bool, CertError> {
        let now = UnixMs::from_system(now).0.unsigned_abs();
        let issued = self.options.state.register().issued()?;
        Ok(issued.iter().any(|issued| {
            issued.role == role.to_string()
                && issued.name == name.as_str()
                && issued.expires_ms > now
                && !self.is_revoked(&issued.serial)
        }))
    }
}

/// What stands for an address where it is counted: who has one of IPv6 has a whole network of them.
fn network_of(address: IpAddr) -> IpAddr {
    const HOST_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> HOST_BITS << HOST_BITS)),
        v4 => v4,
    }
}

/// Why a revoked certificate's connection ends.
pub(super) const REVOKED: &str = "this certificate has been revoked";

/// Who joined.
#[derive(Debug)]
pub(super) struct Identified {
    pub(super) role: Role,
    pub(super) name: PeerName,
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_certs::JoinKey;

    #[test]
    fn a_token_is_used_up_by_the_first_who_joins_and_names_are_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(dir.path(), &sysmon_clock::Random::system());
        let now = SystemTime::now();
        let authority = state.authority(now).unwrap();
        let print = authority.fingerprint().unwrap();
        let trust = Trust::new(TrustOptions {
            state: state.clone(),
            name: "box".parse().unwrap(),
            days: 30,
        });
        let token = |name: Option<&str>| {
            let name = name.map(|name| name.parse().unwrap());
            let hour = Duration::from_hours(1);
            state
                .tokens()
                .create(print, Role::Agent, name.as_ref(), hour, now)
                .unwrap()
                .0
        };
        let ask = |secret: &[u8], name: &str| {
            let request = JoinRequest {
                secret: Blob(secret.to_vec()),
                name: name.into(),
                request: Blob(
                    JoinKey::generate(&sysmon_clock::Random::system())
                        .unwrap()
                        .request()
                        .unwrap(),
                ),
            };
            trust.grant(&request, [192, 0, 2, 1].into(), now)
        };
        let first = token(None);
        let (who, _) = ask(first.secret(), "db-1").unwrap();
        assert_eq!((who.role, who.name.as_str()), (Role::Agent, "db-1"));
        assert!(
            ask(first.secret(), "db-2")
                .unwrap_err()
                .contains("not known")
        );
        let second = token(None);
        assert!(
            ask(second.secret(), "db-1")
                .unwrap_err()
                .contains("is taken")
        );
        assert!(
            ask(second.secret(), "../x")
                .unwrap_err()
                .contains("cannot be a name")
        );
        assert!(
            ask(second.secret(), "db-3").is_ok(),
            "a refusal does not use the token up"
        );
        let bound = token(Some("db-1"));
        let (who, _) = ask(bound.secret(), "whatever").unwrap();
        assert_eq!(
            who.name.as_str(),
            "db-1",
            "a token bound to a name gives that name"
        );
        assert_eq!(
            state.register().revoke(&"db-1".parse().unwrap()).unwrap(),
            2
        );
        trust.review();
        let again = token(None);
        assert!(
            ask(again.secret(), "db-1").is_ok(),
            "a revoked name is free again"
        );
        for _ in 0..BAD_ATTEMPTS_MAX {
            assert!(ask(b"guess", "x").is_err());
        }
        assert!(
            ask(token(None).secret(), "x")
                .unwrap_err()
                .contains("too many")
        );
    }
}
