//! The hub of the year: its core, history, alerts and state files, without sockets.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use sysmon_alerts::notify::{Notifier, NotifierOptions, NotifierState};
use sysmon_alerts::rule::{DEFAULTS, Rule};
use sysmon_alerts::silence::{Scope, Silence, SilenceFile};
use sysmon_certs::{Authority, HubState, Identity, PeerName, Role};
use sysmon_clock::{ManualTime, Random};
use sysmon_hub::core::Core;
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{HistoryOptions, open_history};
use sysmon_store::store::Reader;
use sysmon_store::worker::Worker;
use sysmon_store::{Batch, Limits};
use sysmon_wire::UnixMs;
use sysmon_wire::alerts::Acknowledgement;

const DAY: Duration = Duration::from_hours(24);

const NAME: &str = "year";

/// Validity of certificates, which are renewed daily.
const CERTIFICATE_DAYS: u32 = 3;

/// The default rule expects a row a second.
const SILENT: &str = "silent: silent for 5m critical";

/// Longer than all of what the year writes at once takes.
const COMMIT_MAX: Duration = Duration::from_secs(300);

fn limits(hours: Duration) -> Limits {
    Limits {
        bytes: 8 << 30,
        rows: DAY,
        minutes: Duration::from_hours(7 * 24),
        hours,
    }
}

const FLEET: FleetOptions = FleetOptions {
    stale_after: Duration::from_mins(3),
    offline_after: Duration::from_mins(5),
    retention: DAY,
    memory_bytes: 256 << 20,
};

pub(super) struct Hub {
    pub(super) core: Core,
    pub(super) state: HubState,
    pub(super) history: PathBuf,
    authority: Authority,
    worker: Worker,
    notifier: Notifier,
    silences: SilenceFile,
    time: ManualTime,
    /// The history's thread has a clock of its own, which stands while it works: what takes it moments is no
    /// matter of minutes only because a year passes in one hour.
    history_time: ManualTime,
    runtime: tokio::runtime::Runtime,
    committed: UnixMs,
    pub(super) silence_number: u64,
}

impl Hub {
    pub(super) fn start(
        state: HubState,
        time: &ManualTime,
        hours: Duration,
        number: u64,
    ) -> anyhow::Result<Self> {
        let now = time.clock().now();
        let authority = state.authority(time.clock().system_time())?;
        let (history, silences) = (
            state.dir().join("history.db"),
            SilenceFile::new(state.dir()),
        );
        let alerts = state.dir().join("alerts.json");
        let restored = NotifierState::load(&alerts);
        let rules = DEFAULTS
            .iter()
            .map(|line| match line.starts_with("silent:") {
                true => SILENT.parse::<Rule>(),
                false => line.parse(),
            });
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        let mut core = Core::new(FLEET);
        core.set_rules(rules, restored.firing());
        let options = HistoryOptions {
            path: history.clone(),
            limits: limits(hours),
        };
        let history_time = ManualTime::new(now);
        let worker = open_history(&options, NAME, &mut core, &history_time.clock())?;
        restore_rows(&mut core, &history, now)?;
        let notifier = Notifier::start(
            NotifierOptions {
                path: Some(alerts),
                silences: Some(silences.clone()),
                ..NotifierOptions::default()
            },
            restored,
            time.clock(),
        )?;
        let mut hub = Self {
            core,
            history,
            authority,
            worker,
            notifier,
            silences,
            time: time.clone(),
            history_time,
            runtime: crate::runtime()?,
            committed: now,
            silence_number: number,
            state,
        };
        hub.compact_register()?;
        Ok(hub)
    }

    fn now(&self) -> UnixMs {
        self.time.clock().now()
    }

    /// What the hub does of its own accord twice a second, and once a minute.
    pub(super) fn review(&mut self, is_minute: bool) {
        let now = self.now();
        if is_minute {
            let emptied = self.worker.take_emptied();
            for name in self.core.gone_hosts(Some(&emptied), now) {
                self.core.forget(name.as_str());
            }
            self.core.fleet.settle(now);
        }
        self.core.review_silence(now);
        let transitions = self.core.take_transitions();
        if !transitions.is_empty() {
            self.notifier.apply(transitions);
        }
    }

    /// Puts everything on disk, removes what is past its retention, and downsamples what is due.
    pub(super) fn commit(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        let passed = u64::try_from(now - self.committed).unwrap_or(0);
        self.history_time.advance(Duration::from_millis(passed));
        self.committed = now;
        let batch = self.core.take_batch(now);
        let generation = batch.generation;
        self.offer(batch)?;
        // Taken up only when the thread is done with what follows the first.
        self.offer(Batch {
            generation,
            now,
            ..Batch::default()
        })
    }

    fn offer(&self, batch: Batch) -> anyhow::Result<()> {
        let mut durable = self.worker.durable();
        durable.mark_unchanged();
        let mut batch = Some(batch);
        // Durable comes a moment before idle.
        while !self.worker.offer(|| batch.take().unwrap_or_default()) {
            std::thread::yield_now();
        }
        let waited = self
            .runtime
            .block_on(async { tokio::time::timeout(COMMIT_MAX, durable.changed()).await });
        let is_written = waited.is_ok_and(|changed| changed.is_ok());
        match is_written {
            true => Ok(()),
            false => Err(anyhow!("the history is not written: {:?}", self.health())),
        }
    }

    fn health(&self) -> Result<(), String> {
        let now = self.history_time.clock().instant();
        self.worker.health(now).map_err(|error| error.to_string())
    }

    /// Stops as on SIGTERM; gives back what the next start needs.
    pub(super) fn stop(mut self) -> anyhow::Result<(HubState, u64)> {
        self.commit()?;
        self.worker.finish();
        self.notifier.finish();
        Ok((self.state, self.silence_number))
    }

