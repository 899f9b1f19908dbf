//! An agent's connection: rows in, acknowledgements and demand out.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use sysmon_link::{CloseCode, FrameReceiver, FrameSender, LinkError, PeerSession};
use sysmon_wire::message::{FromAgent, Push, RunId, ToAgent};
use sysmon_wire::{Label, SeqSet};
use thiserror::Error;
use tokio::sync::Notify;

use super::budget::{NAME_COST, ROW_COST_MIN};
use super::{Hub, certificates};
use crate::fleet::HostId;
use crate::ingest::{IngestError, Ingested, RowStream};
use crate::lock;

/// A host's clock offset is known from its hello. Rows correct it when they come from further ahead than this,
/// or from further behind than sampling and transport take.
const CLOCK_STEP_MS: std::ops::RangeInclusive<i64> = -3_000..=250;

/// Values of rows that are taken at once; between, other tasks run.
const VALUES_AT_ONCE: usize = 50_000;

/// What a report costs, in values of rows: that of all processes is the longest.
const REPORT_COST: u64 = 20_000;

/// Unacknowledged frames of rows: an hour of them.
const UNACKNOWLEDGED_MAX: usize = 4_096;

/// What the agent has to learn once it is durable.
#[derive(Debug, Default)]
struct Unacknowledged {
    rows: Mutex<Vec<Received>>,
    /// What is there of the runs in the agent's spool; some once the agent has asked.
    spooled: Mutex<Option<Spooled>>,
    /// Signalled when the agent has asked.
    asked: Notify,
}

#[derive(Debug)]
struct Spooled {
    generation: u64,
    runs: Vec<(RunId, SeqSet)>,
}

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
    runs.into_iter().map(acknowledgement).collect()
}

fn acknowledgement((run, rows): (RunId, SeqSet)) -> ToAgent {
    ToAgent::Ack {
        run,
        ranges: rows.ranges().to_vec(),
    }
}

impl Unacknowledged {
    fn take_durable(&self, generation: u64) -> Vec<ToAgent> {
        let mut orders = take_durable(&mut lock(&self.rows), generation);
        let is_durable = |spooled: &mut Spooled| spooled.generation <= generation;
        if let Some(spooled) = lock(&self.spooled).take_if(is_durable) {
            orders.extend(spooled.runs.into_iter().map(acknowledgement));
            orders.push(ToAgent::Backfill);
        }
        orders
    }

    /// Notes which rows of the runs in the agent's spool are there, to acknowledge them.
    fn note_spooled(&self, hub: &Hub, host: HostId, runs: &[RunId]) {
        let core = hub.core();
        let host = core.fleet.host(host);
        let runs = host.map_or_else(Vec::new, |host| host.rows_of_runs(runs));
        let spooled = Spooled {
            generation: core.fleet.generation(),
            runs,
        };
        drop(core);
        *lock(&self.spooled) = Some(spooled);
        self.asked.notify_one();
    }
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
    let unacknowledged = Arc::<Unacknowledged>::default();
    tokio::select! {
        error = receive_reports(hub, host, receiver, &unacknowledged) => error,
        error = send_orders(hub, host, sender, &unacknowledged) => error,
        error = accept_streams(hub, host, &name, &connection, &unacknowledged) => error,
        error = certificates::serve_renewals(hub, &connection, &certificate) => error,
    }
}

/// Charges a host's budget; waits until it is not overdrawn, and lets others run in any case.
async fn charge(hub: &Hub, host: HostId, is_live: bool, values: u64) {
    let wait = hub
        .budgets
        .charge(host, is_live, values, hub.clock.instant());
    if wait.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(wait).await;
    }
}

async fn receive_reports(
    hub: &Hub,
    host: HostId,
    mut receiver: FrameReceiver,
    unacknowledged: &Unacknowledged,
) -> LinkError {
    loop {
        charge(hub, host, false, REPORT_COST).await;
        match receiver.next::<FromAgent>().await {
            Ok(Some(FromAgent::Spooled(runs))) => unacknowledged.note_spooled(hub, host, &runs),
            Ok(Some(report)) => hub.update(|core| match report {
                FromAgent::Facts(mut facts) => {
                    // From now on the agent's host, whatever sent its rows before.
                    facts.source = Label::new("");
                    core.fleet.set_facts(host, facts);
                }
                FromAgent::Processes { time, processes } => {
                    core.fleet.set_processes(host, time, processes);
                }
                FromAgent::Arguments(arguments) => core.fleet.set_arguments(host, arguments),
                FromAgent::Notes(notes) => core.fleet.set_notes(host, notes),
                FromAgent::Limits(limits) => core.fleet.set_limits(host, limits),
                FromAgent::Spooled(_) => {}
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
            () = unacknowledged.asked.notified() => true,
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
        orders.extend(unacknowledged.take_durable(generation));
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
    unacknowledged: &Arc<Unacknowledged>,
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
        let cost = ROW_COST_MIN + names_in(&frame) * NAME_COST;
        let received = hub.update(|core| rows.receive(frame, core, hub.now()));
        received.inspect_err(|_| stream.stop(CloseCode::Protocol))?;
        charge(hub, host, rows.is_live(), cost).await;
        loop {
            let part = apply(hub, host, &mut rows).map_err(StreamError::from);
            let count = part.and_then(|part| match part {
                Some(part) => acknowledge_later(unacknowledged, part).map(Some),
                None => Ok(None),
            });
            let count = count.inspect_err(|_| stream.stop(CloseCode::Protocol))?;
            let Some(count) = count else { break };
            let cost = count * ROW_COST_MIN.max(rows.width() as u64);
            charge(hub, host, rows.is_live(), cost).await;
        }
        // While commits hang the agent's rows stay in its spool.
        while hub.core().fleet.is_unsaved_full() && durable.changed().await.is_ok() {}
    }
}

/// Adds some of a frame's rows to the core; returns the generation that has them, and none if all of them are there.
fn apply(
    hub: &Hub,
    host: HostId,
    rows: &mut RowStream,
) -> Result<Option<(u64, Ingested)>, IngestError> {
    hub.update(|core| {
        let Some(ingested) = rows.apply(core, hub.now(), VALUES_AT_ONCE)? else {
            return Ok(None);
        };
        let known = core.fleet.host(host).map_or(0, |host| host.clock_offset_ms);
        let is_step = |ahead: &i64| !CLOCK_STEP_MS.contains(&(ahead - known));
        if let Some(ahead_ms) = ingested.ahead_ms.filter(is_step) {
            core.set_clock_offset(host, ahead_ms, hub.now());
        }
        Ok(Some((core.fleet.generation(), ingested)))
    })
}

/// Notes that rows have to be acknowledged once they are durable; returns how many.
fn acknowledge_later(
    unacknowledged: &Unacknowledged,
    (generation, ingested): (u64, Ingested),
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
    add(&mut lock(&unacknowledged.rows), received)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
