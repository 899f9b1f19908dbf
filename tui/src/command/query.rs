//! `sysmon-tui query`.

use anyhow::anyhow;
use jiff::tz::TimeZone;
use sysmon_config::time::{format_span, parse_span};
use sysmon_config::{Failure, note};
use sysmon_screens::points::Table;
use sysmon_wire::message::{Group, Query};
use sysmon_wire::{Label, UnixMs};

use super::args::{Format, QueryArgs};
use super::target::Target;
use super::{Invocation, local};

const DEFAULT_RANGE_MS: i64 = 600_000;

/// Points of a query without `--step`, so that a table fits on about one screen.
const DEFAULT_POINTS_MAX: i64 = 60;

/// In `--by`: group by no attribute.
const ALL: &str = "all";

pub(crate) fn query(invocation: &Invocation, args: &QueryArgs) -> Result<(), Failure> {
    let query = parse(invocation, args)?;
    let step_ms = query.step_ms;
    let has_hub = invocation.args.hub.is_some() || invocation.config.tui.hub.is_some();
    let state = invocation.args.common.state.as_deref();
    if !has_hub
        && invocation.args.demo.is_none()
        && local::running_hub(state, &invocation.random).is_none()
    {
        return Err(Failure::Usage(anyhow!(
            "no hub to query, and none runs here that you may use; use --hub HOST:PORT, set [tui] hub in the configuration, or try --demo 8"
        )));
    }
    let target = Target::find(invocation)?;
    let series = target.ask(async |client| client.query(query).await)?;
    let stored_ms = series.first().map_or(step_ms, |points| points.step_ms);
    if stored_ms > step_ms {
        let step = format_span(stored_ms);
        let text = format!("data of this age is stored in steps of {step}; using that step");
        note("sysmon-tui", &text);
    }
    let table = Table::join(&args.metric, stored_ms, series);
    let text = match args.format {
        Format::Json => format!("{}\n", table.to_json()),
        Format::Csv => table.to_csv(),
        Format::Table => table.to_text(&TimeZone::system()),
    };
    Ok(sysmon_config::print(&text)?)
}

fn parse(invocation: &Invocation, args: &QueryArgs) -> Result<Query, Failure> {
    let (from, to) = range(invocation, args)?;
    let step_ms = match &args.step {
        Some(text) => span_ms(text)?.max(1),
        None => default_step_ms(to - from),
    };
    let by = args.by.iter().filter(|name| *name != ALL);
    let group = Group {
        by: by.map(|name| Label::new(name)).collect(),
        across: args.across,
    };
    Ok(Query {
        metric: Label::new(&args.metric),
        host: args.host.as_deref().map(Label::new),
        from,
        to,
        step_ms,
        aggregate: args.aggregate,
        group: (!args.by.is_empty()).then_some(group),
        top: args.top.unwrap_or(0),
    })
}

fn range(invocation: &Invocation, args: &QueryArgs) -> Result<(UnixMs, UnixMs), Failure> {
    let to = match &args.to {
        Some(text) => invocation.moment(text)?,
        None => invocation.clock.now(),
    };
    let from = match (&args.from, &args.since) {
        (Some(text), _) => invocation.moment(text)?,
        (None, Some(text)) => to - span_ms(text)?,
        (None, None) => to - DEFAULT_RANGE_MS,
    };
    if from >= to {
        return Err(Failure::Usage(anyhow!(
            "empty time range: --from has to be before --to"
        )));
    }
    Ok((from, to))
}

fn span_ms(text: &str) -> Result<i64, Failure> {
    let span = parse_span(text).map_err(|error| Failure::Usage(error.into()))?;
    Ok(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}

/// The shortest round step with at most [`DEFAULT_POINTS_MAX`] points.
fn default_step_ms(range_ms: i64) -> i64 {
    const SECONDS: [i64; 12] = [1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600, 86_400];
    let fits = |seconds: &&i64| range_ms / (**seconds * 1000) <= DEFAULT_POINTS_MAX;
    SECONDS.iter().find(fits).copied().unwrap_or(604_800) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_step_is_round_and_makes_at_most_sixty_points() {
        assert_eq!(default_step_ms(600_000), 10_000);
        assert_eq!(default_step_ms(1_000), 1_000);
        assert_eq!(default_step_ms(i64::MAX), 604_800_000);
    }
}
