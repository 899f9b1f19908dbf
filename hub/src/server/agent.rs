//! An agent's connection: rows in, acknowledgements out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sysmon_link::{CloseCode, FrameReceiver, FrameSender, LinkError, PeerSession};
use sysmon_wire::message::{FromAgent, Push, RunId, ToAgent};
use sysmon_wire::{Label, SeqSet};
use thiserror::Error;

use super::limits::Pace;
use super::{Hub, now, renewal};
use crate::fleet::HostId;
use crate::ingest::{IngestError, RowStream};

/// A host's clock is known from its hello. Later rows correct that when they come from further ahead
/// than this, or from further behind than a sample and its way can take.
const CLOCK_STEP_MS: std::ops::RangeInclusive<i64> = -3_000..=250;

/// Names that take as long to note as a row.
const NAMES_PER_ROW: u64 = 16;

/// Frames of rows that wait for their acknowledgement: an hour of them.
const SETTLED_MAX: usize = 4_096;

/// Rows taken in but not yet acknowledged.
type Settled = Arc<Mutex<Vec<Taken>>>;

/// Rows that can be acknowledged once the fleet is durable up to a generation.
#[derive(Debug)]
struct Taken {
    generation: u64,
    run: RunId,
    rows: SeqSet,
}

/// Notes rows that can be acknowledged later; an error if there are too many already.
fn settle(settled: &mut Vec<Taken>, taken: Taken) -> Result<(), StreamError> {
    if settled.len() < SETTLED_MAX {
        settled.push(taken);
        return Ok(());
    }
    // Where the disk takes nothing for long they are acknowledged together, and later.
    let last = settled.last_mut().filter(|last| last.run == taken.run);
    let last = last.ok_or(StreamError::Unacknowledged)?;
    last.generation = taken.generation;
    let ranges = taken.rows.ranges().iter();
    ranges.for_each(|&(low, high)| last.rows.insert_range(low, high));
    Ok(())
}

/// The acknowledgements of rows that are durable up to `generation`, which are removed.
fn due(settled: &mut Vec<Taken>, generation: u64) -> Vec<ToAgent> {
    let mut rows: Vec<(RunId, SeqSet)> = Vec::new();
    settled.retain(|taken| {
        let is_due = taken.generation <= generation;
        if is_due {
            let at = rows.iter().position(|(run, _)| *run == taken.run);
            let at = at.unwrap_or_else(|| {
                rows.push((taken.run, SeqSet::new()));
                rows.len() - 1
            });
            if let Some((_, set)) = rows.get_mut(at) {
                let ranges = taken.rows.ranges().iter();
                ranges.for_each(|&(low, high)| set.insert_range(low, high));
            }
        }
        !is_due
    });
    let ack = |(run, set): (RunId, SeqSet)| ToAgent::Ack {
        run,
        ranges: set.ranges().to_vec(),
    };
    rows.into_iter().map(ack).collect()
}

/// Why an agent's stream was broken off.
#[derive(Debug, Error)]
enum StreamError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error("rows of too many runs wait for their acknowledgement")]
    Unacknowledged,
}

/// Serves an agent until it leaves; returns why it left.
pub(super) async fn serve(hub: &Arc<Hub>, session: PeerSession) -> LinkError {
    let name = Label::new(session.certificate.peer.name.as_str());
    let offset = session.clock_offset_ms(now());
    let host = {
        let mut fleet = hub.fleet();
        let host = fleet.host_id(&name);
        if let Ok(id) = host {
            fleet.set_clock_offset(id, offset, now());
        }
        host
    };
    let host = match host {
        Ok(host) => host,
        Err(error) => {
            hub.count_refusal();
            session
                .connection
                .close(CloseCode::Limit.into(), error.to_string().as_bytes());
            return LinkError::Refused(error.to_string());
        }
    };
    let PeerSession {
        connection,
        certificate,
        sender,
        receiver,
        ..
    } = session;
    let settled = Settled::default();
    tokio::select! {
        error = listen(hub, host, receiver) => error,
        error = answer(hub, host, sender, &settled) => error,
        error = take_streams(hub, host, &name, &connection, &settled) => error,
        error = renewal::serve(hub, &connection, &certificate) => error,
    }
}

