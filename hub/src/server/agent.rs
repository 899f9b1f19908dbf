//! An agent's connection: rows in, acknowledgements and demand out.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use sysmon_link::{CloseCode, FrameReceiver, FrameSender, LinkError, PeerSession, TokenBucket};
use sysmon_wire::message::{FromAgent, Push, RunId, ToAgent};
use sysmon_wire::{Label, SeqSet};
use thiserror::Error;

use super::{Hub, certificates};
use crate::fleet::HostId;
use crate::ingest::{IngestError, Ingested, RowStream};
use crate::lock;

/// A host's clock offset is known from its hello. Rows correct it when they come from further ahead than this,
/// or from further behind than sampling and transport take.
const CLOCK_STEP_MS: std::ops::RangeInclusive<i64> = -3_000..=250;

/// Rows that one stream may send in a second. A day of backfill takes three quarters of a minute; a faster agent
/// is read more slowly and spools the rest.
const ROWS_PER_SECOND: f64 = 2_000.0;

/// Rows that may come at once: two of the largest frames.
const ROWS_AT_ONCE: f64 = 1_200.0;

const NAMES_PER_ROW: u64 = 16;

/// Unacknowledged frames of rows: an hour of them.
const UNACKNOWLEDGED_MAX: usize = 4_096;

type Unacknowledged = Arc<Mutex<Vec<Received>>>;

#[derive(Debug)]
struct Received {
    generation: u64,
    run: RunId,
    rows: SeqSet,
}

fn insert_all(rows: &mut SeqSet, others: &SeqSet) {
    for &(low, high) in others.ranges() {
        rows.insert_range(low, high);
    }
}

/// Adds rows that are acknowledged later; an error if there are too many already.
fn add(unacknowledged: &mut Vec<Received>, received: Received) -> Result<(), StreamError> {
    if unacknowledged.len() < UNACKNOWLEDGED_MAX {
        unacknowledged.push(received);
        return Ok(());
    }
    // While commits hang for long, rows of a run are acknowledged together, with the last of them.
    let last = unacknowledged.last_mut();
    let last = last.filter(|last| last.run == received.run);
    let last = last.ok_or(StreamError::Unacknowledged)?;
    last.generation = received.generation;
    insert_all(&mut last.rows, &received.rows);
    Ok(())
}

/// Removes the rows that are durable up to `generation`, and returns their acknowledgements.
fn take_durable(unacknowledged: &mut Vec<Received>, generation: u64) -> Vec<ToAgent> {
    let mut runs: Vec<(RunId, SeqSet)> = Vec::new();
    let is_durable = |received: &mut Received| received.generation <= generation;
    for received in unacknowledged.extract_if(.., is_durable) {
        match runs.iter_mut().find(|(run, _)| *run == received.run) {
            Some((_, rows)) => insert_all(rows, &received.rows),
            None => runs.push((received.run, received.rows)),
        }
    }
    let ack = |(run, rows): (RunId, SeqSet)| ToAgent::Ack {
        run,
        ranges: rows.ranges().to_vec(),
    };
    runs.into_iter().map(ack).collect()
}

#[derive(Debug, Error)]
enum StreamError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("rows of too many runs are unacknowledged")]
    Unacknowledged,
}

pub(super) async fn serve(hub: &Arc<Hub>, session: PeerSession) -> LinkError {
    let _counted = hub.agents.count();
    let name = Label::new(session.certificate.peer.name.as_str());
    let offset = session.clock_offset_ms(hub.now());
    let host = hub.update(|core| {
        let id = core.host_id(&name)?;
        core.set_clock_offset(id, offset, hub.now());
        Ok::<_, crate::fleet::FleetError>(id)
    });
    let host = match host {
        Ok(host) => host,
        Err(error) => {
            hub.count_refusal();
            let reason = error.to_string();
            session
                .connection
                .close(CloseCode::Limit.into(), reason.as_bytes());
            return LinkError::Refused(reason);
        }
    };
    let PeerSession {
        connection,
        certificate,
        sender,
        receiver,
        ..
    } = session;
    let unacknowledged = Unacknowledged::default();
    tokio::select! {
        error = receive_reports(hub, host, receiver) => error,
        error = send_orders(hub, host, sender, &unacknowledged) => error,
        error = accept_streams(hub, host, &name, &connection, &unacknowledged) => error,
        error = certificates::serve_renewals(hub, &connection, &certificate) => error,
    }
}

