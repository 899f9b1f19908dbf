//! Commands for alerts: rules and routes, silences, acknowledgements.

mod check;

use std::time::Duration;

use anyhow::anyhow;
use sysmon_alerts::notify::{Notification, Route, send};
use sysmon_alerts::rule::PatternError;
use sysmon_alerts::silence::{NewSilence, Scope, ScopeNames, SilenceFile};
use sysmon_client::Client;
use sysmon_config::Failure;
use sysmon_config::time::format_span;
use sysmon_hub::server::Hub;

use super::args::AlertsCommand;
use super::options::{alert_options, known_hosts};
use super::{ANSWER_MAX, Context, counted, span_ms};

/// Who commands on the hub's machine act as: the operator whose identity is in the state directory.
const OWNER: &str = "owner";

pub(crate) fn alerts(context: &Context, command: Option<&AlertsCommand>) -> Result<(), Failure> {
    let text = match command {
        None => show(context)?,
        Some(AlertsCommand::Test { route }) => return test(context, route.as_deref()),
        Some(AlertsCommand::Check { rule, since, host }) => {
            check::check(context, rule, *since, host.as_deref())?
        }
        Some(AlertsCommand::Silences) => silences(context)?,
        Some(AlertsCommand::Ack { scope, note }) => acknowledge(context, scope, Some(note))?,
        Some(AlertsCommand::Unack { scope }) => acknowledge(context, scope, None)?,
        Some(command) => change(context, command, None)?,
    };
    Ok(sysmon_config::print(&text)?)
}

/// Changes the silences; `hub` is the running one in its own process.
pub(crate) fn change(
    context: &Context,
    command: &AlertsCommand,
    hub: Option<&Hub>,
) -> Result<String, Failure> {
    match command {
        AlertsCommand::Silence {
            scope,
            span,
            reason,
            force,
        } => {
            let scope = parse_scope(scope)?;
            if !force {
                let checked = names(context, hub)?.check(&scope);
                checked.map_err(|unknown| {
                    Failure::Usage(anyhow!("{unknown}; add --force to silence it anyway"))
                })?;
            }
            silence(context, scope, *span, reason, hub)
        }
        AlertsCommand::Unsilence { id } => unsilence(context, id, hub),
        _ => Err(Failure::Usage(anyhow!("this command changes nothing"))),
    }
}

fn show(context: &Context) -> Result<String, Failure> {
    let options = alert_options(context, &context.config)?;
    let mut text = String::from("rules:\n");
    for rule in &options.rules {
        text += &format!("  {rule}\n");
    }
    text += "routes:\n";
    if options.notifier.routes.is_empty() {
        text += "  none: alerts are shown on screens and in the log; set notify in [hub] to send them\n";
    }
    for (number, route) in (1..).zip(&options.notifier.routes) {
        text += &format!("  {number}  {route}\n");
    }
    Ok(text)
}

/// All routes, the one with a number, or those whose description contains a text.
fn matching<'a>(routes: &'a [Route], wanted: Option<&str>) -> Result<Vec<&'a Route>, Failure> {
    let Some(wanted) = wanted else {
        return Ok(routes.iter().collect());
    };
    let number = wanted.parse::<usize>().ok();
    let index = number.and_then(|number| number.checked_sub(1));
    if let Some(route) = index.and_then(|index| routes.get(index)) {
        return Ok(vec![route]);
    }
    let matches = |route: &&Route| route.to_string().contains(wanted);
    let found: Vec<_> = routes.iter().filter(matches).collect();
    if found.is_empty() {
        return Err(Failure::Usage(anyhow!(
            "no route {wanted:?}; `sysmon-hub alerts` lists the routes with their numbers"
        )));
    }
    Ok(found)
}

fn test(context: &Context, wanted: Option<&str>) -> Result<(), Failure> {
    let options = alert_options(context, &context.config)?;
    let routes = matching(&options.notifier.routes, wanted)?;
    if routes.is_empty() {
        return Err(anyhow!("no route is configured; set notify in [hub]").into());
    }
    let now = context.clock.now();
    let message = Notification::test(context.hub_name().as_str(), now);
    let (mut text, mut failed) = (String::new(), 0);
    for route in &routes {
        match send(route, &message, now) {
            Ok(()) => text += &format!("{route}: delivered\n"),
            Err(reason) => {
                failed += 1;
                text += &format!("{route}: failed: {reason}\n");
            }
        }
    }
    sysmon_config::print(&text)?;
    if failed > 0 {
        return Err(anyhow!("{failed} of {} routes failed", routes.len()).into());
    }
    Ok(())
}

