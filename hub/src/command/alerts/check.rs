//! Replays a rule over what the running hub has recorded.

use std::time::Duration;

use anyhow::anyhow;
use sysmon_alerts::baseline::WEEKS_MIN;
use sysmon_alerts::replay::{self, Episode, RecordedHost};
use sysmon_alerts::rule::{Rule, parse_all};
use sysmon_client::{Client, ClientError};
use sysmon_config::time::{format_local, format_span};
use sysmon_config::{Failure, suggest};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{Points, Query};

use super::super::options::{alert_options, known_hosts};
use super::super::{Context, counted, span_ms};

const ANSWER_MAX: Duration = Duration::from_secs(120);

const EPISODES_MAX: usize = 50;

pub(super) fn check(
    context: &Context,
    wanted: &str,
    since: Duration,
    host: Option<&str>,
) -> Result<String, Failure> {
    let rule = find_rule(context, wanted)?;
    if !replay::is_replayable(&rule) {
        return Err(Failure::Usage(anyhow!(
            "rule {:?} cannot be replayed: clock offsets are not recorded",
            rule.name
        )));
    }
    let (span_ms, now) = (span_ms(since), context.clock.now());
    let hosts = context.ask(ANSWER_MAX, async |client: &Client| {
        recorded(client, &rule, host, now - span_ms, now).await
    })?;
    let replayed = hosts.iter().flat_map(|host| replay::replay(&rule, host));
    let mut episodes: Vec<Episode> = replayed.collect();
    episodes.sort_by_key(|episode| episode.fired);
    let mut text = format!("{rule}\n{}", recorded_text(&hosts, span_ms));
    let without = hosts
        .iter()
        .filter(|host| replay::lacks_baseline(&rule, host));
    let count = without.count();
    if count > 0 {
        text += &format!(
            "no baseline for {count} of them: fewer than {WEEKS_MIN} earlier weeks are recorded\n"
        );
    }
    Ok(text + &describe(&episodes, now))
}

/// Of how many hosts and of which time there is anything to replay.
fn recorded_text(hosts: &[RecordedHost], span_ms: i64) -> String {
    let spans: Vec<_> = hosts.iter().map(replay::recorded_span).collect();
    let known = spans.iter().flatten();
    let begin = known.clone().map(|(begin, _)| *begin).min();
    let end = known.clone().map(|(_, end)| *end).max();
    let (Some(begin), Some(end)) = (begin, end) else {
        let checked = counted(hosts.len(), "host");
        return format!(
            "nothing is recorded for it of {checked} in the last {}\n",
            format_span(span_ms)
        );
    };
    let checked = counted(known.count(), "host");
    let mut text = format!(
        "replayed for {checked} over the {} from {} to {}, {} per value\n",
        format_span(end - begin),
        format_local(begin.0),
        format_local(end.0),
        format_span(replay::step_ms(span_ms))
    );
    if end - begin < span_ms - 2 * replay::step_ms(span_ms) {
        text += &format!(
            "nothing else is recorded of the last {}\n",
            format_span(span_ms)
        );
    }
    let without = spans.iter().filter(|span| span.is_none()).count();
    if without > 0 {
        text += &format!(
            "nothing is recorded for it of {}\n",
            counted(without, "other host")
        );
    }
    text
}

/// A rule by its name, or one that is written out.
fn find_rule(context: &Context, wanted: &str) -> Result<Rule, Failure> {
    if wanted.contains(':') {
        let rules = parse_all(&[wanted.to_owned()], &known_hosts(context));
        let mut rules = rules.map_err(|(_, error)| Failure::Usage(error.into()))?;
        return rules.pop().ok_or_else(|| anyhow!("no rule").into());
    }
    let rules = alert_options(context, &context.config)?.rules;
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let found = rules.into_iter().find(|rule| rule.name == wanted);
    found.ok_or_else(|| {
        let hint = suggest(wanted, names.iter().map(String::as_str));
        Failure::Usage(anyhow!("there is no rule {wanted:?}{hint}"))
    })
}

/// What the hub has recorded for a rule, of all hosts that it applies to or of one.
async fn recorded(
    client: &Client,
    rule: &Rule,
    host: Option<&str>,
    from: UnixMs,
    to: UnixMs,
) -> Result<Vec<RecordedHost>, ClientError> {
    let mut recorded = Vec::new();
    for (line, _) in client.fleet(None).await?.hosts {
        let is_other = host.is_some_and(|host| line.name != host);
        if is_other || !rule.hosts.include(line.name.as_str(), &line.facts.tags) {
            continue;
        }
        let queries = replay::queries(rule, &line.name, from, to);
        recorded.push(RecordedHost {
            series: series(client, queries.series).await?,
            before: series(client, queries.before).await?,
            until: to,
            host: line.name,
            tags: line.facts.tags,
        });
    }
    Ok(recorded)
}

async fn series(client: &Client, queries: Vec<Query>) -> Result<Vec<Points>, ClientError> {
    let mut series = Vec::new();
    for query in queries {
        series.extend(client.query(query).await?);
    }
    Ok(series)
}

fn describe(episodes: &[Episode], now: UnixMs) -> String {
    if episodes.is_empty() {
        return "it would not have fired\n".to_owned();
    }
    let duration = |episode: &Episode| episode.resolved.unwrap_or(now) - episode.fired;
    let total: i64 = episodes.iter().map(duration).sum();
    let times = match episodes.len() {
        1 => "once".to_owned(),
        many => format!("{many} times"),
    };
    let mut text = format!(
        "it would have fired {times}, for {} in total\n",
        format_span(total)
    );
    for episode in episodes.iter().take(EPISODES_MAX) {
        let state = match episode.resolved {
            Some(_) => "",
            None => " (still firing)",
        };
        text += &format!(
            "  {}  {:<9}  {}  {}{state}\n",
            format_local(episode.fired.0),
            format_span(duration(episode)),
            episode.host,
            episode.summary
        );
    }
    if episodes.len() > EPISODES_MAX {
        text += &format!("  and {} more\n", episodes.len() - EPISODES_MAX);
    }
    text
}
