//! A subscriber's connection: one stream a request, pushed to while anything changes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sysmon_link::{
    CloseCode, FrameReceiver, FrameSender, HELLO_TIMEOUT, LinkError, PeerCertificate, PeerSession,
};
use sysmon_wire::codec::CodecError;
use sysmon_wire::limits::{CHANGES_MAX, HOSTS_PER_FRAME_MAX};
use sysmon_wire::message::{Change, FleetUpdate, HostState, Query, Reply, Request};
use sysmon_wire::{Label, UnixMs};

use super::bounds::bounded;
use super::past::{Of, PagedIn};
use super::top::watch_top;
use super::{Hub, SUBSCRIBERS_MAX, now, renewal};
use crate::changes;
use crate::events::timeline;
use crate::fleet::HostId;
use crate::query::{Plan, RATE_REACH_MS, combine, frames};
use crate::view::{
    HostWatch, PAST_REACH_MS, SparkRequest, fleet_changes, fleet_picture_by, halves, histories,
    history_changes,
};

/// Changes that come within this are sent together. Agents report on whole seconds, so a fleet's
/// rows arrive in a burst; a screen needs them within 50 ms.
const COALESCE: Duration = Duration::from_millis(20);

/// Time of which a host's rows are sent at most.
const HOST_ROWS_MS_MAX: i64 = 6 * 3_600_000;

/// How often changes of the past are told.
const PAST_INTERVAL: Duration = Duration::from_secs(1);

