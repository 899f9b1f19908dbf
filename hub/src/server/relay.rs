//! Showing the fleet to edges: the hub dials out, and what it says has been redacted before.

use std::collections::{BTreeMap, VecDeque};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sysmon_certs::{Identity, Role};
use sysmon_link::{
    Backoff, CloseCode, Connector, FrameSender, HubSession, LinkError, PeerCertificate,
};
use sysmon_wire::alerts::{Acknowledgement, AlertState, Alerts};
use sysmon_wire::message::{
    AlertLine, FleetUpdate, HostHealth, HostLine, HostTick, Purpose, Reply,
};
use sysmon_wire::metrics::{ALIASES, SUMMARY};
use sysmon_wire::{ABSENT, HostFacts, Label, UnixMs};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::subscriber::send_fleet;
use super::trust::REVOKED;
use super::{Hub, now, renewal};
use crate::VERSION;
use crate::fleet::{Fleet, HostId};
use crate::view::{SparkRequest, fleet_changes, fleet_picture, history_until, hosts_with_new_past};
use sysmon_alerts::rule::Hosts;

/// How often an edge is told what changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// History is told in pieces of an hour, in steps of ten seconds.
const HISTORY_POINTS: u16 = 360;
const HISTORY_STEP_MS: u32 = 10_000;
const PIECE_MS: i64 = HISTORY_POINTS as i64 * HISTORY_STEP_MS as i64;

/// Pieces an edge is told of each host: it keeps six hours.
const PIECES: u8 = 6;

/// Hosts whose piece is told at once, and how many pieces a second: six hours of a thousand hosts take a minute,
/// and nobody waits for the fleet longer than a few milliseconds.
const HOSTS_PER_PIECE: usize = 10;
const PIECES_PER_TICK: usize = 10;

/// How often hosts are looked for whose past has changed: an agent that was cut off tells it when it is back.
const PAST_TICKS: u32 = 10;

/// What is told of alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertWords {
    /// Nothing, not even that there are any.
    None,
    /// Names of the rules.
    #[default]
    Names,
    /// Their words too, which may hold mount points, devices and the like.
    Summaries,
}

/// Which edges there are, and what they may show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeOptions {
    /// Edges as `HOST:PORT`.
    pub edges: Vec<String>,
    /// Hosts that are shown; the first that fits counts.
    pub share: Vec<Share>,
    /// Short names of the metrics that are shown; all of a host's line if not set.
    pub metrics: Option<Vec<String>>,
    /// What is told of alerts.
    pub alerts: AlertWords,
}

/// A host, or several, that edges show: `NAME`, with `*` for any letters, or `#TAG`; and `=PUBLIC` for
/// another name in public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    hosts: Hosts,
    public: Option<String>,
}

impl FromStr for Share {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hosts, public) = match text.split_once('=') {
            Some((hosts, public)) => (hosts, Some(public.trim().to_owned())),
            None => (text, None),
        };
        Ok(Self {
            hosts: Hosts::of(hosts.trim()),
            public,
        })
    }
}

impl EdgeOptions {
    /// What a host is called in public; none if it is not shown.
    fn public_name(&self, line: &HostLine) -> Option<Label> {
        let tags = || line.facts.tags.iter().map(Label::as_str);
        let share = self
            .share
            .iter()
            .find(|share| share.hosts.include(line.name.as_str(), tags()))?;
        Some(
            share
                .public
                .as_deref()
                .map_or_else(|| line.name.clone(), Label::new),
        )
    }

    /// Whether a metric, by its place among the aliases, is shown.
    fn shows(&self, place: usize) -> bool {
        let alias = ALIASES.get(place).map(|alias| alias.alias);
        let chosen = |names: &Vec<String>| names.iter().any(|name| Some(name.as_str()) == alias);
        place < SUMMARY && self.metrics.as_ref().is_none_or(chosen)
    }

    fn alert(&self, alert: &AlertLine, host: &str, public: &str) -> Option<AlertLine> {
        let summary = match self.alerts {
            AlertWords::None => return None,
            AlertWords::Names => Label::new(""),
            AlertWords::Summaries => Label::new(&alert.summary.as_str().replace(host, public)),
        };
        Some(AlertLine {
            summary,
            ..alert.clone()
        })
    }
}

/// A host that was shown may be shown no more.
#[derive(Debug, PartialEq, Eq)]
struct Withdrawn;

