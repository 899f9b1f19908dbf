//! Which peers are let in: joining with a token, renewing certificates, and revoked certificates.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use sysmon_certs::{
    CertError, HostScope, HubState, Identity, Peer, PeerName, Role, TokenStoreError, scope_of,
};
use sysmon_clock::Clock;
use sysmon_link::{
    CloseCode, Connection, JoinSession, PeerCertificate, RENEWAL_INTERVAL, network_of,
};
use sysmon_wire::message::{Blob, JoinReply, JoinRequest, Reply};
use sysmon_wire::{Label, UnixMs};

use super::limits::RateLimiter;
use crate::audit::{Audit, Entry};
use crate::edges::PairedEdges;
use crate::lock;

/// Failed attempts to join in a minute from one address: a token cannot be guessed, and one address does not
/// keep others out.
const FAILED_JOINS_MAX: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Renewals of one peer in an hour, of which one in twenty days is normal. Each is recorded, and revoking a
/// certificate reads all records.
const RENEWALS_MAX: u32 = 6;
const HOUR: Duration = Duration::from_hours(1);

/// How often revoked certificates, the hub's own certificate and silent hosts are reviewed.
pub(super) const REVIEW_INTERVAL: Duration = Duration::from_millis(500);

pub(super) const REVOKED: &str = "this certificate has been revoked";

#[derive(Clone, Debug)]
pub struct AccessOptions {
    pub state: HubState,
    pub name: PeerName,
    pub days: u32,
}

#[derive(Debug)]
pub(super) struct AccessControl {
    options: AccessOptions,
    clock: Clock,
    /// Validity in days of certificates issued from now on.
    pub(super) days: AtomicU32,
    /// Revoked serial numbers, and when their file was last modified.
    revoked: Mutex<(HashSet<String>, Option<SystemTime>)>,
    sessions: Mutex<HashMap<u64, (String, Connection)>>,
    failed_joins: RateLimiter<IpAddr>,
    renewals: RateLimiter<Peer>,
    pub(super) audit: Audit,
    /// When the file of paired edges was last modified, as far as it was read.
    edges_read: Mutex<Option<SystemTime>>,
    /// When the certificate authority was last replaced, and when the hub's own certificate was last checked.
    own_checked: Mutex<(Option<SystemTime>, Instant)>,
}

#[derive(Debug)]
pub(super) struct Registered<'a> {
    access: &'a AccessControl,
    number: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.access.sessions).remove(&self.number);
    }
}

impl AccessControl {
    pub(super) fn new(options: AccessOptions, clock: Clock) -> Self {
        let replaced = options.state.authority_changed();
        let now = clock.instant();
        let access = Self {
            audit: Audit::new(options.state.dir(), now),
            days: AtomicU32::new(options.days),
            options,
            clock,
            revoked: Mutex::default(),
            sessions: Mutex::default(),
            failed_joins: RateLimiter::new(FAILED_JOINS_MAX, MINUTE),
            renewals: RateLimiter::new(RENEWALS_MAX, HOUR),
            edges_read: Mutex::default(),
            own_checked: Mutex::new((replaced, now)),
        };
        access.review();
        access
    }

    /// Renews the hub's own identity if its certificate is due or the certificate authority was replaced; the
    /// latter closes all connections too, so that peers reconnect and renew theirs.
    pub(super) fn renew_own(&self) -> Result<Option<Identity>, CertError> {
        let state = &self.options.state;
        let replaced = state.authority_changed();
        {
            let mut checked = lock(&self.own_checked);
            let now = self.clock.instant();
            if replaced == checked.0 && now - checked.1 < RENEWAL_INTERVAL {
                return Ok(None);
            }
            *checked = (replaced, now);
        }
        let now = self.clock.system_time();
        let authority = state.existing_authority()?;
        let days = self.days.load(Ordering::Relaxed);
        let before = state.existing_identity()?;
        let identity = state.hub_identity(&authority, &self.options.name, now, days)?;
        state.owner_identity(&authority, now, days)?;
        if before.serial() == identity.serial() {
            return Ok(None);
        }
        if before.authorities() != identity.authorities() {
            tracing::info!("certificate authority changed: closing all connections");
            for (_, connection) in lock(&self.sessions).values() {
                connection.close(
                    CloseCode::Shutdown.into(),
                    b"the hub has another certificate authority",
                );
            }
        }
        Ok(Some(identity))
    }