async fn listen(hub: &Hub, host: HostId, mut receiver: FrameReceiver) -> LinkError {
    let mut pace = Pace::new(Instant::now());
    loop {
        let wait = pace.count(1, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        match receiver.next::<FromAgent>().await {
            Ok(Some(FromAgent::Facts(facts))) => {
                let mut fleet = hub.fleet();
                fleet.set_facts(host, facts);
                let generation = fleet.generation();
                drop(fleet);
                hub.announce(generation);
            }
            Ok(Some(FromAgent::Processes { time, processes })) => {
                let mut fleet = hub.fleet();
                fleet.take_processes(host, time, processes);
                let generation = fleet.generation();
                drop(fleet);
                hub.announce(generation);
            }
            Ok(Some(FromAgent::Notes(notes))) => hub.fleet().set_notes(host, notes),
            Ok(None) => return LinkError::StreamEnded,
            Err(error) => return error,
        }
    }
}

/// Tells the agent which rows are durable, and what those who look want of it.
async fn answer(hub: &Hub, host: HostId, mut sender: FrameSender, settled: &Settled) -> LinkError {
    let mut durable = hub.durable.clone();
    let mut demanded = hub.demands.subscribe();
    let mut again = None;
    loop {
        let is_alive = tokio::select! {
            () = sleep_until(again) => true,
            changed = durable.changed() => changed.is_ok(),
            changed = demanded.changed() => changed.is_ok(),
        };
        if !is_alive {
            return LinkError::StreamEnded;
        }
        let generation = *durable.borrow_and_update();
        let wanted = hub.demands.due(host);
        if wanted.is_over {
            hub.fleet().forget_processes(host);
        }
        again = wanted.again;
        let mut orders = wanted.orders;
        orders.extend(due(
            &mut settled.lock().unwrap_or_else(PoisonError::into_inner),
            generation,
        ));
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

/// Waits until a moment; for ever if there is none.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

async fn take_streams(
    hub: &Arc<Hub>,
    host: HostId,
    name: &Label,
    connection: &sysmon_link::Connection,
    settled: &Settled,
) -> LinkError {
    loop {
        let stream = match connection.accept_uni().await {
            Ok(stream) => FrameReceiver::new(stream),
            Err(error) => return error.into(),
        };
        let (hub, name, settled) = (Arc::clone(hub), name.clone(), Arc::clone(settled));
        // Ends with the connection: then its stream fails.
        tokio::spawn(async move {
            if let Err(error) = take_rows(&hub, host, stream, &settled).await {
                hub.count_refusal();
                tracing::warn!("broke off a stream of agent {name}: {error}");
            }
        });
    }
}

/// How many series or processes a frame defines.
fn names_in(frame: &Push) -> u64 {
    match frame {
        Push::Series(table) => table.len() as u64,
        Push::Processes(processes) => processes.len() as u64,
        Push::Begin { .. } | Push::Rows(_) | Push::Keyframe(_) => 0,
    }
}

async fn take_rows(
    hub: &Hub,
    host: HostId,
    mut stream: FrameReceiver,
    settled: &Settled,
) -> Result<(), StreamError> {
    let mut rows = RowStream::new(host);
    let mut pace = Pace::new(Instant::now());
    let mut durable = hub.durable.clone();
    loop {
        let frame = match stream.next::<Push>().await {
            Ok(Some(frame)) => frame,
            // The connection's end is told once, where it is served.
            Ok(None) | Err(LinkError::Lost(_)) => return Ok(()),
            Err(error) => {
                stream.stop(CloseCode::Protocol);
                return Err(error.into());
            }
        };
        let named = names_in(&frame);
        let result = {
            let mut fleet = hub.fleet();
            let result = rows.take(frame, &mut fleet, now());
            let ahead_ms = result.as_ref().ok().and_then(|taken| taken.ahead_ms);
            let known = fleet.host(host).map_or(0, |host| host.clock_offset_ms);
            if let Some(ahead_ms) =
                ahead_ms.filter(|ahead| !CLOCK_STEP_MS.contains(&(ahead - known)))
            {
                fleet.set_clock_offset(host, ahead_ms, now());
            }
            let (generation, news) = (fleet.generation(), fleet.take_news());
            drop(fleet);
            hub.announce(generation);
            hub.tell_news(news);
            result.map(|taken| (generation, taken))
        };
        let noted = result.map_err(StreamError::from);
        let noted = noted.and_then(|(generation, taken)| {
            let Some((run, rows)) = taken.settled.filter(|(_, rows)| !rows.is_empty()) else {
                return Ok(0);
            };
            let count = rows.len();
            let taken = Taken {
                generation,
                run,
                rows,
            };
            settle(
                &mut settled.lock().unwrap_or_else(PoisonError::into_inner),
                taken,
            )?;
            Ok(count)
        });
        let rows = noted.inspect_err(|_| stream.stop(CloseCode::Protocol))?;
        // A frame costs something even if there is nothing in it, and names cost more.
        let cost = rows.max(1) + named / NAMES_PER_ROW;
        let wait = pace.count(cost, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        // While the disk takes nothing the agent keeps its rows, and they wait there.
        while hub.fleet().is_unsaved_full() && durable.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(run: u64, seq: u64) -> Taken {
        let mut rows = SeqSet::new();
        rows.insert(seq);
        Taken {
            generation: seq,
            run: RunId(run),
            rows,
        }
    }

    #[test]
    fn what_waits_for_its_acknowledgement_is_bounded() {
        let mut settled = Vec::new();
        for seq in 1..=2 * SETTLED_MAX as u64 {
            settle(&mut settled, taken(1, seq)).unwrap();
        }
        assert_eq!(settled.len(), SETTLED_MAX);
        assert!(settle(&mut settled, taken(2, 1)).is_err());
        let acks = due(&mut settled, u64::MAX);
        let all = ToAgent::Ack {
            run: RunId(1),
            ranges: vec![(1, 2 * SETTLED_MAX as u64)],
        };
        assert_eq!(acks, [all]);
    }
}