/// What an edge has been told: which hosts it may see, and what they are called there.
#[derive(Debug)]
struct Redaction<'a> {
    options: &'a EdgeOptions,
    shown: BTreeMap<u32, Label>,
    /// What those are called there, by the names they have here.
    public: BTreeMap<Label, Label>,
}

impl<'a> Redaction<'a> {
    fn new(options: &'a EdgeOptions) -> Self {
        Self {
            options,
            shown: BTreeMap::new(),
            public: BTreeMap::new(),
        }
    }

    /// Leaves only what may be seen in public: no facts, tags or notes, and of alerts and metrics what was chosen.
    fn redact(&mut self, update: FleetUpdate) -> Result<FleetUpdate, Withdrawn> {
        let mut lines = Vec::new();
        for line in update.lines {
            if let Some(name) = self.name(&line)? {
                let alert = |alert| self.options.alert(alert, line.name.as_str(), name.as_str());
                let alerts = line.alerts.iter().filter_map(alert).collect();
                lines.push(HostLine {
                    index: line.index,
                    name: name.clone(),
                    facts: HostFacts::unknown(),
                    health: HostHealth::default(),
                    notes: Vec::new(),
                    alerts,
                });
            }
        }
        let ticks = update.ticks.into_iter();
        let sparks = update.sparks.into_iter();
        Ok(FleetUpdate {
            now: update.now,
            lines,
            ticks: ticks
                .filter(|tick| self.shown.contains_key(&tick.index))
                .map(|tick| self.tick(tick))
                .collect(),
            sparks: sparks
                .filter(|spark| self.shown.contains_key(&spark.index))
                .filter(|spark| self.options.shows(usize::from(spark.alias)))
                .collect(),
        })
    }

    /// What a host is called. Two of the same public name are told apart by a number.
    fn name(&mut self, line: &HostLine) -> Result<Option<Label>, Withdrawn> {
        let Some(wanted) = self.options.public_name(line) else {
            return match self.shown.contains_key(&line.index) {
                true => Err(Withdrawn),
                false => Ok(None),
            };
        };
        if let Some(name) = self.shown.get(&line.index) {
            return Ok(Some(name.clone()));
        }
        let numbered = (2..).map(|n: u32| Label::new(&format!("{wanted} {n}")));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let is_free = |name: &Label| !self.shown.values().any(|taken| taken == name);
        let name = names.find(is_free).unwrap_or_else(|| wanted.clone());
        self.shown.insert(line.index, name.clone());
        self.public.insert(line.name.clone(), name.clone());
        Ok(Some(name))
    }

    /// Of what somebody takes care, without who that is.
    fn cared_for(&self, alerts: &[AlertState]) -> Vec<AlertState> {
        let alert = |alert: &AlertState| {
            let host = self.public.get(&alert.host)?;
            let acknowledged = alert.acknowledged.as_ref()?;
            let nothing = || Label::new("");
            Some(AlertState {
                host: host.clone(),
                rule: alert.rule.clone(),
                device: nothing(),
                severity: alert.severity,
                since: alert.since,
                summary: nothing(),
                acknowledged: Some(Acknowledgement {
                    by: nothing(),
                    at: acknowledged.at,
                    note: nothing(),
                }),
                silenced: None,
            })
        };
        if self.options.alerts == AlertWords::None {
            return Vec::new();
        }
        alerts.iter().filter_map(alert).collect()
    }

    fn tick(&self, mut tick: HostTick) -> HostTick {
        for (place, value) in tick.values.iter_mut().enumerate() {
            if !self.options.shows(place) {
                *value = ABSENT;
            }
        }
        tick
    }
}

/// History that is still to be told: which hosts, and which hour, counted back from now.
#[derive(Debug, Default)]
struct History {
    pieces: VecDeque<(Vec<HostId>, u8)>,
    /// Up to which generation of the fleet it has been looked for.
    seen: u64,
    ticks: u32,
}

impl History {
    fn add(&mut self, hosts: &[HostId], pieces: std::ops::Range<u8>) {
        for piece in pieces {
            let parts = hosts.chunks(HOSTS_PER_PIECE);
            self.pieces.extend(parts.map(|part| (part.to_vec(), piece)));
        }
    }

    /// Looks for hosts whose past has changed, once all else has been told.
    fn look(&mut self, fleet: &Fleet) {
        self.ticks += 1;
        if self.pieces.is_empty() && self.ticks.is_multiple_of(PAST_TICKS) {
            let changed = hosts_with_new_past(fleet, self.seen);
            self.seen = fleet.generation();
            self.add(&changed, 0..PIECES);
        }
    }