fn parse_scope(text: &str) -> Result<Scope, Failure> {
    text.parse()
        .map_err(|error: PatternError| Failure::Usage(error.into()))
}

/// The names that a scope may have: those of the running hub, else of the register and the configuration.
fn names(context: &Context, hub: Option<&Hub>) -> Result<ScopeNames, Failure> {
    let mut names = hub.map(Hub::scope_names).unwrap_or_default();
    names.hosts.extend(known_hosts(context));
    if hub.is_none() {
        let rules = alert_options(context, &context.config)?.rules;
        names.rules = rules.into_iter().map(|rule| rule.name).collect();
    }
    Ok(names)
}

fn silence(
    context: &Context,
    scope: Scope,
    span: Duration,
    reason: &str,
    hub: Option<&Hub>,
) -> Result<String, Failure> {
    let (dir, now) = (context.state.dir(), context.clock.now());
    if !dir.exists() {
        return Err(anyhow!(
            "no hub has run with state directory {}; name it with --state",
            dir.display()
        )
        .into());
    }
    let new = NewSilence {
        scope,
        until: now + span_ms(span),
        by: OWNER.to_owned(),
        reason: reason.to_owned(),
    };
    let silence = match hub {
        Some(hub) => hub.silence(new).map_err(anyhow::Error::from)?,
        None => {
            let added = SilenceFile::new(dir).add(new, now);
            let (silence, _) = added.map_err(anyhow::Error::from)?;
            context.audit("silenced", OWNER, &silence.scope.to_string());
            silence
        }
    };
    Ok(format!(
        "silence {}: notifications of {} suppressed for {}\n",
        silence.id,
        silence.scope,
        format_span(silence.until - now)
    ))
}

fn silences(context: &Context) -> Result<String, Failure> {
    let now = context.clock.now();
    let row = |id: &str, scope: &str, left: &str, by: &str, reason: &str| {
        format!("{id:<6}{scope:<28}{left:<14}{by:<12}{reason}\n")
    };
    let mut text = row("ID", "SCOPE", "ENDS IN", "BY", "REASON");
    for silence in SilenceFile::new(context.state.dir()).read(now)? {
        let left = format_span(silence.until - now);
        let scope = silence.scope.to_string();
        text += &row(&silence.id, &scope, &left, &silence.by, &silence.reason);
    }
    Ok(text)
}

fn unsilence(context: &Context, id: &str, hub: Option<&Hub>) -> Result<String, Failure> {
    let silence = match hub {
        Some(hub) => hub.end_silence(id, OWNER).map_err(anyhow::Error::from)?,
        None => {
            let file = SilenceFile::new(context.state.dir());
            let ended = file.end(id, context.clock.now());
            let (silence, _) = ended.map_err(anyhow::Error::from)?;
            context.audit("unsilenced", OWNER, &silence.scope.to_string());
            silence
        }
    };
    Ok(format!(
        "silence {id} of {} ended; alerts that are still firing are sent\n",
        silence.scope
    ))
}

fn acknowledge(context: &Context, scope: &str, note: Option<&str>) -> Result<String, Failure> {
    let scope = parse_scope(scope)?;
    let (hosts, rule) = (scope.hosts().to_string(), scope.rule().to_string());
    let alerts = context.ask(ANSWER_MAX, async |client: &Client| {
        client.acknowledge(&hosts, &rule, note).await
    })?;
    let count = counted(alerts.changed as usize, "alert");
    match (alerts.changed, note) {
        (0, Some(_)) => {
            Err(anyhow!("no alert is firing on {scope}; see `sysmon-hub status`").into())
        }
        (0, None) => {
            Err(anyhow!("no alert of {scope} is acknowledged; see `sysmon-hub status`").into())
        }
        (_, Some(_)) => Ok(format!("{count} of {scope} acknowledged\n")),
        (_, None) => Ok(format!("acknowledgement of {count} of {scope} removed\n")),
    }
}
