//! A year of a hub and its agents in simulated time.

mod agent;
mod hub;
mod table;

use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use sysmon_clock::{ManualTime, Random};
use sysmon_config::time::parse_span;
use sysmon_store::store::Store;
use sysmon_wire::UnixMs;

use agent::Agent;
use hub::Hub;
use table::{Figure, Verdict, Week};

const MINUTE: Duration = Duration::from_mins(1);

/// Four weeks: every month ends with the same day of a week.
const MONTH_DAYS: u64 = 28;

/// The moment at which the year begins: a Monday.
const START: UnixMs = UnixMs(1_767_571_200_000);

const DAY_MINUTES: u64 = 24 * 60;

const CONTAINER_MINUTES: i64 = 45;

/// Hosts that stay a day only: about 400 a year.
const VISITS_PER_TEN_DAYS: u64 = 11;

/// Days from a visit until it is forgotten by command: its certificate has expired by then.
const FORGOTTEN_AFTER_DAYS: u64 = 6;

/// Three times a day: the hub remembers 64 runs of a host, and has so many before it is judged.
const REBOOT_MINUTES: u64 = 480;

/// Interval between two reviews while hosts may fall silent: the hub takes longer ones for an outage of its own.
const REVIEW: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, Args)]
pub struct YearOptions {
    /// Months of four weeks
    #[arg(long, value_name = "N", default_value_t = 13, value_parser = clap::value_parser!(u64).range(1..=130))]
    pub months: u64,
    /// Hosts that stay
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub hosts: u64,
    /// Containers that start in an hour, on the first host
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub containers: u64,
    /// Retention of hours; that of rows is a day, that of minutes a week
    #[arg(long, value_name = "SPAN", default_value = "60d", value_parser = parse_span)]
    pub hours: Duration,
    /// Minutes between two commits
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub commit: u64,
}

/// A host that came for a day.
struct Visit {
    day: u64,
    number: u64,
    agent: Option<Agent>,
    is_forgotten: bool,
}

impl Visit {
    fn name(&self) -> String {
        format!("visitor-{}", self.number)
    }
}

struct Year {
    options: YearOptions,
    time: ManualTime,
    random: Random,
    agents: Vec<Agent>,
    visits: Vec<Visit>,
    visitors: u64,
    things: u64,
    weeks: Vec<Week>,
    /// What limits left out so far, by their names.
    reached: Vec<(String, u64)>,
}

/// Lives through the months, and prints a line for each as it ends.
///
/// # Errors
/// Something of the hub fails, or a figure grows.
pub fn year(options: YearOptions) -> anyhow::Result<String> {
    let dir = tempfile::tempdir()?;
    let time = ManualTime::new(START);
    let mut hub = Hub::start(hub::state(dir.path()), &time, options.hours, 0)?;
    let mut year = Year {
        options,
        random: Random::system(),
        agents: Vec::new(),
        visits: Vec::new(),
        visitors: 0,
        things: 0,
        weeks: Vec::new(),
        reached: Vec::new(),
        time,
    };
    for number in 0..options.hosts {
        let identity = hub.join(&format!("host-{number}"))?;
        let agent = Agent::new(number, identity, &year.random, START);
        year.agents.push(agent);
    }
    for day in 0..options.months * MONTH_DAYS {
        year.day(&mut hub, day)?;
        if (day + 1).is_multiple_of(7) {
            hub = year.end_week(hub, day + 1)?;
        }
        if (day + 1).is_multiple_of(MONTH_DAYS)
            && let Some(week) = year.weeks.last()
        {
            if day + 1 == MONTH_DAYS {
                sysmon_config::print(&table::heading(week))?;
            }
            sysmon_config::print(&table::line((day + 1) / MONTH_DAYS, week))?;
        }
    }
    year.verdict()
}

impl Year {
    fn now(&self) -> UnixMs {
        self.time.clock().now()
    }

