//! From rows to alerts. Pure: time comes in with the rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysmon_series::rate;
use sysmon_wire::message::{AlertLine, Severity};
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, Kind, Label, SeriesKey, UnixMs};

use super::rule::{Condition, Rule};
use crate::fleet::HostId;

/// Series of one host that rules look at.
const WATCHED_MAX: usize = 512;

/// An alert that goes off and on again within this is told as one that flaps: only once more.
const FLAP_WINDOW: Duration = Duration::from_secs(600);

/// Times it goes off within the window before it is told no more until it is quiet.
const FLAPS_MAX: u32 = 3;

/// What becomes of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert.
    pub alert: Alert,
    /// Whether it fires now, or is over.
    pub firing: bool,
    /// Whether nobody needs to be told, because it does so all the time.
    pub quiet: bool,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The host.
    pub host: String,
    /// Which of the host's series: the values of its attributes, or nothing.
    pub what: String,
    /// When it became bad.
    pub since: UnixMs,
    /// The value then; none for a host that is silent.
    pub value: Option<f64>,
    /// What it says, for people.
    pub summary: String,
}

/// Whether something that is watched is bad.
#[derive(Clone, Debug, Default)]
struct State {
    /// Since when it has been bad without a break.
    bad_since: Option<UnixMs>,
    /// The alert, while it fires.
    firing: Option<Alert>,
    /// When it fired, lately.
    fired: Vec<UnixMs>,
}

/// A series that a rule looks at.
#[derive(Debug)]
struct Watched {
    rule: usize,
    series: u32,
    key: Arc<SeriesKey>,
    state: State,
}

#[derive(Debug, Default)]
struct Host {
    /// How many of the host's series were looked at for rules.
    known_series: usize,
    watched: Vec<Watched>,
    /// By rule.
    silent: BTreeMap<usize, State>,
    before: Option<(UnixMs, Vec<i64>)>,
}

/// All rules, and what they found.
#[derive(Debug)]
pub struct Engine {
    rules: Vec<Rule>,
    hosts: HashMap<HostId, Host>,
    /// Alerts that fired before a restart: they are not told again.
    restored: Vec<Alert>,
}

/// What the engine is told of a host.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The host.
    pub id: HostId,
    /// Its name.
    pub name: &'a Label,
    /// Words it is filed under.
    pub tags: &'a [Label],
    /// Its series.
    pub keys: &'a [Arc<SeriesKey>],
    /// When the row was taken.
    pub time: UnixMs,
    /// Its values.
    pub values: &'a [i64],
}

impl Engine {
    /// An engine with these rules; `firing` are alerts that were told of before.
    pub fn new(rules: Vec<Rule>, firing: Vec<Alert>) -> Self {
        Self {
            rules,
            hosts: HashMap::new(),
            restored: firing,
        }
    }

    /// Takes other rules; what is over by that.
    ///
    /// What a rule that stays has found goes on as it is. An alert of a rule that was changed is looked at
    /// anew, as after a restart: it is not told again if it is still bad. One of a rule that is gone is over.
    pub fn replace(&mut self, rules: Vec<Rule>) -> Vec<Transition> {
        let stays = |rule: &Rule| rules.iter().position(|new| new == rule);
        let places: Vec<Option<usize>> = self.rules.iter().map(stays).collect();
        let place = |rule: usize| places.get(rule).copied().flatten();
        for host in self.hosts.values_mut() {
            let mut left = Vec::new();
            for mut watched in std::mem::take(&mut host.watched) {
                match place(watched.rule) {
                    Some(at) => {
                        watched.rule = at;
                        host.watched.push(watched);
                    }
                    None => left.push(watched.state),
                }
            }
            for (rule, state) in std::mem::take(&mut host.silent) {
                match place(rule) {
                    Some(at) => {
                        host.silent.insert(at, state);
                    }
                    None => left.push(state),
                }
            }
            // New rules look at all series.
            host.known_series = 0;
            self.restored
                .extend(left.into_iter().filter_map(|state| state.firing));
        }
        let is_gone = |alert: &mut Alert| rules.iter().all(|rule| rule.name != alert.rule);
        let mut over: Vec<_> = self.restored.extract_if(.., is_gone).collect();
        over.sort_by(|a, b| (&a.host, &a.rule, &a.what).cmp(&(&b.host, &b.rule, &b.what)));
        self.rules = rules;
        let end = |alert| Transition {
            alert,
            firing: false,
            quiet: false,
        };
        over.into_iter().map(end).collect()
    }