    fn next(&mut self, fleet: &Fleet, now: UnixMs) -> Option<FleetUpdate> {
        let (hosts, piece) = self.pieces.pop_front()?;
        Some(FleetUpdate {
            now,
            lines: Vec::new(),
            ticks: Vec::new(),
            sparks: history_until(fleet, &hosts, now - i64::from(piece) * PIECE_MS, &sparks()),
        })
    }
}

fn sparks() -> SparkRequest {
    SparkRequest {
        points: HISTORY_POINTS,
        step_ms: HISTORY_STEP_MS,
        aliases: (0..SUMMARY as u8).collect(),
    }
}

/// Shows the fleet to every edge, for as long as this is awaited. When other options come, all are told
/// anew: what they may no longer show goes with the connection.
pub(super) async fn run(
    hub: &Arc<Hub>,
    mut options: watch::Receiver<EdgeOptions>,
    mut identity: watch::Receiver<Identity>,
) {
    loop {
        let present = Arc::new(options.borrow_and_update().clone());
        let own = identity.borrow_and_update().clone();
        // Dropped, and so ended, before the next round.
        let mut edges = JoinSet::new();
        if !present.edges.is_empty() {
            match Connector::new(&own, VERSION, &sysmon_clock::Clock::system()) {
                Ok(connector) => {
                    for edge in present.edges.iter().cloned() {
                        let (hub, present) = (Arc::clone(hub), Arc::clone(&present));
                        edges.spawn(keep_shown(hub, edge, present, connector.clone()));
                    }
                }
                Err(error) => tracing::error!("edges are not shown anything: {error}"),
            }
        }
        let is_alive = tokio::select! {
            changed = options.changed() => changed.is_ok(),
            changed = identity.changed() => changed.is_ok(),
        };
        if !is_alive {
            return std::future::pending().await;
        }
    }
}

