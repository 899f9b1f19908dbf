//! Alerts as people deal with them: what is watched, trying it out, silences, and taking care.

use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use sysmon_alerts::notify::{Message, Route, send};
use sysmon_alerts::replay::{self, Episode, Recorded};
use sysmon_alerts::rule::{Rule, parse_all};
use sysmon_alerts::silence::{SILENCES_MAX, Scope, Silence, SilenceFile};
use sysmon_alerts::week::WEEKS_MIN;
use sysmon_certs::HubState;
use sysmon_client::{Client, ClientError};
use sysmon_config::time::format_span;
use sysmon_config::{Config, Failure, suggest};
use sysmon_hub::VERSION;
use sysmon_link::Connector;
use sysmon_wire::message::{Points, Query};
use sysmon_wire::{Label, UnixMs};

use super::args::{AlertsCommand, Args};
use super::options::{alert_options, hub_name, known_hosts};
use super::runtime;

/// How long a hub may take to answer.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How long it may take to tell of the past.
const PAST_MAX: Duration = Duration::from_secs(120);

/// Times listed of one rule.
const EPISODES_MAX: usize = 50;

pub(crate) fn alerts(
    args: &Args,
    config: &Config,
    state: &HubState,
    command: Option<&AlertsCommand>,
) -> Result<(), Failure> {
    match command {
        None => show(args, config, state),
        Some(AlertsCommand::Test { route }) => test(args, config, state, route.as_deref()),
        Some(AlertsCommand::Check { rule, since, host }) => {
            check(args, config, state, rule, *since, host.as_deref())
        }
        Some(AlertsCommand::Silence {
            scope,
            span,
            reason,
        }) => {
            let hosts = known_hosts(args, config, state);
            silence(state, &hosts, scope, *span, reason)
        }
        Some(AlertsCommand::Silences) => silences(state),
        Some(AlertsCommand::Unsilence { id }) => unsilence(state, id),
        Some(AlertsCommand::Ack { scope, note }) => acknowledge(state, scope, note),
        Some(AlertsCommand::Unack { scope }) => unacknowledge(state, scope),
    }
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

fn show(args: &Args, config: &Config, state: &HubState) -> Result<(), Failure> {
    let options = alert_options(args, config, state)?;
    let mut text = String::from("watched:\n");
    for rule in &options.rules {
        text.push_str(&format!("  {rule}\n"));
    }
    text.push_str("told:\n");
    if options.telling.routes.is_empty() {
        text.push_str("  nobody but the log and those who look: set notify in [hub]\n");
    }
    for (number, route) in (1..).zip(&options.telling.routes) {
        text.push_str(&format!("  {number}  {route}\n"));
    }
    Ok(sysmon_config::print(&text)?)
}

/// The routes that are meant: all, the one of a number, or those that have the text in their description.
fn chosen<'a>(routes: &'a [Route], wanted: Option<&str>) -> Result<Vec<&'a Route>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(routes.iter().collect());
    };
    let number = wanted
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    if let Some(route) = number.and_then(|at| routes.get(at)) {
        return Ok(vec![route]);
    }
    let found = routes
        .iter()
        .filter(|route| route.to_string().contains(wanted));
    let found: Vec<_> = found.collect();
    if found.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "there is no route {wanted:?}: `sysmon-hub alerts` lists them with their numbers"
        )));
    }
    Ok(found)
}

fn test(
    args: &Args,
    config: &Config,
    state: &HubState,
    wanted: Option<&str>,
) -> Result<(), Failure> {
    let options = alert_options(args, config, state)?;
    let routes = chosen(&options.telling.routes, wanted)?;
    if routes.is_empty() {
        return Err(anyhow!("nobody is told of alerts: set notify in [hub]").into());
    }
    let message = Message::test(hub_name(args, config).as_str(), now());
    let (mut text, mut failed) = (String::new(), 0);
    for route in &routes {
        match send(route, &message) {
            Ok(()) => text.push_str(&format!("{route}: arrived\n")),
            Err(why) => {
                failed += 1;
                text.push_str(&format!("{route}: failed: {why}\n"));
            }
        }
    }
    sysmon_config::print(&text)?;
    if failed > 0 {
        return Err(anyhow!("{failed} of {} routes failed", routes.len()).into());
    }
    Ok(())
}