    /// Looks at a row. Rows of one host come in the order of their times.
    pub fn observe(&mut self, row: Observed<'_>) -> Vec<Transition> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let host = self.hosts.entry(row.id).or_default();
        host.learn(&self.rules, &row);
        let mut transitions = Vec::new();
        for watched in &mut host.watched {
            let Some(rule) = self.rules.get(watched.rule) else {
                continue;
            };
            let Some(value) = value(watched, host.before.as_ref(), &row) else {
                continue;
            };
            let Condition::Threshold {
                above,
                threshold,
                clear,
                ..
            } = rule.condition
            else {
                continue;
            };
            let is_beyond = |limit: f64| if above { value > limit } else { value < limit };
            // Between the two it stays what it is.
            let limit = if watched.state.firing.is_some() {
                clear
            } else {
                threshold
            };
            let alert = || alert(rule, row.name, &watched.key, value);
            transitions.extend(step(
                &mut watched.state,
                rule,
                is_beyond(limit),
                row.time,
                alert,
                &mut self.restored,
            ));
        }
        let (time, values) = host.before.get_or_insert_default();
        *time = row.time;
        values.clear();
        values.extend_from_slice(row.values);
        transitions
    }

    /// Looks at how long a host has been silent: at `now`, for `silence`.
    pub fn look_at_silence(
        &mut self,
        id: HostId,
        name: &Label,
        tags: &[Label],
        silence: Duration,
        now: UnixMs,
    ) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let host = self.hosts.entry(id).or_default();
        for (at, rule) in self.rules.iter().enumerate() {
            if rule.condition != Condition::Silent
                || !rule
                    .hosts
                    .include(name.as_str(), tags.iter().map(Label::as_str))
            {
                continue;
            }
            let state = host.silent.entry(at).or_default();
            let is_bad = silence >= rule.hold;
            let since = now - i64::try_from(silence.as_millis()).unwrap_or(0);
            let alert = || Alert {
                rule: rule.name.clone(),
                severity: rule.severity,
                host: name.to_string(),
                what: String::new(),
                since,
                value: None,
                summary: format!("{name} says nothing any more"),
            };
            // The silence is the time it has been bad already.
            let immediate = Rule {
                hold: Duration::ZERO,
                ..rule.clone()
            };
            transitions.extend(step(
                state,
                &immediate,
                is_bad,
                now,
                alert,
                &mut self.restored,
            ));
        }
        transitions
    }

    /// Every alert that fires.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        let states = self.hosts.values().flat_map(|host| {
            let watched = host.watched.iter().map(|watched| &watched.state);
            watched.chain(host.silent.values())
        });
        states
            .filter_map(|state| state.firing.as_ref())
            .chain(&self.restored)
    }

    /// The alerts of a host, worst first.
    pub fn of_host(&self, id: HostId) -> Vec<AlertLine> {
        let Some(host) = self.hosts.get(&id) else {
            return Vec::new();
        };
        let states = host
            .watched
            .iter()
            .map(|watched| &watched.state)
            .chain(host.silent.values());
        let mut lines: Vec<_> = states
            .filter_map(|state| state.firing.as_ref())
            .map(|alert| AlertLine {
                rule: Label::new(&alert.rule),
                severity: alert.severity,
                since: alert.since,
                summary: Label::new(&alert.summary),
            })
            .collect();
        lines.sort_by_key(|line| (std::cmp::Reverse(line.severity), line.since));
        lines
    }
}