    /// Signs the key of a connected peer again, or returns the reason for the refusal.
    pub(super) fn renew(&self, who: &PeerCertificate, request: &[u8]) -> Result<Reply, String> {
        let peer = &who.peer;
        let instant = self.clock.instant();
        if self.renewals.is_over(peer, instant) {
            return Err("certificates are renewed too often: retry in an hour".to_owned());
        }
        let state = &self.options.state;
        let (now, days) = (self.clock.system_time(), self.days.load(Ordering::Relaxed));
        let signed = state
            .existing_authority()
            .and_then(|authority| {
                let scope = scope_of(&who.der)?;
                let scope = scope.as_ref();
                authority.sign_scoped(request, peer.role, &peer.name, scope, now, days)
            })
            .map_err(|error| error.to_string())?;
        // The certificate may have been revoked since the last review.
        match state
            .register()
            .record_renewal(&signed, (peer, &who.serial), now, days)
        {
            Ok(true) => self.renewals.count(peer.clone(), instant),
            Ok(false) => return Err(REVOKED.to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        tracing::info!(%peer, "certificate renewed");
        self.audit
            .note(&Entry::new(UnixMs::from_system(now), "renewed", peer));
        Ok(Reply::Renewed {
            authority: Blob(signed.authority_pem.into_bytes()),
            certificate: Blob(signed.certificate_pem.into_bytes()),
        })
    }

    /// Reads the revoked certificates if their file changed, and closes their connections; whether it had.
    pub(super) fn review(&self) -> bool {
        let register = self.options.state.register();
        let changed = std::fs::metadata(register.revoked_path())
            .and_then(|file| file.modified())
            .ok();
        if changed == lock(&self.revoked).1 {
            return false;
        }
        let serials = match register.revoked() {
            Ok(serials) => serials,
            Err(error) => {
                // Certificates known to be revoked stay so.
                tracing::error!(%error, "cannot read revoked certificates");
                return false;
            }
        };
        for (serial, connection) in lock(&self.sessions).values() {
            if serials.contains(serial) {
                connection.close(CloseCode::Refused.into(), REVOKED.as_bytes());
            }
        }
        *lock(&self.revoked) = (serials, changed);
        true
    }

    pub(super) fn registered_agents(&self) -> Result<BTreeMap<String, bool>, CertError> {
        self.options.state.register().agents()
    }

    /// Names of all agents that had a certificate, in lower case.
    #[cfg(feature = "otlp")]
    pub(super) fn agents(&self) -> HashSet<String> {
        let issued = self
            .options
            .state
            .register()
            .issued()
            .unwrap_or_else(|error| {
                tracing::error!(%error, "cannot read the register of certificates");
                Vec::new()
            });
        let agents = issued
            .into_iter()
            .filter(|issued| issued.role == Role::Agent.as_str());
        agents
            .map(|issued| issued.name.to_ascii_lowercase())
            .collect()
    }

    /// Ends the sessions of an agent, which then begins anew.
    pub(super) fn close_agent(&self, name: &str) {
        let issued = self.options.state.register().issued().unwrap_or_default();
        let of_agent = |serial: &String| {
            issued
                .iter()
                .any(|issued| issued.serial == *serial && issued.name == name)
        };
        for (serial, connection) in lock(&self.sessions).values() {
            if of_agent(serial) {
                let reason = b"the hub forgot or renamed this host";
                connection.close(CloseCode::Shutdown.into(), reason);
            }
        }
    }

    /// Drops what is no longer needed of the register.
    pub(super) fn compact_register(&self) {
        match self
            .options
            .state
            .register()
            .compact(self.clock.system_time())
        {
            Ok(0) => {}
            Ok(lines) => tracing::info!(lines, "old certificates removed from the register"),
            Err(error) => tracing::error!(%error, "cannot compact the register of certificates"),
        }
    }

    pub(super) fn state_dir(&self) -> &std::path::Path {
        self.options.state.dir()
    }

    /// The addresses of the paired edges, if they have changed since the last call.
    pub(super) fn changed_edges(&self) -> Option<Vec<String>> {
        let edges = PairedEdges::new(self.options.state.dir());
        let changed = edges.changed();
        if std::mem::replace(&mut *lock(&self.edges_read), changed) == changed {
            return None;
        }
        match edges.load() {
            Ok(edges) => Some(edges.into_iter().map(|edge| edge.address).collect()),
            Err(error) => {
                // Those that are known stay connected.
                tracing::error!(%error, "cannot read the paired edges");
                None
            }
        }
    }

    pub(super) fn is_revoked(&self, serial: &str) -> bool {
        lock(&self.revoked).0.contains(serial)
    }

    pub(super) fn register(&self, serial: &str, connection: &Connection) -> Registered<'_> {
        let number = connection.stable_id() as u64;
        lock(&self.sessions).insert(number, (serial.to_owned(), connection.clone()));
        Registered {
            access: self,
            number,
        }
    }

    /// Lets a machine join, or returns the reason for the refusal.
    pub(super) async fn join(
        &self,
        mut session: JoinSession,
        from: IpAddr,
        hub: &str,
        version: &str,
        has_history: impl Fn(&str) -> bool,
    ) -> Result<Peer, String> {
        let request = session
            .request(hub, version)
            .await
            .map_err(|error| error.to_string())?;
        let now = self.clock.system_time();
        match self.grant(&request, network_of(from), now, has_history) {
            Ok((peer, reply)) => {
                session.reply(&reply).await;
                Ok(peer)
            }
            Err(reason) => {
                let refused = JoinReply::Refused {
                    reason: Label::new(&reason),
                };
                session.reply(&refused).await;
                Err(reason)
            }
        }
    }

    fn grant(
        &self,
        request: &JoinRequest,
        from: IpAddr,
        now: SystemTime,
        has_history: impl Fn(&str) -> bool,
    ) -> Result<(Peer, JoinReply), String> {
        if self.failed_joins.is_over(&from, self.clock.instant()) {
            return Err("too many failed attempts to join: retry in a minute".to_owned());
        }
        let tokens = self.options.state.tokens();
        let grant = tokens.find(&request.secret.0, now).map_err(|error| {
            self.failed_joins.count(from, self.clock.instant());
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
        // An unbound token gives a new name, never one that has a history or had a certificate.
        if grant.name().is_none() {
            let register = self.options.state.register();
            let is_known = register.is_known(role, &name);
            let is_host = role == Role::Agent && has_history(name.as_str());
            if is_host || is_known.map_err(|error| error.to_string())? {
                return Err(format!(
                    "the name {name} is taken: choose another with --name, or create a token with --name {name}; \
                     `sysmon-hub host forget {name}` frees the name of a host that is gone"
                ));
            }
        }
        let (authority, certificate) = self
            .sign(&request.request.0, role, &name, grant.scope().as_ref(), now)
            .map_err(|error| error.to_string())?;
        // If two peers use a token at the same time, only one gets past this.
        match tokens.consume(&grant) {
            Ok(true) => {}
            Ok(false) => return Err(TokenStoreError::Unknown.to_string()),
            Err(error) => return Err(error.to_string()),
        }
        let reply = JoinReply::Granted {
            authority: Blob(authority.into_bytes()),
            certificate: Blob(certificate.into_bytes()),
        };
        Ok((Peer { role, name }, reply))
    }

    fn sign(
        &self,
        request: &[u8],
        role: Role,
        name: &PeerName,
        scope: Option<&HostScope>,
        now: SystemTime,
    ) -> Result<(String, String), CertError> {
        let state = &self.options.state;
        let authority = state.existing_authority()?;
        let days = self.days.load(Ordering::Relaxed);
        let signed = authority.sign_scoped(request, role, name, scope, now, days)?;
        state
            .register()
            .record_signed(&signed, role, name, now, days)?;
        Ok((signed.authority_pem, signed.certificate_pem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_certs::JoinKey;
    use sysmon_clock::Random;

    fn access(state: HubState) -> AccessControl {
        let options = AccessOptions {
            state,
            name: "box".parse().unwrap(),
            days: 30,
        };
        AccessControl::new(options, Clock::system())
    }

    fn request(secret: &[u8], name: &str) -> JoinRequest {
        let key = JoinKey::generate(&Random::system()).unwrap();
        JoinRequest {
            secret: Blob(secret.to_vec()),
            name: name.into(),
            request: Blob(key.request().unwrap()),
        }
    }

    #[test]
    fn a_token_works_once_and_without_a_name_never_gives_one_that_was_used() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(dir.path(), &Random::system());
        let now = Clock::system().system_time();
        let authority = state.authority(now).unwrap();
        let print = authority.fingerprint().unwrap();
        let access = access(state.clone());
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
            let has_history = |name: &str| name.eq_ignore_ascii_case("old");
            access.grant(
                &request(secret, name),
                [192, 0, 2, 1].into(),
                now,
                has_history,
            )
        };
        let first = token(None);
        let (who, _) = ask(first.secret(), "db-1").unwrap();
        assert_eq!((who.role, who.name.as_str()), (Role::Agent, "db-1"));
        assert!(
            ask(first.secret(), "db-2")
                .unwrap_err()
                .contains("unknown token")
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
            "a refusal does not use up the token"
        );
        let bound = token(Some("db-1"));
        let (who, _) = ask(bound.secret(), "whatever").unwrap();
        assert_eq!(
            who.name.as_str(),
            "db-1",
            "a token bound to a name gives that name"
        );
        assert_eq!(
            state
                .register()
                .revoke(&"db-1".parse().unwrap(), None, now)
                .unwrap(),
            2
        );
        access.review();
        let again = token(None);
        for taken in ["db-1", "DB-1", "old", "Old"] {
            let refused = ask(again.secret(), taken).unwrap_err();
            assert!(refused.contains("is taken"), "{taken}: {refused}");
        }
        let named = token(Some("old"));
        assert!(ask(named.secret(), "x").is_ok(), "the token names it");
        for _ in 0..FAILED_JOINS_MAX {
            assert!(ask(b"guess", "x").is_err());
        }
        assert!(
            ask(token(None).secret(), "x")
                .unwrap_err()
                .contains("too many")
        );
    }
}