/// Sends requests to the running hub.
pub(super) fn ask<T>(
    state: &HubState,
    wait: Duration,
    requests: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
) -> Result<T, Failure> {
    let owner = state.existing_owner().map_err(anyhow::Error::from)?;
    let address = state.address().map_err(anyhow::Error::from)?.to_string();
    let answer = runtime()?.block_on(async {
        let connector = Connector::new(&owner, VERSION).map_err(anyhow::Error::from)?;
        let answered = async {
            let client = Client::connect(&connector, &address).await?;
            requests(&client).await
        };
        let answer = match tokio::time::timeout(wait, answered).await {
            Ok(answer) => answer.map_err(anyhow::Error::from),
            Err(_) => Err(anyhow!("the hub at {address} does not answer")),
        };
        connector.close().await;
        answer
    })?;
    Ok(answer)
}

/// What the hub has recorded for a rule, of all hosts that it applies to or of one.
async fn recorded(
    client: &Client,
    rule: &Rule,
    host: Option<&str>,
    from: UnixMs,
    to: UnixMs,
) -> Result<Vec<Recorded>, ClientError> {
    let mut recorded = Vec::new();
    for (line, _) in client.fleet(None).await?.hosts {
        let tags = line.facts.tags.iter().map(Label::as_str);
        let is_other = host.is_some_and(|host| line.name != host);
        if is_other || !rule.hosts.include(line.name.as_str(), tags) {
            continue;
        }
        let queries = replay::queries(rule, &line.name, from, to);
        recorded.push(Recorded {
            series: series(client, queries.series).await?,
            before: series(client, queries.before).await?,
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

fn check(
    args: &Args,
    config: &Config,
    state: &HubState,
    wanted: &str,
    since: Duration,
    host: Option<&str>,
) -> Result<(), Failure> {
    let rule = rule(args, config, state, wanted)?;
    if replay::is_unknown_later(&rule) {
        return Err(Failure::Usage(anyhow!(
            "how far clocks were off is not kept, so that {:?} cannot be tried out",
            rule.name
        )));
    }
    let span_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let now = now();
    let hosts = ask(state, PAST_MAX, async |client: &Client| {
        recorded(client, &rule, host, now - span_ms, now).await
    })?;
    let mut episodes: Vec<Episode> = hosts
        .iter()
        .flat_map(|host| replay::replay(&rule, host))
        .collect();
    episodes.sort_by_key(|episode| episode.fired);
    let mut text = format!(
        "{rule}\nlooked at {} hosts over {}, a value every {}\n",
        hosts.len(),
        format_span(span_ms),
        format_span(replay::step_ms(span_ms))
    );
    let silent = hosts.iter().filter(|host| replay::is_silent(&rule, host));
    match silent.count() {
        0 => {}
        count => text.push_str(&format!(
            "of {count} of them less than {WEEKS_MIN} earlier weeks are kept: of those it says nothing\n"
        )),
    }
    text.push_str(&listed(&episodes, now));
    Ok(sysmon_config::print(&text)?)
}

/// When and for how long it would have fired.
fn listed(episodes: &[Episode], now: UnixMs) -> String {
    if episodes.is_empty() {
        return "it would not have fired\n".to_owned();
    }
    let lasted = |episode: &Episode| episode.over.unwrap_or(now) - episode.fired;
    let all: i64 = episodes.iter().map(lasted).sum();
    let times = match episodes.len() {
        1 => "once".to_owned(),
        many => format!("{many} times"),
    };
    let mut text = format!(
        "it would have fired {times}, for {} in all\n",
        format_span(all)
    );
    for episode in episodes.iter().take(EPISODES_MAX) {
        let state = if episode.over.is_some() {
            ""
        } else {
            " (still)"
        };
        text.push_str(&format!(
            "  {}  {:<9}  {}  {}{state}\n",
            sysmon_config::time::format_local(episode.fired.0),
            format_span(lasted(episode)),
            episode.host,
            episode.summary
        ));
    }
    if episodes.len() > EPISODES_MAX {
        text.push_str(&format!("  and {} more\n", episodes.len() - EPISODES_MAX));
    }
    text
}

/// A rule by its name, or one that is written out.
fn rule(args: &Args, config: &Config, state: &HubState, wanted: &str) -> Result<Rule, Failure> {
    if wanted.contains(':') {
        let lines = [wanted.to_owned()];
        let rules = parse_all(&lines, &known_hosts(args, config, state));
        let mut rules = rules.map_err(|(_, error)| Failure::Usage(error.into()))?;
        return rules.pop().ok_or_else(|| anyhow!("no rule").into());
    }
    let rules = alert_options(args, config, state)?.rules;
    let names: Vec<String> = rules.iter().map(|rule| rule.name.clone()).collect();
    let found = rules.into_iter().find(|rule| rule.name == wanted);
    found.ok_or_else(|| {
        let hint = suggest(wanted, names.iter().map(String::as_str));
        Failure::Usage(anyhow!("there is no rule {wanted:?}{hint}"))
    })
}

fn silence(
    state: &HubState,
    hosts: &[String],
    scope: &str,
    span: Duration,
    reason: &str,
) -> Result<(), Failure> {
    let (file, now) = (SilenceFile::new(state.dir()), now());
    let scope = Scope::of(scope);
    if let Some(host) = scope
        .host()
        .filter(|host| !hosts.is_empty() && !hosts.contains(host))
    {
        let hint = suggest(&host, hosts.iter().map(String::as_str));
        return Err(Failure::Usage(anyhow!("there is no host {host:?}{hint}")));
    }
    if !state.dir().exists() {
        return Err(anyhow!("no hub has run with its state in {}", state.dir().display()).into());
    }
    let mut silences = file.read(now)?;
    if silences.len() >= SILENCES_MAX {
        return Err(anyhow!("{SILENCES_MAX} silences are the limit: take one back first").into());
    }
    let id = (1u32..)
        .map(|id| id.to_string())
        .find(|id| silences.iter().all(|other| other.id != *id));
    let silence = Silence {
        id: id.unwrap_or_default(),
        scope,
        from: now,
        until: now + i64::try_from(span.as_millis()).unwrap_or(i64::MAX),
        reason: reason.to_owned(),
    };
    let text = format!(
        "silence {}: nobody is told of {} for {}; a running hub knows within a second\n",
        silence.id,
        silence.scope,
        format_span(silence.until - now)
    );
    silences.push(silence);
    file.write(&silences)?;
    Ok(sysmon_config::print(&text)?)
}

fn silences(state: &HubState) -> Result<(), Failure> {
    let now = now();
    let mut text = format!("{:<6}{:<28}{:<14}REASON\n", "ID", "OF", "FOR ANOTHER");
    for silence in SilenceFile::new(state.dir()).read(now)? {
        let left = format_span(silence.until - now);
        let scope = silence.scope.to_string();
        text.push_str(&format!(
            "{:<6}{scope:<28}{left:<14}{}\n",
            silence.id, silence.reason
        ));
    }
    Ok(sysmon_config::print(&text)?)
}

fn unsilence(state: &HubState, id: &str) -> Result<(), Failure> {
    let file = SilenceFile::new(state.dir());
    let mut silences = file.read(now())?;
    let before = silences.len();
    silences.retain(|silence| silence.id != id);
    if silences.len() == before {
        return Err(anyhow!("there is no silence {id:?}: see `sysmon-hub alerts silences`").into());
    }
    file.write(&silences)?;
    let text = format!("silence {id} is taken back; what fires still is told within a second\n");
    Ok(sysmon_config::print(&text)?)
}

fn acknowledge(state: &HubState, scope: &str, note: &str) -> Result<(), Failure> {
    let scope = Scope::of(scope);
    let (host, rule) = scope.parts();
    let alerts = ask(state, ANSWER_MAX, async |client: &Client| {
        client.acknowledge(host, rule, note).await
    })?;
    if alerts.acknowledged == 0 {
        return Err(anyhow!("nothing fires on {scope}: see `sysmon-hub status`").into());
    }
    let text = format!(
        "{} alerts of {scope} are taken care of\n",
        alerts.acknowledged
    );
    Ok(sysmon_config::print(&text)?)
}

fn unacknowledge(state: &HubState, scope: &str) -> Result<(), Failure> {
    let scope = Scope::of(scope);
    let (host, rule) = scope.parts();
    let alerts = ask(state, ANSWER_MAX, async |client: &Client| {
        client.unacknowledge(host, rule).await
    })?;
    if alerts.acknowledged == 0 {
        return Err(anyhow!("nobody takes care of {scope}: see `sysmon-hub status`").into());
    }
    let text = format!(
        "nobody takes care of {} alerts of {scope} any more\n",
        alerts.acknowledged
    );
    Ok(sysmon_config::print(&text)?)
}