impl Host {
    /// Finds which of the host's new series a rule looks at.
    fn learn(&mut self, rules: &[Rule], row: &Observed<'_>) {
        let new = row.keys.get(self.known_series..).unwrap_or_default();
        for (at, key) in new.iter().enumerate() {
            let series = (self.known_series + at) as u32;
            for (number, rule) in rules.iter().enumerate() {
                let Condition::Threshold { metric, .. } = &rule.condition else {
                    continue;
                };
                let is_for_host = || {
                    rule.hosts
                        .include(row.name.as_str(), row.tags.iter().map(Label::as_str))
                };
                let is_watched =
                    |watched: &Watched| watched.rule == number && watched.series == series;
                if self.watched.len() < WATCHED_MAX
                    && metric.matches(key)
                    && is_for_host()
                    && !self.watched.iter().any(is_watched)
                {
                    self.watched.push(Watched {
                        rule: number,
                        series,
                        key: Arc::clone(key),
                        state: State::default(),
                    });
                }
            }
        }
        self.known_series = row.keys.len().max(self.known_series);
    }
}

/// The value of a series in its real unit: a level, or a rate a second.
fn value(
    watched: &Watched,
    before: Option<&(UnixMs, Vec<i64>)>,
    row: &Observed<'_>,
) -> Option<f64> {
    let raw = *row.values.get(watched.series as usize)?;
    if raw == ABSENT {
        return None;
    }
    let metric = &watched.key.metric;
    match metric.kind {
        Kind::Gauge => Some(unscale(raw, metric.scale)),
        Kind::Counter => {
            let (time, values) = before?;
            let old = *values.get(watched.series as usize)?;
            let rate = rate((time.0, old), (row.time.0, raw))?;
            Some(rate * 10f64.powi(i32::from(metric.scale)))
        }
    }
}

/// What becomes of one thing that is watched.
fn step(
    state: &mut State,
    rule: &Rule,
    is_bad: bool,
    now: UnixMs,
    alert: impl FnOnce() -> Alert,
    restored: &mut Vec<Alert>,
) -> Option<Transition> {
    if !is_bad {
        state.bad_since = None;
        // What fired before a restart, and is good now, is over.
        let was = state.firing.take().or_else(|| {
            if restored.is_empty() {
                return None;
            }
            let like = alert();
            take_like(restored, &like)
        })?;
        let quiet = is_flapping(&state.fired, now);
        return Some(Transition {
            alert: was,
            firing: false,
            quiet,
        });
    }
    let since = *state.bad_since.get_or_insert(now);
    let hold = i64::try_from(rule.hold.as_millis()).unwrap_or(i64::MAX);
    if state.firing.is_some() || now - since < hold {
        return None;
    }
    let mut alert = alert();
    if rule.condition != Condition::Silent {
        alert.since = since;
    }
    if let Some(told) = take_like(restored, &alert) {
        state.firing = Some(told);
        return None;
    }
    let window = i64::try_from(FLAP_WINDOW.as_millis()).unwrap_or(i64::MAX);
    state.fired.retain(|fired| now - *fired < window);
    let quiet = is_flapping(&state.fired, now);
    state.fired.push(now);
    state.firing = Some(alert.clone());
    Some(Transition {
        alert,
        firing: true,
        quiet,
    })
}

fn is_flapping(fired: &[UnixMs], now: UnixMs) -> bool {
    let window = i64::try_from(FLAP_WINDOW.as_millis()).unwrap_or(i64::MAX);
    let lately = fired.iter().filter(|fired| now - **fired < window).count();
    lately >= FLAPS_MAX as usize
}

fn take_like(restored: &mut Vec<Alert>, like: &Alert) -> Option<Alert> {
    let is_same = |alert: &Alert| {
        alert.rule == like.rule && alert.host == like.host && alert.what == like.what
    };
    let at = restored.iter().position(is_same)?;
    Some(restored.swap_remove(at))
}

fn alert(rule: &Rule, host: &Label, key: &SeriesKey, value: f64) -> Alert {
    let what: Vec<_> = key
        .attributes
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    let what = what.join(" ");
    let of = if what.is_empty() {
        String::new()
    } else {
        format!(" of {what}")
    };
    let (metric, shown) = (&key.metric.name, human(key, value));
    let limit = match &rule.condition {
        Condition::Threshold {
            above, threshold, ..
        } => {
            let side = if *above { "over" } else { "under" };
            format!("{side} {}", human(key, *threshold))
        }
        Condition::Silent => String::new(),
    };
    Alert {
        rule: rule.name.clone(),
        severity: rule.severity,
        host: host.to_string(),
        what,
        since: UnixMs(0),
        value: Some(value),
        summary: format!("{metric}{of} is {shown}, {limit}"),
    }
}

