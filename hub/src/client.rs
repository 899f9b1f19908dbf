//! Asking a running hub for one picture: what `status` and `snapshot` do.

use sysmon_link::{Connector, HubSession, LinkError};
use sysmon_wire::alerts::Alerts;
use sysmon_wire::message::{Aggregate, Points, Purpose, Query, Reply, Request};
use sysmon_wire::{Label, UnixMs};

use crate::own::{self, Seen};
use crate::report::Picture;
use sysmon_alerts::replay::{Recorded, needs};
use sysmon_alerts::rule::Rule;
use sysmon_alerts::silence::Scope;
use sysmon_alerts::week::{self, SLOT_MS};

/// How far back the hub's own rows are asked for: two make a rate, and one or another may be late.
const OWN_REACH_MS: i64 = 5_000;

/// The fleet and the hub, now or at a past moment.
pub async fn picture(
    connector: &Connector,
    hub: &str,
    at: Option<UnixMs>,
) -> Result<Picture, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    ask(&session, at).await
}

/// Milliseconds of a step, by how long a past they are asked of: as fine as an answer has room for.
const STEPS_MS: [(i64, i64); 3] = [
    (6 * 3_600_000, 1_000),
    (86_400_000, 10_000),
    (30 * 86_400_000, 60_000),
];

/// What a rule would have looked at.
#[derive(Clone, Debug, Default)]
pub struct PastOfRule {
    /// Milliseconds of a step.
    pub step_ms: i64,
    /// Each host that the rule is for.
    pub hosts: Vec<Recorded>,
}

/// What a rule looks at, of all hosts that it is for or of one, between two moments.
pub async fn past(
    connector: &Connector,
    hub: &str,
    rule: &Rule,
    host: Option<&str>,
    from: UnixMs,
    to: UnixMs,
) -> Result<PastOfRule, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let hosts = ask(&session, None).await?.hosts;
    let step = STEPS_MS.iter().find(|(span, _)| to - from <= *span);
    let step_ms = step.map_or(3_600_000, |(_, step)| *step);
    let mut past = PastOfRule {
        step_ms,
        hosts: Vec::new(),
    };
    for (line, _) in hosts {
        let tags = line.facts.tags.iter().map(Label::as_str);
        let is_other = host.is_some_and(|host| line.name != host);
        if is_other || !rule.hosts.include(line.name.as_str(), tags) {
            continue;
        }
        let mut recorded = Recorded {
            host: line.name.clone(),
            tags: line.facts.tags.clone(),
            series: Vec::new(),
            before: Vec::new(),
        };
        for (metric, extreme) in needs(rule, step_ms) {
            let request = Request::Query(Query {
                metric: Label::new(&metric.to_string()),
                host: Some(line.name.clone()),
                from,
                to,
                step_ms,
                aggregate: match extreme {
                    None => Aggregate::Mean,
                    Some(true) => Aggregate::Max,
                    Some(false) => Aggregate::Min,
                },
                group: None,
                top: 0,
            });
            recorded.series.extend(points(&session, &request).await?);
        }
        for metric in rule.of_week() {
            let span = week::windows(week::hour(from));
            let span = span.map(|(oldest, _)| oldest).min().unwrap_or(from);
            let request = Request::Query(Query {
                metric: Label::new(&metric.to_string()),
                host: Some(line.name.clone()),
                from: span,
                to,
                step_ms: SLOT_MS,
                aggregate: Aggregate::Mean,
                group: None,
                top: 0,
            });
            recorded.before.extend(points(&session, &request).await?);
        }
        past.hosts.push(recorded);
    }
    Ok(past)
}

async fn points(session: &HubSession, request: &Request) -> Result<Vec<Points>, LinkError> {
    let mut series: Vec<Points> = Vec::new();
    let mut replies = session.request(request).await?;
    while let Some(reply) = replies.next().await? {
        match reply {
            Reply::Points(points) => match series.last_mut() {
                // A further part of the one before.
                Some(last) if last.attributes == points.attributes && points.start > last.start => {
                    last.values.extend(points.values);
                }
                _ => series.push(points),
            },
            Reply::Refused { reason } => return Err(LinkError::Refused(reason.to_string())),
            _ => {}
        }
    }
    Ok(series)
}

/// Takes care of what fires on some hosts.
pub async fn acknowledge(
    connector: &Connector,
    hub: &str,
    scope: &Scope,
    note: &str,
) -> Result<Alerts, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let (host, rule) = scope.parts();
    let request = Request::Acknowledge {
        host: Label::new(host),
        rule: Some(Label::new(rule)),
        note: Label::new(note),
    };
    alerts(&session, &request).await
}

/// Nobody takes care any more of what fires on some hosts.
pub async fn unacknowledge(
    connector: &Connector,
    hub: &str,
    scope: &Scope,
) -> Result<Alerts, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let (host, rule) = scope.parts();
    let request = Request::Unacknowledge {
        host: Label::new(host),
        rule: Some(Label::new(rule)),
    };
    alerts(&session, &request).await
}

async fn alerts(session: &HubSession, request: &Request) -> Result<Alerts, LinkError> {
    let mut replies = session.request(request).await?;
    while let Some(reply) = replies.next().await? {
        match reply {
            Reply::Alerts(alerts) => return Ok(alerts),
            Reply::Refused { reason } => return Err(LinkError::Refused(reason.to_string())),
            _ => {}
        }
    }
    Ok(Alerts::default())
}

/// The same now, with the hub's own figures.
pub async fn status(connector: &Connector, hub: &str) -> Result<Picture, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let mut picture = ask(&session, None).await?;
    if let Some(status) = &picture.hub {
        picture.own = Some(own_figures(&session, status.name.as_str(), status.now).await?);
    }
    picture.alerts = Some(alerts(&session, &Request::Alerts).await?);
    Ok(picture)
}

async fn ask(session: &HubSession, at: Option<UnixMs>) -> Result<Picture, LinkError> {
    let mut picture = Picture::default();
    let fleet = Request::Fleet {
        at,
        once: true,
        spark_points: 0,
        spark_step_ms: 1000,
        sparks: Vec::new(),
    };
    for request in [Request::Status, fleet] {
        let mut replies = session.request(&request).await?;
        while let Some(reply) = replies.next().await? {
            match reply {
                Reply::Status(status) => picture.hub = Some(status),
                Reply::Fleet(update) => picture.add(update),
                Reply::Refused { reason } => return Err(LinkError::Refused(reason.to_string())),
                _ => {}
            }
        }
    }
    Ok(picture)
}

/// What a hub has recorded of itself; nothing of one that is older than this or has just started.
async fn own_figures(session: &HubSession, hub: &str, now: UnixMs) -> Result<Seen, LinkError> {
    let request = Request::Host {
        host: own::host_name(hub),
        from: now - OWN_REACH_MS,
        until: Some(now),
    };
    let mut seen = Seen::default();
    let mut replies = session.request(&request).await?;
    while let Some(reply) = replies.next().await? {
        match reply {
            // What makes no sense is left out: the rest of the status does.
            Reply::HostSeries(table) => seen.define(table.keys().unwrap_or_default()),
            Reply::HostKeyframe(block) | Reply::HostRows(block) => {
                let _ = seen.take(&block.0);
            }
            _ => {}
        }
    }
    Ok(seen)
}