/// Serves a subscriber until it leaves; returns why it left.
pub(super) async fn serve(hub: &Arc<Hub>, session: PeerSession) -> LinkError {
    let connection = session.connection;
    let who = Arc::new(session.certificate);
    loop {
        let (send, recv) = match connection.accept_bi().await {
            Ok(streams) => streams,
            Err(error) => return error.into(),
        };
        let (hub, who) = (Arc::clone(hub), Arc::clone(&who));
        tokio::spawn(async move {
            let (mut sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
            let request = match request(&mut receiver).await {
                Ok(Some(request)) => request,
                Ok(None) | Err(LinkError::Lost(_)) => return,
                Err(error) => {
                    hub.count_refusal();
                    tracing::warn!("broke off a request of {}: {error}", who.peer);
                    sender.reset(CloseCode::Protocol);
                    return;
                }
            };
            if hub.subscribers.load(Ordering::Relaxed) >= SUBSCRIBERS_MAX {
                hub.count_refusal();
                let _ = refuse(&mut sender, "too many requests are open on this hub").await;
                return;
            }
            hub.subscribers.fetch_add(1, Ordering::Relaxed);
            // A subscriber that leaves ends its stream here: nothing is left to tell it.
            let _ = answer(&hub, &who, bounded(request), &mut sender).await;
            hub.subscribers.fetch_sub(1, Ordering::Relaxed);
            sender.finish();
        });
    }
}

/// Hears a request, which comes at once behind the stream that it opens.
pub(super) async fn request(receiver: &mut FrameReceiver) -> Result<Option<Request>, LinkError> {
    let heard = tokio::time::timeout(HELLO_TIMEOUT, receiver.next()).await;
    heard.unwrap_or(Err(LinkError::HelloTimeout))
}

async fn answer(
    hub: &Arc<Hub>,
    who: &PeerCertificate,
    request: Request,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    match request {
        Request::Renew { request } => sender.send(&renewal::answer(hub, who, &request.0)).await,
        Request::Alerts => sender.send(&Reply::Alerts(hub.alerts())).await,
        Request::Acknowledge { host, rule, note } => {
            let by = who.peer.name.to_string();
            let rule = rule.as_ref().map(Label::as_str);
            let alerts = hub.acknowledge(&by, host.as_str(), rule, note.as_str());
            sender.send(&Reply::Alerts(alerts)).await
        }
        Request::Unacknowledge { host, rule } => {
            let by = who.peer.name.to_string();
            let rule = rule.as_ref().map(Label::as_str);
            let alerts = hub.unacknowledge(&by, host.as_str(), rule);
            sender.send(&Reply::Alerts(alerts)).await
        }
        Request::Status => sender.send(&Reply::Status(hub.status())).await,
        Request::Fleet {
            at,
            once,
            spark_points,
            spark_step_ms,
            sparks,
        } => {
            let sparks = SparkRequest {
                points: spark_points,
                step_ms: spark_step_ms,
                aliases: sparks,
            };
            watch_fleet(hub, at, once, &sparks, sender).await
        }
        Request::Host { host, from, until } => watch_host(hub, &host, (from, until), sender).await,
        Request::Processes { host, at } => watch_processes(hub, &host, at, sender).await,
        Request::Burst {
            host,
            interval_ms,
            for_ms,
        } => burst(hub, &host, interval_ms, for_ms, sender).await,
        Request::Changes { host, at, limit } => {
            let time = at.unwrap_or_else(now);
            match changes_of(
                hub,
                host.as_ref(),
                time,
                usize::from(limit.min(CHANGES_MAX)),
            )
            .await
            {
                Ok(changes) => {
                    let changes = changes::fitting(changes);
                    sender.send(&Reply::Changes { time, changes }).await?;
                    sender.send(&Reply::Complete).await
                }
                Err(reason) => refuse(sender, &reason).await,
            }
        }
        Request::Query(query) => answer_query(hub, query, sender).await,
        Request::Timeline {
            host,
            from,
            to,
            steps,
        } => {
            let timeline = {
                let fleet = hub.fleet();
                let id = host.as_ref().map(|name| fleet.find(name.as_str()));
                match id {
                    Some(None) => None,
                    found => Some(timeline(&fleet, found.flatten(), from, to, steps)),
                }
            };
            match timeline {
                Some(mut timeline) if timeline.from < timeline.oldest => {
                    hub.cover(host, &mut timeline).await;
                    sender.send(&Reply::Timeline(timeline)).await
                }
                Some(timeline) => sender.send(&Reply::Timeline(timeline)).await,
                None => refuse(sender, "there is no such host").await,
            }
        }
        Request::Top {
            host,
            at,
            by,
            limit,
        } => watch_top(hub, host.as_ref(), at, by, limit, sender).await,
    }
}

/// Answers host by host: between two, others have their turn, so that rows come in meanwhile.
async fn answer_query(
    hub: &Arc<Hub>,
    query: Query,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let limits = hub.history_limits();
    let plan = Plan::new(&query, &hub.fleet(), &limits, now());
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => return refuse(sender, &error.to_string()).await,
    };
    let is_combined = query.group.is_some() || query.top > 0;
    let mut all = Vec::new();
    for (id, series) in plan.hosts.iter().filter(|(_, series)| !series.is_empty()) {
        let past = hub.buckets(*id, series, &plan).await;
        let from = past.rows_from.max(plan.resample.from) - RATE_REACH_MS;
        let rows = hub.past(Of::One(*id), from, plan.to).await;
        let points = hub.fleet().with_past(&rows.chunks, |fleet| {
            fleet
                .host(*id)
                .map_or_else(|| Ok(Vec::new()), |host| plan.of_host(host, series, &past))
        });
        match points {
            Ok(points) if is_combined => all.extend(points),
            Ok(points) => {
                for part in frames(points) {
                    sender.send(&Reply::Points(part)).await?;
                }
            }
            Err(error) => return refuse(sender, &error.to_string()).await,
        }
        tokio::task::yield_now().await;
    }
    for part in frames(combine(all, query.group.as_ref(), query.top.into())) {
        sender.send(&Reply::Points(part)).await?;
    }
    sender.send(&Reply::Complete).await
}

/// The changes of one host or of all. Between two hosts others have their turn, so that rows come in meanwhile.
async fn changes_of(
    hub: &Arc<Hub>,
    host: Option<&Label>,
    at: UnixMs,
    limit: usize,
) -> Result<Vec<Change>, String> {
    let hosts: Vec<HostId> = match host {
        Some(name) => {
            let found = hub.fleet().find(name.as_str());
            vec![found.ok_or_else(|| format!("there is no host {name:?}"))?]
        }
        None => hub.fleet().watched_hosts().map(|(id, _)| id).collect(),
    };
    let mut all = Vec::new();
    for id in hosts {
        let rows = hub.past(Of::One(id), at - changes::REACH_MS, at).await;
        let of_host = hub.fleet().with_past(&rows.chunks, |fleet| {
            fleet.host(id).map(|host| changes::of_host(host, at, limit))
        });
        all.extend(
            of_host
                .transpose()
                .map_err(|error| error.to_string())?
                .into_iter()
                .flatten(),
        );
        if all.len() > 4 * limit {
            all = changes::ranked(all, limit);
        }
        tokio::task::yield_now().await;
    }
    Ok(changes::ranked(all, limit))
}