    /// A machine joins with a token made for it.
    pub(super) fn join(&self, name: &str) -> anyhow::Result<Identity> {
        let now = self.time.clock().system_time();
        let name = PeerName::nearest(name);
        let tokens = self.state.tokens();
        let fingerprint = self.authority.fingerprint()?;
        let hour = Duration::from_hours(1);
        let (token, _) = tokens.create(fingerprint, Role::Agent, Some(&name), hour, now)?;
        let found = tokens.find(token.secret(), now)?;
        ensure!(tokens.consume(&found)?, "the token of {name} was used");
        let days = CERTIFICATE_DAYS;
        Ok(self
            .state
            .issue(&self.authority, Role::Agent, &name, now, days)?)
    }

    /// Somebody makes a token and never uses it.
    pub(super) fn make_token(&self) -> anyhow::Result<()> {
        let now = self.time.clock().system_time();
        let fingerprint = self.authority.fingerprint()?;
        let hour = Duration::from_hours(1);
        self.state
            .tokens()
            .create(fingerprint, Role::Operator, None, hour, now)?;
        Ok(())
    }

    pub(super) fn renew(&self, identity: &Identity) -> anyhow::Result<Identity> {
        let now = self.time.clock().system_time();
        let peer = identity.peer();
        let request = identity.renewal_request()?;
        let signed = self
            .authority
            .sign(&request, peer.role, &peer.name, now, CERTIFICATE_DAYS)?;
        let of = (peer, identity.serial());
        let register = self.state.register();
        let is_valid = register.record_renewal(&signed, of, now, CERTIFICATE_DAYS)?;
        ensure!(is_valid, "the certificate of {} is revoked", peer.name);
        Ok(identity.renewed(&signed.authority_pem, &signed.certificate_pem)?)
    }

    pub(super) fn compact_register(&mut self) -> anyhow::Result<()> {
        let register = self.state.register();
        register.compact(self.time.clock().system_time())?;
        self.core.set_revoked(&register.agents()?);
        Ok(())
    }

    pub(super) fn revoke(&mut self, name: &str) -> anyhow::Result<()> {
        let (now, register) = (self.time.clock().system_time(), self.state.register());
        register.revoke(&PeerName::nearest(name), Some(Role::Agent), now)?;
        self.core.set_revoked(&register.agents()?);
        Ok(())
    }

    /// `sysmon-hub host forget`.
    pub(super) fn forget(&mut self, name: &str) -> anyhow::Result<()> {
        let now = self.time.clock().system_time();
        ensure!(self.core.forget(name), "{name} is live");
        let register = self.state.register();
        let is_free = register.forget_agent(&PeerName::nearest(name), now)?;
        ensure!(is_free, "{name} still has a certificate");
        Ok(())
    }

    /// Silences everything of a host for two hours, beside the silences that there are.
    pub(super) fn silence(&mut self, host: &str) -> anyhow::Result<()> {
        let now = self.now();
        self.silence_number += 1;
        let mut silences = self.silences.read(now)?;
        silences.push(Silence {
            id: self.silence_number.to_string(),
            scope: Scope::new(host, "*").map_err(|error| anyhow!("{error}"))?,
            from: now,
            until: now + 2 * 3_600_000,
            by: "operator".to_owned(),
            reason: "maintenance".to_owned(),
        });
        Ok(self.silences.write(&silences)?)
    }

    pub(super) fn acknowledge(&self) -> anyhow::Result<()> {
        let scope = Scope::new("*", "*").map_err(|error| anyhow!("{error}"))?;
        let by = Acknowledgement {
            by: "operator".into(),
            at: self.now(),
            note: "seen".into(),
        };
        self.notifier.acknowledge(&scope, Some(&by));
        Ok(())
    }

    /// Alerts that fire, tokens and silences in their files.
    pub(super) fn entries(&self) -> anyhow::Result<[u64; 3]> {
        let alerts = self.notifier.active(self.now()).len();
        let tokens = self.state.tokens().list()?.len();
        let silences = self.silences.read(UnixMs(i64::MIN))?.len();
        Ok([alerts, tokens, silences].map(|count| count as u64))
    }

    /// Lines of the register for certificates that were replaced, and different names in it.
    pub(super) fn register(&self) -> anyhow::Result<(u64, u64)> {
        let issued = self.state.register().issued()?;
        let names: BTreeSet<_> = issued.iter().map(|one| (&one.role, &one.name)).collect();
        Ok(((issued.len() - names.len()) as u64, names.len() as u64))
    }

    /// How often the hub left something out because of a limit, with the limits' names.
    pub(super) fn limits_reached(&self) -> Vec<(String, u64)> {
        let limits = self.core.fleet.limits();
        let reached = sysmon_hub::limits::reached_by_name(&limits).into_iter();
        reached
            .map(|(name, count)| (name.to_string(), count))
            .collect()
    }
}

/// Restores rows that are in chunks, the newest first, as far as the memory budget allows.
fn restore_rows(core: &mut Core, history: &std::path::Path, now: UnixMs) -> anyhow::Result<()> {
    let reader = Reader::open(history)?;
    let mut from = UnixMs(i64::MIN);
    for place in reader.newest_first(core.fleet.horizon(now))? {
        let Some((name, chunk)) = reader.read(place).context("a chunk")? else {
            continue;
        };
        if !core.fleet.restore_chunk(&name, chunk) {
            from = place.last + 1;
            break;
        }
    }
    core.fleet.set_restored_from(from);
    Ok(())
}

pub(super) fn state(dir: &std::path::Path) -> HubState {
    HubState::new(dir, &Random::system())
}