fn row_limit(hub: &Hub) -> TokenBucket {
    TokenBucket::new(ROWS_PER_SECOND, ROWS_AT_ONCE, hub.clock.instant())
}

async fn wait_for(limit: &mut TokenBucket, cost: u64, now: Instant) {
    let wait = limit.charge(cost as f64, now);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

async fn receive_reports(hub: &Hub, host: HostId, mut receiver: FrameReceiver) -> LinkError {
    let mut limit = row_limit(hub);
    loop {
        wait_for(&mut limit, 1, hub.clock.instant()).await;
        match receiver.next::<FromAgent>().await {
            Ok(Some(report)) => hub.update(|core| match report {
                FromAgent::Facts(facts) => core.fleet.set_facts(host, facts),
                FromAgent::Processes { time, processes } => {
                    core.fleet.set_processes(host, time, processes);
                }
                FromAgent::Notes(notes) => core.fleet.set_notes(host, notes),
                FromAgent::Limits(limits) => core.fleet.set_limits(host, limits),
            }),
            Ok(None) => return LinkError::StreamEnded,
            Err(error) => return error,
        }
    }
}

/// Acknowledges durable rows, and passes on what subscribers need of the agent.
async fn send_orders(
    hub: &Hub,
    host: HostId,
    mut sender: FrameSender,
    unacknowledged: &Unacknowledged,
) -> LinkError {
    let mut durable = hub.durable.clone();
    let mut demand = hub.demand.subscribe();
    let mut again = None;
    loop {
        let is_alive = tokio::select! {
            () = sleep_until(again) => true,
            changed = durable.changed() => changed.is_ok(),
            changed = demand.changed() => changed.is_ok(),
        };
        if !is_alive {
            return LinkError::StreamEnded;
        }
        let generation = *durable.borrow_and_update();
        let due = hub.demand.due(host);
        if due.has_ended {
            hub.update(|core| core.fleet.drop_processes(host));
        }
        again = due.again;
        let mut orders = due.orders;
        orders.extend(take_durable(&mut lock(unacknowledged), generation));
        if orders.is_empty() {
            continue;
        }
        for order in &orders {
            if let Err(error) = sender.queue(order) {
                return error;
            }
        }
        if let Err(error) = sender.flush().await {
            return error;
        }
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

async fn accept_streams(
    hub: &Arc<Hub>,
    host: HostId,
    name: &Label,
    connection: &sysmon_link::Connection,
    unacknowledged: &Unacknowledged,
) -> LinkError {
    loop {
        let stream = match connection.accept_uni().await {
            Ok(stream) => FrameReceiver::new(stream),
            Err(error) => return error.into(),
        };
        let (hub, name) = (Arc::clone(hub), name.clone());
        let unacknowledged = Arc::clone(unacknowledged);
        // The task ends with the connection: then its stream fails.
        tokio::spawn(async move {
            if let Err(error) = receive_rows(&hub, host, stream, &unacknowledged).await {
                hub.count_refusal();
                tracing::warn!(agent = %name, %error, "stream of rows ended by the hub");
            }
        });
    }
}

fn names_in(frame: &Push) -> u64 {
    match frame {
        Push::Series(table) => table.len() as u64,
        Push::Processes(processes) => processes.len() as u64,
        Push::Begin { .. } | Push::Rows(_) | Push::Keyframe(_) => 0,
    }
}

async fn receive_rows(
    hub: &Hub,
    host: HostId,
    mut stream: FrameReceiver,
    unacknowledged: &Unacknowledged,
) -> Result<(), StreamError> {
    let mut rows = RowStream::new(host);
    let mut limit = row_limit(hub);
    let mut durable = hub.durable.clone();
    loop {
        let frame = match stream.next::<Push>().await {
            Ok(Some(frame)) => frame,
            // The end of the connection is logged once, where it is served.
            Ok(None) | Err(LinkError::Lost(_)) => return Ok(()),
            Err(error) => {
                stream.stop(CloseCode::Protocol);
                return Err(error.into());
            }
        };
        let names = names_in(&frame);
        let ingested = ingest(hub, host, &mut rows, frame).map_err(StreamError::from);
        let count = ingested
            .and_then(|(generation, ingested)| {
                acknowledge_later(unacknowledged, generation, ingested)
            })
            .inspect_err(|_| stream.stop(CloseCode::Protocol))?;
        // Every frame costs something even if it is empty, and names cost more.
        let cost = count.max(1) + names / NAMES_PER_ROW;
        wait_for(&mut limit, cost, hub.clock.instant()).await;
        // While commits hang the agent's rows stay in its spool.
        while hub.core().fleet.is_unsaved_full() && durable.changed().await.is_ok() {}
    }
}

/// Adds a frame's content to the core; returns the generation that has it.
fn ingest(
    hub: &Hub,
    host: HostId,
    rows: &mut RowStream,
    frame: Push,
) -> Result<(u64, Ingested), IngestError> {
    hub.update(|core| {
        let ingested = rows.ingest(frame, core, hub.now())?;
        let known = core.fleet.host(host).map_or(0, |host| host.clock_offset_ms);
        let is_step = |ahead: &i64| !CLOCK_STEP_MS.contains(&(ahead - known));
        if let Some(ahead_ms) = ingested.ahead_ms.filter(is_step) {
            core.set_clock_offset(host, ahead_ms, hub.now());
        }
        Ok((core.fleet.generation(), ingested))
    })
}

/// Notes that rows have to be acknowledged once they are durable; returns how many.
fn acknowledge_later(
    unacknowledged: &Unacknowledged,
    generation: u64,
    ingested: Ingested,
) -> Result<u64, StreamError> {
    let Some((run, rows)) = ingested.rows.filter(|(_, rows)| !rows.is_empty()) else {
        return Ok(0);
    };
    let count = rows.len();
    let received = Received {
        generation,
        run,
        rows,
    };
    add(&mut lock(unacknowledged), received)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sysmon_clock::Clock;

    fn received(run: u64, seq: u64) -> Received {
        let mut rows = SeqSet::new();
        rows.insert(seq);
        Received {
            generation: seq,
            run: RunId(run),
            rows,
        }
    }

    #[test]
    fn unacknowledged_rows_are_bounded() {
        let mut unacknowledged = Vec::new();
        for seq in 1..=2 * UNACKNOWLEDGED_MAX as u64 {
            add(&mut unacknowledged, received(1, seq)).unwrap();
        }
        assert_eq!(unacknowledged.len(), UNACKNOWLEDGED_MAX);
        assert!(add(&mut unacknowledged, received(2, 1)).is_err());
        let acks = take_durable(&mut unacknowledged, u64::MAX);
        let all = ToAgent::Ack {
            run: RunId(1),
            ranges: vec![(1, 2 * UNACKNOWLEDGED_MAX as u64)],
        };
        assert_eq!(acks, [all]);
    }

    #[test]
    fn ten_rows_a_second_never_wait_and_a_flood_does() {
        let start = Clock::system().instant();
        let mut limit = TokenBucket::new(ROWS_PER_SECOND, ROWS_AT_ONCE, start);
        for tenth in 0..1_000 {
            let now = start + Duration::from_millis(tenth * 100);
            assert_eq!(limit.charge(1.0, now), Duration::ZERO);
        }
        let now = start + Duration::from_secs(200);
        assert_eq!(limit.charge(600.0, now), Duration::ZERO);
        assert_eq!(limit.charge(600.0, now), Duration::ZERO);
        assert_eq!(limit.charge(2_000.0, now), Duration::from_secs(1));
    }
}