/// A value with its unit.
fn human(key: &SeriesKey, value: f64) -> String {
    match key.metric.unit.as_str() {
        "1" if key.metric.scale == -3 => format!("{:.1} %", value * 100.0),
        // Seconds of stalling a second are a share.
        "s" if key.metric.kind == Kind::Counter => format!("{:.1} % of the time", value * 100.0),
        "Cel" => format!("{value:.1} °C"),
        "1" => format!("{value}"),
        unit => format!("{value} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, FS_UTILIZATION, PRESSURE_TIME};

    fn engine(rules: &[&str]) -> Engine {
        Engine::new(
            rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            Vec::new(),
        )
    }

    fn keys() -> Vec<Arc<SeriesKey>> {
        let mount = |mount| FS_UTILIZATION.series(&[("system.filesystem.mountpoint", mount)]);
        let stalls = PRESSURE_TIME.series(&[
            ("linux.pressure.resource", "memory"),
            ("linux.pressure.scope", "some"),
        ]);
        [
            CPU_UTILIZATION.series(&[]),
            mount("/"),
            mount("/home"),
            stalls,
        ]
        .map(Arc::new)
        .to_vec()
    }

    fn row(engine: &mut Engine, second: i64, values: [i64; 4]) -> Vec<Transition> {
        let (name, keys) = (Label::new("db-1"), keys());
        engine.observe(Observed {
            id: HostId(0),
            name: &name,
            tags: &[],
            keys: &keys,
            time: UnixMs(second * 1000),
            values: &values,
        })
    }

    #[test]
    fn an_alert_fires_after_its_time_once_and_clears_below_its_other_limit() {
        let mut engine = engine(&["busy: cpu > 90% for 10s clear 80% critical"]);
        for second in 0..10 {
            assert!(row(&mut engine, second, [950, 0, 0, 0]).is_empty());
        }
        let fired = row(&mut engine, 10, [960, 0, 0, 0]);
        assert_eq!(fired.len(), 1);
        assert!(fired[0].firing && !fired[0].quiet);
        let alert = &fired[0].alert;
        assert_eq!(
            (alert.since, alert.severity),
            (UnixMs(0), Severity::Critical)
        );
        assert_eq!(
            alert.summary,
            "system.cpu.utilization is 96.0 %, over 90.0 %"
        );
        assert!(row(&mut engine, 11, [990, 0, 0, 0]).is_empty(), "told once");
        assert!(
            row(&mut engine, 12, [850, 0, 0, 0]).is_empty(),
            "between the limits nothing changes"
        );
        let over = row(&mut engine, 13, [790, 0, 0, 0]);
        assert!(!over[0].firing && engine.firing().next().is_none());
        // A moment's dip begins the time anew.
        row(&mut engine, 14, [950, 0, 0, 0]);
        row(&mut engine, 20, [100, 0, 0, 0]);
        assert!(row(&mut engine, 25, [950, 0, 0, 0]).is_empty());
    }

    #[test]
    fn each_series_is_judged_by_itself_and_counters_by_their_rate() {
        let mut engine = engine(&[
            "full: system.filesystem.utilization > 90%",
            "stalls: psi.mem > 20%",
        ]);
        let fired = row(&mut engine, 1, [0, 950, 100, 0]);
        assert_eq!(fired.len(), 1);
        assert_eq!(fired[0].alert.what, "/");
        assert!(row(&mut engine, 2, [0, 950, 100, 100_000]).is_empty());
        let fired = row(&mut engine, 3, [0, 950, 100, 600_000]);
        assert_eq!(fired[0].alert.rule, "stalls");
        assert!(
            fired[0].alert.summary.contains("50.0 % of the time"),
            "{}",
            fired[0].alert.summary
        );
        assert_eq!(engine.of_host(HostId(0)).len(), 2);
        assert!(
            row(&mut engine, 4, [0, ABSENT, 100, ABSENT]).is_empty(),
            "no value is no news"
        );
    }

    #[test]
    fn a_silent_host_is_told_once_and_again_when_it_speaks() {
        let mut engine = engine(&["silent: silent for 60s on db-* critical"]);
        let name = Label::new("db-1");
        let mut look = |seconds: u64| {
            let now = UnixMs(1_000_000 + seconds as i64 * 1000);
            engine.look_at_silence(HostId(0), &name, &[], Duration::from_secs(seconds), now)
        };
        assert!(look(59).is_empty());
        let fired = look(60);
        assert_eq!(fired[0].alert.since, UnixMs(1_000_000));
        assert!(look(61).is_empty());
        assert!(!look(0)[0].firing);
    }

    #[test]
    fn what_fired_before_a_restart_is_not_told_again_but_its_end_is() {
        let rules = ["busy: cpu > 90%"];
        let mut before = engine(&rules);
        row(&mut before, 1, [950, 0, 0, 0]);
        let kept: Vec<Alert> = before.firing().cloned().collect();
        let rules = || rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let mut after = Engine::new(rules(), kept.clone());
        assert_eq!(after.firing().count(), 1);
        assert!(row(&mut after, 5, [960, 0, 0, 0]).is_empty());
        assert!(!row(&mut after, 6, [0, 0, 0, 0])[0].firing);
        let mut after = Engine::new(rules(), kept);
        assert!(
            !row(&mut after, 5, [0, 0, 0, 0])[0].firing,
            "over while the hub was away"
        );
    }

    #[test]
    fn what_flaps_is_told_a_few_times_and_then_kept_quiet() {
        let mut engine = engine(&["busy: cpu > 90%"]);
        let mut told = 0;
        for second in 0..200 {
            let cpu = if second % 2 == 0 { 950 } else { 0 };
            let transitions = row(&mut engine, second, [cpu, 0, 0, 0]);
            told += transitions.iter().filter(|t| t.firing && !t.quiet).count();
        }
        assert_eq!(told, 3);
        let later = row(&mut engine, 2000, [950, 0, 0, 0]);
        assert!(!later[0].quiet, "after a quiet time it is news again");
    }

    #[test]
    fn other_rules_leave_what_stays_as_it_is_and_end_what_is_gone() {
        let busy = "busy: cpu > 90% for 5s";
        let mut engine = engine(&[
            busy,
            "full: system.filesystem.utilization > 95%",
            "stalls: psi.mem > 20%",
        ]);
        for second in 0..=5 {
            row(&mut engine, second, [950, 990, 0, second * 500_000]);
        }
        assert_eq!(engine.firing().count(), 3);
        let rules = [
            "full: system.filesystem.utilization > 90%",
            busy,
            "half: cpu > 50%",
        ];
        let over = engine.replace(rules.map(|rule| rule.parse().unwrap()).to_vec());
        assert_eq!(over.len(), 1);
        assert!(!over[0].firing && over[0].alert.rule == "stalls");
        let told = row(&mut engine, 6, [950, 990, 0, 3_500_000]);
        let told: Vec<_> = told
            .iter()
            .map(|t| (t.alert.rule.as_str(), t.firing))
            .collect();
        assert_eq!(told, [("half", true)], "what was told is not told again");
        let mut firing: Vec<_> = engine
            .firing()
            .map(|alert| (alert.rule.as_str(), alert.since))
            .collect();
        firing.sort();
        assert_eq!(
            firing,
            [
                ("busy", UnixMs(0)),
                ("full", UnixMs(0)),
                ("half", UnixMs(6000))
            ]
        );
        assert_eq!(engine.replace(Vec::new()).len(), 3);
        assert_eq!(engine.firing().count(), 0);
    }

    proptest! {
        #[test]
        fn firing_and_clearing_alternate_and_replaying_tells_the_same(
            values in proptest::collection::vec((1i64..20, -10i64..1200), 0..200),
        ) {
            let play = || {
                let mut engine = engine(&["busy: cpu > 90% for 5s clear 70%"]);
                let (mut second, mut told) = (0, Vec::new());
                for &(step, cpu) in &values {
                    second += step;
                    told.extend(row(&mut engine, second, [cpu, 0, 0, 0]));
                }
                told
            };
            let told = play();
            for (at, transition) in told.iter().enumerate() {
                prop_assert_eq!(transition.firing, at % 2 == 0);
            }
            prop_assert_eq!(told, play());
        }
    }
}
