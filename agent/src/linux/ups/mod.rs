//! Uninterruptible power supplies, of which NUT and apcupsd tell over TCP.

mod apcupsd;
mod nut;
mod server;

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use sysmon_clock::Clock;
use sysmon_config::{UpsProgram, UpsSource};
use sysmon_wire::metrics::{
    Metric, UPS_CHARGE, UPS_INPUT_VOLTAGE, UPS_LOAD, UPS_LOW_BATTERY, UPS_ON_BATTERY,
    UPS_REACHABLE, UPS_REPLACE_BATTERY, UPS_RUNTIME,
};
use sysmon_wire::{Label, SeriesKey};

use super::background::{Background, Reading};
use server::Server;

const PERIOD: Duration = Duration::from_secs(10);

/// UPSes of all servers together.
const UPSES_MAX: usize = 16;

/// A longer runtime is a mistake of the UPS.
const RUNTIME_MAX_S: f64 = 10.0 * 365.0 * 86_400.0;

/// What is known of one UPS now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    on_battery: Option<bool>,
    low_battery: Option<bool>,
    replace_battery: Option<bool>,
    charge_permille: Option<i64>,
    load_permille: Option<i64>,
    runtime_s: Option<i64>,
    /// In tenths of a volt.
    input_decivolts: Option<i64>,
}

impl State {
    fn set_charge(&mut self, percent: Option<f64>) {
        self.charge_permille = percent.and_then(|value| scaled(value, 10.0, 1_000.0));
    }

    /// A UPS that is overloaded has a load beyond 100 %.
    fn set_load(&mut self, percent: Option<f64>) {
        self.load_permille = percent.and_then(|value| scaled(value, 10.0, 10_000.0));
    }

    fn set_runtime(&mut self, seconds: Option<f64>) {
        self.runtime_s = seconds.and_then(|value| scaled(value, 1.0, RUNTIME_MAX_S));
    }

    fn set_input(&mut self, volts: Option<f64>) {
        self.input_decivolts = volts.and_then(|value| scaled(value, 10.0, 1e7));
    }

    fn values(&self) -> [(Metric, Option<i64>); 7] {
        [
            (UPS_ON_BATTERY, self.on_battery.map(i64::from)),
            (UPS_LOW_BATTERY, self.low_battery.map(i64::from)),
            (UPS_REPLACE_BATTERY, self.replace_battery.map(i64::from)),
            (UPS_CHARGE, self.charge_permille),
            (UPS_LOAD, self.load_permille),
            (UPS_RUNTIME, self.runtime_s),
            (UPS_INPUT_VOLTAGE, self.input_decivolts),
        ]
    }
}

