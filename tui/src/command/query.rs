//! `sysmon-tui query`.

use anyhow::anyhow;
use clap::ValueEnum;
use jiff::tz::TimeZone;
use sysmon_client::Client;
use sysmon_config::time::{format_span, parse_span};
use sysmon_config::{Config, Failure, note};
use sysmon_screens::points::Table;
use sysmon_wire::message::{Aggregate, Group, Query};
use sysmon_wire::{Label, UnixMs};

use super::args::Args;
use super::snapshot::first_picture;
use super::target::{Target, answer, moment, now};

/// Lines of a table that people read; steps are made so long that there are no more.
const STEPS: i64 = 60;

/// Stands for no attribute to group by.
const ALL: &str = "all";

#[derive(Debug, clap::Args)]
pub(crate) struct QueryArgs {
    /// A metric: cpu, mem, load1, net.rx, net.tx, disk.read, disk.write, fs.worst, temp.max, …,
    /// or a full name such as system.memory.usage
    pub(crate) metric: String,
    /// Only this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Back from now [default: 10m]
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["from", "to"], allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// From this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// To this time [default: now]
    #[arg(
        long,
        value_name = "TIME",
        requires = "from",
        allow_hyphen_values = true
    )]
    pub(crate) to: Option<String>,
    /// Time one point stands for [default: such that there are about 60]
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    pub(crate) step: Option<String>,
    /// How the samples of a step become a point: mean, min, max, last, sum, rate, or a percentile such as
    /// p95
    #[arg(long, value_name = "HOW", value_parser = aggregate, default_value = "mean")]
    pub(crate) aggregate: Aggregate,
    /// Make one series of those that agree in these: host, or attributes such as network.interface.name; with
    /// `all`, of all
    #[arg(long, value_name = "ATTRIBUTES", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// How several series become one: mean, min, max, sum, or a percentile [with --by]
    #[arg(long, value_name = "HOW", value_parser = aggregate, default_value = "mean", requires = "by")]
    pub(crate) across: Aggregate,
    /// Only so many series, those that are highest on average
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<u16>,
    /// How it is printed
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Csv,
    Json,
}

/// How values become one, as people type it.
fn aggregate(text: &str) -> Result<Aggregate, String> {
    let percentile = || {
        let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
        let permille = (percent * 10.0).round();
        (0.0..=1000.0)
            .contains(&permille)
            .then_some(Aggregate::Quantile(permille as u16))
    };
    match text {
        "mean" => Ok(Aggregate::Mean),
        "min" => Ok(Aggregate::Min),
        "max" => Ok(Aggregate::Max),
        "last" => Ok(Aggregate::Last),
        "sum" => Ok(Aggregate::Sum),
        "rate" => Ok(Aggregate::Rate),
        _ => percentile().ok_or_else(|| {
            "it should be mean, min, max, last, sum, rate, or a percentile such as p95".to_owned()
        }),
    }
}

/// The query that the command line describes.
fn wanted_query(asked: &QueryArgs, from: UnixMs, to: UnixMs, step_ms: i64) -> Query {
    let metric = Label::new(&asked.metric);
    let host = asked.host.as_deref().map(Label::new);
    let aggregate = asked.aggregate;
    let by = asked.by.iter().filter(|name| *name != ALL);
    let group = Group {
        by: by.map(|name| Label::new(name)).collect(),
        across: asked.across,
    };
    Query {
        metric,
        host,
        from,
        to,
        step_ms,
        aggregate,
        group: (!asked.by.is_empty()).then_some(group),
        top: asked.top.unwrap_or(0),
    }
}

pub(crate) fn query(args: &Args, config: &Config, asked: &QueryArgs) -> Result<(), Failure> {
    let (from, to) = span(asked)?;
    let step_ms = match &asked.step {
        Some(text) => in_ms(text)?.max(1),
        None => step_for(to - from),
    };
    if args.hub.is_none() && config.tui.hub.is_none() && args.demo.is_none() {
        return Err(Failure::Usage(anyhow!(
            "which hub? Name it with --hub HOST:PORT or in the configuration, or try --demo 8"
        )));
    }
    let target = Target::find(args, config)?;
    let query = wanted_query(asked, from, to, step_ms);
    let parts = answer(&target, async |connector| {
        if target.inside.is_some() {
            let hosts = usize::from(args.demo.unwrap_or(0)) + 1;
            first_picture(connector, &target.hub, hosts, None).await?;
        }
        let client = Client::connect(connector, &target.hub).await?;
        client.query(query.clone()).await
    })?;
    let told_ms = parts.first().map_or(step_ms, |points| points.step_ms);
    if told_ms > step_ms {
        let steps = format_span(told_ms);
        note(
            "sysmon-tui",
            &format!("what is that old is kept in steps of {steps}"),
        );
    }
    let table = Table::join(&asked.metric, told_ms, parts);
    let text = match asked.format {
        Format::Json => format!("{}\n", table.to_json()),
        Format::Csv => table.to_csv(),
        Format::Table => table.to_text(&TimeZone::system()),
    };
    Ok(sysmon_config::print(&text)?)
}

fn span(asked: &QueryArgs) -> Result<(UnixMs, UnixMs), Failure> {
    let to = match &asked.to {
        Some(text) => moment(text)?,
        None => now(),
    };
    let from = match (&asked.from, &asked.since) {
        (Some(text), _) => moment(text)?,
        (None, Some(text)) => to - in_ms(text)?,
        (None, None) => to - 600_000,
    };
    if from >= to {
        return Err(Failure::Usage(anyhow!("the query ends before it begins")));
    }
    Ok((from, to))
}

fn in_ms(text: &str) -> Result<i64, Failure> {
    let span = parse_span(text).map_err(|error| Failure::Usage(error.into()))?;
    Ok(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// A round step that makes about [`STEPS`] points of a span.
fn step_for(span_ms: i64) -> i64 {
    const SECONDS: [i64; 12] = [1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600, 86_400];
    let fits = |seconds: &&i64| span_ms / (**seconds * 1000) <= STEPS;
    SECONDS.iter().find(fits).copied().unwrap_or(604_800) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_typed_as_people_do() {
        assert_eq!(aggregate("p95"), Ok(Aggregate::Quantile(950)));
        assert_eq!(aggregate("p99.9"), Ok(Aggregate::Quantile(999)));
        assert_eq!(aggregate("rate"), Ok(Aggregate::Rate));
        for wrong in ["p101", "p-1", "pNaN", "avg", "p"] {
            assert!(aggregate(wrong).is_err(), "{wrong}");
        }
    }
}