pub(super) async fn refuse(sender: &mut FrameSender, reason: &str) -> Result<(), LinkError> {
    sender
        .send(&Reply::Refused {
            reason: Label::new(reason),
        })
        .await
}

/// Sends parts of the fleet's picture. One that is too long, because hosts say much of themselves, goes in pieces.
pub(super) async fn send_fleet(
    sender: &mut FrameSender,
    frames: Vec<FleetUpdate>,
) -> Result<(), LinkError> {
    let mut waiting: VecDeque<_> = frames.into();
    while let Some(frame) = waiting.pop_front() {
        let reply = Reply::Fleet(frame);
        let sent = sender.send(&reply).await;
        match (sent, reply) {
            (Err(LinkError::Codec(CodecError::TooLong(length))), Reply::Fleet(frame)) => {
                let [first, second] =
                    halves(frame).ok_or(LinkError::Codec(CodecError::TooLong(length)))?;
                waiting.push_front(second);
                waiting.push_front(first);
            }
            (sent, _) => sent?,
        }
    }
    Ok(())
}

/// Rows of the past come by the hundred; what they change is told once a second.
struct Past {
    /// The fleet's generation up to which it was told.
    seen: u64,
    sent: Instant,
}

impl Past {
    fn is_due(&mut self) -> bool {
        let is_due = self.sent.elapsed() >= PAST_INTERVAL;
        if is_due {
            self.sent = Instant::now();
        }
        is_due
    }
}

/// Tells those who understand it that what follows are minutes or hours.
async fn tell_resolution(rows: &PagedIn, sender: &mut FrameSender) -> Result<(), LinkError> {
    let step_ms = rows.step_ms();
    if rows.tier.is_some() {
        sender.send(&Reply::Resolution { step_ms }).await?;
    }
    Ok(())
}

async fn watch_fleet(
    hub: &Arc<Hub>,
    at: Option<UnixMs>,
    once: bool,
    sparks: &SparkRequest,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let mut changes = hub.changed.subscribe();
    let rows = match at {
        Some(at) => {
            let rows = (at - sparks.from(at) + PAST_REACH_MS) / 1_000;
            hub.picture(Of::All, rows, at).await
        }
        None => PagedIn::default(),
    };
    tell_resolution(&rows, sender).await?;
    let rows_ms = rows.step_ms();
    // What many hosts are now is at hand; what they were is read after it, for that takes far longer.
    let is_split =
        !once && at.is_none() && hub.fleet().watched_hosts().count() > HOSTS_PER_FRAME_MAX;
    let with = if is_split {
        &SparkRequest::default()
    } else {
        sparks
    };
    let (frames, mut seen) = hub.fleet().with_past(&rows.chunks, |fleet| {
        (
            fleet_picture_by(fleet, at, now(), with, rows_ms),
            fleet.generation(),
        )
    });
    send_fleet(sender, frames).await?;
    sender.send(&Reply::Complete).await?;
    if once || at.is_some() {
        return Ok(());
    }
    if is_split {
        let hosts: Vec<HostId> = hub.fleet().watched_hosts().map(|(id, _)| id).collect();
        for part in hosts.chunks(HOSTS_PER_FRAME_MAX) {
            let update = histories(&hub.fleet(), part, now(), sparks);
            send_fleet(sender, vec![update]).await?;
            tokio::task::yield_now().await;
        }
    }
    let mut past = Past {
        seen,
        sent: Instant::now(),
    };
    loop {
        wait_for_change(&mut changes, sender).await?;
        let frames = {
            let fleet = hub.fleet();
            let mut frames = fleet_changes(&fleet, seen, now());
            seen = fleet.generation();
            if past.is_due() {
                frames.extend(history_changes(&fleet, past.seen, now(), sparks));
                past.seen = seen;
            }
            frames
        };
        send_fleet(sender, frames).await?;
    }
}