    fn day(&mut self, hub: &mut Hub, day: u64) -> anyhow::Result<()> {
        self.morning(hub, day)?;
        for minute in 0..DAY_MINUTES {
            self.happen(hub, day, minute)?;
            for at in 0..self.agents.len() + self.visits.len() {
                let is_asleep = at > 0 && at < self.agents.len() && is_night(minute);
                let now = self.now();
                let Some(agent) = self.agent(at) else {
                    continue;
                };
                if is_asleep {
                    agent.disconnect();
                    continue;
                }
                if !agent.is_connected() {
                    agent.connect(hub, now)?;
                }
                agent.sample(now);
                agent.send(hub, now)?;
            }
            self.pass_minute(hub, minute % 60 < 10);
            if (minute + 1).is_multiple_of(self.options.commit) {
                self.commit(hub)?;
            }
        }
        Ok(())
    }

    /// A host that stays, or one that visits.
    fn agent(&mut self, at: usize) -> Option<&mut Agent> {
        let count = self.agents.len();
        match at.checked_sub(count) {
            None => self.agents.get_mut(at),
            Some(at) => self.visits.get_mut(at)?.agent.as_mut(),
        }
    }

    fn pass_minute(&self, hub: &mut Hub, is_watched: bool) {
        let steps = match is_watched {
            true => MINUTE.as_secs() / REVIEW.as_secs(),
            false => 1,
        };
        for step in 1..=steps {
            self.time.advance(MINUTE / steps as u32);
            hub.review(step == steps);
        }
    }

    fn commit(&mut self, hub: &mut Hub) -> anyhow::Result<()> {
        hub.commit()?;
        for at in 0..self.agents.len() + self.visits.len() {
            if let Some(agent) = self.agent(at) {
                agent.confirm();
            }
        }
        Ok(())
    }

    /// What happens once a day: visitors come and are forgotten, certificates are renewed.
    fn morning(&mut self, hub: &mut Hub, day: u64) -> anyhow::Result<()> {
        let now = self.now();
        for visit in &mut self.visits {
            if visit.agent.take().is_some() && visit.number.is_multiple_of(8) {
                hub.revoke(&visit.name())?;
            }
        }
        // Every second one is forgotten by command, the others when nothing of them is left.
        for visit in &mut self.visits {
            let is_due = day >= visit.day + FORGOTTEN_AFTER_DAYS && !visit.is_forgotten;
            if is_due && visit.number.is_multiple_of(2) {
                hub.forget(&visit.name())?;
                visit.is_forgotten = true;
            }
        }
        self.visits
            .retain(|visit| day < visit.day + FORGOTTEN_AFTER_DAYS + 1);
        for _ in 0..(day + 1) * VISITS_PER_TEN_DAYS / 10 - day * VISITS_PER_TEN_DAYS / 10 {
            self.visitors += 1;
            let mut visit = Visit {
                day,
                number: self.visitors,
                agent: None,
                is_forgotten: false,
            };
            let identity = hub.join(&visit.name())?;
            visit.agent = Some(Agent::new(
                1_000 + self.visitors,
                identity,
                &self.random,
                now,
            ));
            self.visits.push(visit);
        }
        for agent in &mut self.agents {
            agent.identity = hub.renew(&agent.identity)?;
        }
        hub.make_token()?;
        hub.compact_register()
    }