/// A number of a text in a stored unit. What no UPS can have is no value.
fn scaled(value: f64, factor: f64, max: f64) -> Option<i64> {
    let value = (value * factor).round();
    (0.0..=max).contains(&value).then_some(value as i64)
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// One UPS in the answer of a server: its state, or why that is unknown.
#[derive(Debug, PartialEq, Eq)]
struct Ups {
    name: String,
    state: Result<State, String>,
}

/// What a server answered, or why it did not.
type Answer = Result<Vec<Ups>, String>;

/// Asks for the UPSes of the configuration, on a thread of its own.
pub(super) fn supplies(sources: &[UpsSource], clock: &Clock) -> Option<Background> {
    if sources.is_empty() {
        return None;
    }
    let (mut supplies, clock) = (Supplies::new(sources), clock.clone());
    Some(Background::start("ups", PERIOD, move || {
        let answers = supplies.ask(&clock);
        Some(supplies.reading(answers))
    }))
}

/// The configured servers, and which UPSes each had when it answered last.
#[derive(Debug)]
struct Supplies {
    sources: Vec<(UpsSource, Vec<String>)>,
}

impl Supplies {
    fn new(sources: &[UpsSource]) -> Self {
        let known = |source: &UpsSource| (source.clone(), source.name.iter().cloned().collect());
        Self {
            sources: sources.iter().map(known).collect(),
        }
    }

    /// Asks all servers at once, so that one that does not answer delays no other.
    fn ask(&self, clock: &Clock) -> Vec<Answer> {
        thread::scope(|scope| {
            let started: Vec<_> = self
                .sources
                .iter()
                .map(|(source, _)| {
                    let asking = thread::Builder::new().name("ups".to_owned());
                    asking.spawn_scoped(scope, || ask(source, clock))
                })
                .collect();
            let answer = |asking: std::io::Result<thread::ScopedJoinHandle<'_, Answer>>| {
                let asking = asking.map_err(|error| format!("cannot start a thread: {error}"))?;
                let failed = |_| Err("its answer cannot be read".to_owned());
                asking.join().unwrap_or_else(failed)
            };
            started.into_iter().map(answer).collect()
        })
    }

    /// The values of these answers, one for each server. Pure.
    fn reading(&mut self, answers: Vec<Answer>) -> Reading {
        let mut reading = Reading::default();
        let mut supplies = Vec::new();
        for ((source, known), answer) in self.sources.iter_mut().zip(answers) {
            match answer {
                Ok(upses) => {
                    *known = upses.iter().map(|ups| ups.name.clone()).collect();
                    for Ups { name, state } in upses {
                        if let Err(reason) = &state {
                            let server = source.server();
                            reading
                                .notes
                                .push(format!("UPS {name} of {server}: {reason}"));
                        }
                        supplies.push((source.server(), name, state.ok()));
                    }
                }
                Err(reason) => {
                    reading
                        .notes
                        .push(format!("cannot ask {source} about its UPS: {reason}"));
                    if known.is_empty() {
                        supplies.push((source.server(), source.server(), None));
                    }
                    let gone = known.iter();
                    supplies.extend(gone.map(|name| (source.server(), name.clone(), None)));
                }
            }
        }
        let left_out = supplies.len().saturating_sub(UPSES_MAX);
        if left_out > 0 {
            reading.left_out += left_out;
            reading.notes.push(format!(
                "{left_out} UPSes left out, because the agent has at most {UPSES_MAX}: name those that you need in [agent] ups"
            ));
            supplies.truncate(UPSES_MAX);
        }
        for (name, state) in unique(&supplies) {
            reading.values.extend(values(&name, state));
        }
        reading
    }
}

/// UPSes of the same name on several servers have names as NUT writes them: `rack@nas:3493`.
fn unique(supplies: &[(String, String, Option<State>)]) -> Vec<(String, Option<&State>)> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (_, name, _) in supplies {
        *times.entry(name).or_default() += 1;
    }
    let name = |(server, name, _): &'_ (String, String, Option<State>)| {
        let is_only = times.get(name.as_str()) == Some(&1);
        match is_only {
            true => name.clone(),
            false => format!("{name}@{server}"),
        }
    };
    let with_state = |supply| (name(supply), supply.2.as_ref());
    supplies.iter().map(with_state).collect()
}

/// Without a state only that the UPS is unreachable.
fn values(name: &str, state: Option<&State>) -> Vec<(SeriesKey, i64)> {
    let label = Label::new(name);
    let series = |metric: Metric| metric.series(&[("hw.name", label.as_str())]);
    let mut values = vec![(series(UPS_REACHABLE), i64::from(state.is_some()))];
    if let Some(state) = state {
        let known = state.values().into_iter();
        values.extend(known.filter_map(|(metric, value)| Some((series(metric), value?))));
    }
    values
}

fn ask(source: &UpsSource, clock: &Clock) -> Answer {
    let mut server = Server::connect(&source.host, source.port, clock)?;
    match source.program {
        UpsProgram::Nut => nut::ask(&mut server, source.name.as_deref()),
        UpsProgram::Apcupsd => apcupsd::ask(&mut server, &source.server()),
    }
}

#[cfg(test)]
mod tests;