async fn watch_host(
    hub: &Arc<Hub>,
    name: &Label,
    (from, until): (UnixMs, Option<UnixMs>),
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let found = hub.fleet().find(name.as_str());
    let Some(id) = found else {
        return refuse(sender, &format!("there is no host {name:?}")).await;
    };
    let mut changes = hub.changed.subscribe();
    // A screen shows minutes; a day of rows at once would be hundreds of megabytes.
    let from = from.max(until.unwrap_or_else(now) - HOST_ROWS_MS_MAX);
    let mut watch = HostWatch::new(id, from);
    let mut complete = false;
    let mut past = Past {
        seen: 0,
        sent: Instant::now(),
    };
    loop {
        let is_anew = watch.is_past_changed(&hub.fleet()) && past.is_due();
        let rows = match (is_anew || !complete, until) {
            (true, Some(until)) => {
                let rows = hub
                    .picture(Of::One(id), (until - from) / 1_000, until)
                    .await;
                tell_resolution(&rows, sender).await?;
                if rows.tier.is_some() {
                    let reach = (until - from) / 1_000 * rows.step_ms();
                    watch = HostWatch::new(id, until.floor(rows.step_ms()) - reach);
                }
                rows
            }
            (true, None) => hub.past(Of::One(id), from, now()).await,
            (false, _) => PagedIn::default(),
        };
        let replies = hub.fleet().with_past(&rows.chunks, |fleet| {
            if is_anew {
                watch.restart();
            }
            watch.updates(fleet, until)
        });
        drop(rows);
        for reply in replies {
            sender.send(&reply).await?;
        }
        if !complete {
            sender.send(&Reply::Complete).await?;
            complete = true;
        }
        if until.is_some() {
            return Ok(());
        }
        wait_for_change(&mut changes, sender).await?;
    }
}

/// How long an agent is asked to tell all processes for each time that we look.
const LOOK: Duration = Duration::from_secs(4);

/// While somebody looks at all processes they come every second; before the first has come, and of
/// the past, those that used most are told.
async fn watch_processes(
    hub: &Arc<Hub>,
    name: &Label,
    at: Option<UnixMs>,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let found = hub.fleet().find(name.as_str());
    let Some(id) = found else {
        return refuse(sender, &format!("there is no host {name:?}")).await;
    };
    let mut changes = hub.changed.subscribe();
    let moment = at.unwrap_or_else(now);
    let rows = hub.past(Of::One(id), moment - PAST_REACH_MS, moment).await;
    let ranked = hub.fleet().with_past(&rows.chunks, |fleet| {
        let host = fleet.host(id);
        host.and_then(|host| host.processes_at(moment, PAST_REACH_MS))
    });
    // Of a moment without rows it is told that there are none.
    let ranked = ranked.or_else(|| Some((at?, Vec::new())));
    if let Some((time, processes)) = ranked {
        let ranked = Reply::Processes {
            time,
            all: false,
            processes,
        };
        sender.send(&ranked).await?;
    }
    sender.send(&Reply::Complete).await?;
    if at.is_some() {
        return Ok(());
    }
    let mut seen = UnixMs(0);
    loop {
        hub.demands.processes(id, LOOK);
        wait_for_change(&mut changes, sender).await?;
        let table = {
            let fleet = hub.fleet();
            let table = fleet.host(id).and_then(|host| host.processes.table());
            table.filter(|(time, _)| *time > seen).cloned()
        };
        if let Some((time, processes)) = table {
            seen = time;
            let all = Reply::Processes {
                time,
                all: true,
                processes,
            };
            sender.send(&all).await?;
        }
    }
}

/// Lets a host sample more often for a while, or until the subscriber leaves.
async fn burst(
    hub: &Arc<Hub>,
    name: &Label,
    interval_ms: u32,
    for_ms: u32,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let found = {
        let fleet = hub.fleet();
        let id = fleet.find(name.as_str());
        id.and_then(|id| Some((id, fleet.host(id)?.state)))
    };
    let Some((id, state)) = found else {
        return refuse(sender, &format!("there is no host {name:?}")).await;
    };
    if state != HostState::Live {
        let reason = format!("{name} is {} and cannot be asked for more", state.as_str());
        return refuse(sender, &reason).await;
    }
    let Some(burst) = hub.demands.burst(id, interval_ms, for_ms) else {
        return refuse(sender, "too many hosts are sampled more often already").await;
    };
    sender.send(&Reply::Complete).await?;
    tokio::select! {
        () = tokio::time::sleep(burst.lasts) => Ok(()),
        () = sender.stopped() => Err(LinkError::StreamEnded),
    }
}

/// Waits for the next change and a little longer; an error if the subscriber has left.
pub(super) async fn wait_for_change(
    changes: &mut tokio::sync::watch::Receiver<u64>,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    tokio::select! {
        changed = changes.changed() => changed.map_err(|_| LinkError::StreamEnded)?,
        () = sender.stopped() => return Err(LinkError::StreamEnded),
    }
    tokio::time::sleep(COALESCE).await;
    changes.borrow_and_update();
    Ok(())
}