/// Shows the fleet to one edge, again and again.
async fn keep_shown(hub: Arc<Hub>, edge: String, options: Arc<EdgeOptions>, connector: Connector) {
    let mut backoff = Backoff::default();
    let mut told = String::new();
    loop {
        let connected = connector.connect_as(&edge, Role::Edge, Purpose::Mirror);
        let error = match connected.await {
            Ok(session) => {
                tracing::info!("edge {} at {edge} is shown the fleet", session.hub);
                told.clear();
                backoff.reset();
                match sysmon_link::peer_certificate(&session.connection) {
                    Ok(Some(edge)) => attend(&hub, &options, &session, &edge).await,
                    Ok(None) => LinkError::StreamEnded,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let text = error.to_string();
        if text != told {
            tracing::warn!("edge {edge} is not shown anything: {text}; trying again");
            told = text;
        }
        tokio::time::sleep(backoff.next(fastrand::f64())).await;
    }
}

/// Shows the fleet to an edge that is connected, and renews its certificate, until it leaves or is revoked.
async fn attend(
    hub: &Arc<Hub>,
    options: &EdgeOptions,
    session: &HubSession,
    edge: &PeerCertificate,
) -> LinkError {
    let connection = &session.connection;
    let _entry = hub
        .trust
        .as_ref()
        .map(|trust| trust.enter(&edge.serial, connection));
    if let Some(trust) = &hub.trust
        && trust.is_revoked(&edge.serial)
    {
        connection.close(CloseCode::Refused.into(), REVOKED.as_bytes());
        return LinkError::Refused(REVOKED.to_owned());
    }
    tokio::select! {
        shown = show(hub, options, session) => match shown {
            Ok(never) => match never {},
            Err(error) => error,
        },
        error = renewal::serve(hub, connection, edge) => error,
    }
}

/// Shows the fleet on one connection; when a host is withdrawn, all that is left is told anew on a stream of its own,
/// so that the edge forgets the rest.
async fn show(
    hub: &Hub,
    options: &EdgeOptions,
    session: &HubSession,
) -> Result<std::convert::Infallible, LinkError> {
    loop {
        let sender = FrameSender::new(session.connection.open_uni().await?);
        show_until_withdrawn(hub, options, session, sender).await?;
    }
}

async fn show_until_withdrawn(
    hub: &Hub,
    options: &EdgeOptions,
    session: &HubSession,
    mut sender: FrameSender,
) -> Result<Withdrawn, LinkError> {
    let mut redaction = Redaction::new(options);
    let mut history = History::default();
    let (frames, mut seen) = {
        let fleet = hub.fleet();
        let hosts: Vec<HostId> = fleet.watched_hosts().map(|(id, _)| id).collect();
        history.add(&hosts, 0..PIECES);
        history.seen = fleet.generation();
        let none = SparkRequest {
            points: 0,
            ..sparks()
        };
        (
            fleet_picture(&fleet, None, now(), &none),
            fleet.generation(),
        )
    };
    for frame in frames {
        match redaction.redact(frame) {
            Ok(frame) => send_fleet(&mut sender, vec![frame]).await?,
            Err(withdrawn) => return Ok(withdrawn),
        }
    }
    let mut care = Care { told: Vec::new() };
    care.tell(hub, &redaction, &mut sender).await?;
    sender.send(&Reply::Complete).await?;
    let mut timer = tokio::time::interval(INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            error = session.connection.closed() => return Err(error.into()),
        }
        let mut frames = {
            let fleet = hub.fleet();
            history.look(&fleet);
            let frames = fleet_changes(&fleet, seen, now());
            seen = fleet.generation();
            frames
        };
        if frames.is_empty() {
            // So that the edge knows that the hub is there.
            frames.push(FleetUpdate {
                now: now(),
                lines: Vec::new(),
                ticks: Vec::new(),
                sparks: Vec::new(),
            });
        }
        for _ in 0..PIECES_PER_TICK {
            let piece = history.next(&hub.fleet(), now());
            let Some(piece) = piece else { break };
            frames.push(piece);
        }
        for frame in frames {
            match redaction.redact(frame) {
                Ok(frame) => send_fleet(&mut sender, vec![frame]).await?,
                Err(withdrawn) => return Ok(withdrawn),
            }
        }
        care.tell(hub, &redaction, &mut sender).await?;
    }
}

/// What an edge was told of who takes care.
struct Care {
    told: Vec<AlertState>,
}

impl Care {
    /// Tells it when it is other than before.
    async fn tell(
        &mut self,
        hub: &Hub,
        redaction: &Redaction<'_>,
        sender: &mut FrameSender,
    ) -> Result<(), LinkError> {
        let present = redaction.cared_for(&hub.alerts().alerts);
        if present != self.told {
            let alerts = Alerts {
                alerts: present.clone(),
                ..Alerts::default()
            };
            sender.send(&Reply::Alerts(alerts)).await?;
            self.told = present;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{fleet, host_with_cpu, row};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::RunId;

    fn options(share: &[&str]) -> EdgeOptions {
        EdgeOptions {
            share: share.iter().map(|share| share.parse().unwrap()).collect(),
            ..EdgeOptions::default()
        }
    }

    fn hosts(names: &[&str]) -> Fleet {
        let mut fleet = fleet();
        for name in names {
            let id = host_with_cpu(&mut fleet, name);
            let facts = HostFacts {
                os: "secret-os".into(),
                tags: vec!["secret-tag".into()],
                ..HostFacts::unknown()
            };
            fleet.set_facts(id, facts);
            fleet.set_notes(id, vec!["secret /path".into()]);
            fleet
                .apply(id, RunId(1), &row(1, 9000, 5), UnixMs(9000))
                .unwrap();
        }
        fleet
    }

    fn picture(fleet: &Fleet) -> FleetUpdate {
        fleet_picture(fleet, None, UnixMs(9000), &sparks()).remove(0)
    }

    #[test]
    fn only_chosen_hosts_are_shown_and_nothing_but_numbers_of_them() {
        let fleet = hosts(&["web-1", "db-1"]);
        let options = options(&["web-*=Shop"]);
        let mut redaction = Redaction::new(&options);
        let update = redaction.redact(picture(&fleet)).unwrap();
        assert_eq!(
            (update.lines.len(), update.ticks.len(), update.sparks.len()),
            (1, 1, 1)
        );
        assert_eq!(update.lines[0].name, "Shop");
        assert!(!format!("{update:?}").contains("secret"));
        let later = fleet_changes(&fleet, 0, UnixMs(9000)).remove(0);
        assert_eq!(redaction.redact(later).unwrap().ticks.len(), 1);
    }

    #[test]
    fn metrics_and_words_of_alerts_are_shown_as_chosen() {
        let fleet = hosts(&["web-1"]);
        let mut update = picture(&fleet);
        update.lines[0].alerts = vec![AlertLine {
            rule: "disk-full".into(),
            summary: "/secret of web-1 is full".into(),
            severity: sysmon_wire::message::Severity::Critical,
            since: UnixMs(1),
        }];
        let with = |metrics: &[&str], alerts| EdgeOptions {
            metrics: Some(metrics.iter().map(ToString::to_string).collect()),
            alerts,
            ..options(&["*=Shop"])
        };
        let shown = |options: &EdgeOptions| Redaction::new(options).redact(update.clone()).unwrap();
        let seen = shown(&with(&["mem"], AlertWords::None));
        assert!(seen.sparks.is_empty() && seen.ticks[0].values.iter().all(|v| *v == ABSENT));
        assert!(seen.lines[0].alerts.is_empty());
        let seen = shown(&with(&["cpu"], AlertWords::Names));
        assert!(!seen.sparks.is_empty() && seen.ticks[0].values[0] == 5);
        assert_eq!(seen.lines[0].alerts[0].rule, "disk-full");
        assert!(!format!("{seen:?}").contains("secret"));
        let seen = shown(&with(&["cpu"], AlertWords::Summaries));
        assert_eq!(seen.lines[0].alerts[0].summary, "/secret of Shop is full");
    }

    #[test]
    fn that_somebody_takes_care_is_told_but_not_who() {
        let fleet = hosts(&["web-1", "db-1"]);
        let alert = |host: &str, by: Option<&str>| AlertState {
            host: host.into(),
            rule: "disk-full".into(),
            device: "/secret".into(),
            severity: sysmon_wire::message::Severity::Critical,
            since: UnixMs(5),
            summary: "/secret of web-1 is full".into(),
            acknowledged: by.map(|by| Acknowledgement {
                by: by.into(),
                at: UnixMs(7),
                note: "secret".into(),
            }),
            silenced: Some("secret".into()),
        };
        let all = [
            alert("web-1", Some("secret-jane")),
            alert("web-1", None),
            alert("db-1", Some("secret-jane")),
        ];
        let told = |words| {
            let options = EdgeOptions {
                alerts: words,
                ..options(&["web-*=Shop"])
            };
            let mut redaction = Redaction::new(&options);
            redaction.redact(picture(&fleet)).unwrap();
            redaction.cared_for(&all)
        };
        let names = told(AlertWords::Names);
        assert_eq!(names.len(), 1);
        assert_eq!(
            (names[0].host.as_str(), names[0].since),
            ("Shop", UnixMs(5))
        );
        assert_eq!(
            names[0].acknowledged.as_ref().map(|one| one.at),
            Some(UnixMs(7))
        );
        assert!(!format!("{names:?}").contains("secret"));
        assert!(!format!("{:?}", told(AlertWords::Summaries)).contains("secret"));
        assert_eq!(told(AlertWords::None), []);
    }

    #[test]
    fn hosts_of_one_public_name_are_told_apart_and_a_withdrawn_one_is_noticed() {
        let mut fleet = hosts(&["web-1", "web-2"]);
        let options = options(&["#secret-tag=Shop"]);
        let mut redaction = Redaction::new(&options);
        let update = redaction.redact(picture(&fleet)).unwrap();
        let names: Vec<_> = update.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["Shop", "Shop 2"]);
        let again = redaction.redact(picture(&fleet)).unwrap();
        assert_eq!(again.lines[1].name, "Shop 2");
        let id = HostId(update.lines[0].index);
        fleet.set_facts(id, HostFacts::unknown());
        assert_eq!(redaction.redact(picture(&fleet)), Err(Withdrawn));
    }

    #[test]
    fn history_is_told_hour_by_hour_and_again_when_the_past_changes() {
        let mut fleet = hosts(&["web-1"]);
        let hour = PIECE_MS;
        let mut history = History::default();
        let id = fleet.watched_hosts().next().unwrap().0;
        history.add(&[id], 0..PIECES);
        history.seen = fleet.generation();
        let now = UnixMs(9000 + 2 * hour);
        let told: Vec<_> = std::iter::from_fn(|| history.next(&fleet, now)).collect();
        assert_eq!(told.len(), usize::from(PIECES));
        let known = |update: &FleetUpdate| {
            let mut points = update.sparks.iter().flat_map(|spark| &spark.points);
            points.any(|point| *point != ABSENT)
        };
        assert_eq!(told.iter().position(known), Some(2), "two hours ago");
        let look = |history: &mut History, fleet: &Fleet| {
            (0..PAST_TICKS).for_each(|_| history.look(fleet));
            history.pieces.len()
        };
        assert_eq!(look(&mut history, &fleet), 0, "nothing changed");
        let late = row(0, 8000, 7);
        fleet.apply(id, RunId(1), &late, UnixMs(9000)).unwrap();
        fleet.past_came(id);
        assert_eq!(look(&mut history, &fleet), usize::from(PIECES));
    }
}