    /// What happens in a minute.
    fn happen(&mut self, hub: &mut Hub, day: u64, minute: u64) -> anyhow::Result<()> {
        let now = self.now();
        let (in_hour, count) = (minute % 60, self.options.containers);
        let hosts = self.options.hosts;
        for _ in in_hour * count / 60..(in_hour + 1) * count / 60 {
            self.things += 1;
            if let Some(agent) = self.agents.first_mut() {
                agent.start_container(self.things, now, now + CONTAINER_MINUTES * 60_000);
            }
        }
        for (at, agent) in (0u64..).zip(&mut self.agents) {
            self.things += 1;
            match (minute + at * 7) % 360 {
                100 => agent.plug_in_interface(self.things, now + 2 * 3_600_000),
                200 => agent.mount(self.things, now + 2 * 3_600_000),
                _ => {}
            }
            if minute % REBOOT_MINUTES == 60 + at % 7 {
                agent.disconnect();
                *agent = agent.rebooted(&self.random, now);
            }
            if minute == 840 && day % 10 == at % 10 {
                agent.oom_kills += 1;
            }
        }
        // It fills in four weeks, and is emptied.
        if let Some(agent) = self.agents.first_mut() {
            agent.disk =
                400 + ((day % 28 * DAY_MINUTES + minute) * 590 / (28 * DAY_MINUTES)) as i64;
        }
        match minute {
            1_300 => hub.silence(&format!("host-{}", day % hosts)),
            600 => hub.acknowledge(),
            _ => Ok(()),
        }
    }

    /// Counts everything, and restarts the hub, which takes ten minutes.
    fn end_week(&mut self, hub: Hub, days: u64) -> anyhow::Result<Hub> {
        let [memory, descriptors, threads] = table::of_process();
        let (replaced, names) = hub.register()?;
        let [alerts, tokens, silences] = hub.entries()?;
        let keys = hub.core.fleet.known_keys() as u64;
        let lasting = hub.limits_reached();
        let agents = self.agents.iter().map(Agent::limits_reached).sum::<u64>();
        for (name, count) in lasting.into_iter().chain([("agents".to_owned(), agents)]) {
            match self.reached.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += count,
                None => self.reached.push((name, count)),
            }
        }
        for at in 0..self.agents.len() + self.visits.len() {
            if let Some(agent) = self.agent(at) {
                agent.disconnect();
            }
        }
        let path = hub.history.clone();
        let (state, number) = hub.stop()?;
        let tables = Store::check(&path)?;
        let reached = self.reached.iter().map(|(_, count)| *count).sum();
        let mut figures = vec![
            memory,
            Figure::new(
                "history KiB",
                std::fs::metadata(&path)?.len() >> 10,
                1 << 10,
            ),
            descriptors,
            threads,
            Figure::new("keys", keys, 50),
        ];
        figures.extend(
            tables
                .into_iter()
                .map(|table| Figure::new(&table.table, table.rows, 50)),
        );
        figures.extend([
            Figure::new("alerts", alerts, 20),
            Figure::new("tokens", tokens, 2),
            Figure::new("silences", silences, 2),
            Figure::new("renewals", replaced, 10),
            Figure {
                is_judged: false,
                ..Figure::new("names", names, 0)
            },
            Figure::new("limits reached", reached, 0),
        ]);
        self.weeks.push(Week { days, figures });
        for _ in 0..10 {
            self.time.advance(MINUTE);
            let now = self.now();
            self.agents.iter_mut().for_each(|agent| agent.sample(now));
        }
        Hub::start(state, &self.time, self.options.hours, number)
    }

    fn verdict(&self) -> anyhow::Result<String> {
        let reached = self.reached.iter().filter(|(_, count)| *count > 0);
        let reached: Vec<String> = reached
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let limits = match reached.is_empty() {
            true => "no limit reached".to_owned(),
            false => format!("limits reached: {}", reached.join(", ")),
        };
        let full = self.options.hours.as_secs() / (DAY_MINUTES * 60) + table::AFTER_DAYS;
        match table::judge(&self.weeks, full) {
            Verdict::Flat => Ok(format!(
                "flat after the longest retention, from day {full}; {limits}\n"
            )),
            Verdict::Unknown => {
                bail!(
                    "too short to say whether it is flat: choose more --months, so that three weeks follow day {full}"
                )
            }
            Verdict::Growing(lines) => Err(anyhow!("grows: {}; {limits}", lines.join(", "))),
        }
    }
}

fn is_night(minute: u64) -> bool {
    !(6 * 60..23 * 60).contains(&minute)
}
