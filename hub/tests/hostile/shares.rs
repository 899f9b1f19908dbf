//! Agents that take more than their share: of the hub's time and of its memory.

use std::time::Duration;

use sysmon_certs::Role;
use sysmon_hub::host::STORED_SERIES_MAX;
use sysmon_hub::limits::STORED_SERIES;
use sysmon_wire::limits::{FRAME_BYTES_MAX, ROWS_PER_FRAME_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::message::{Blob, Lane, Push, RunId};
use sysmon_wire::metrics::CPU_UTILIZATION;
use sysmon_wire::{RowEncoder, SeriesKey, SeriesTable, UnixMs};

use crate::raw::frame;
use crate::scene::Scene;

/// The longest that a row of an honest agent may take to become durable.
const DURABLE_WITHIN: Duration = Duration::from_secs(2);

fn keys(prefix: &str) -> Vec<SeriesKey> {
    let name = |n: usize| format!("{prefix}{n}");
    let key = |n| CPU_UTILIZATION.series(&[("cpu.logical_number", &name(n))]);
    (0..SERIES_PER_HOST_MAX).map(key).collect()
}

/// A keyframe of `rows` rows, of which all but the first are three bytes long but have a value for every series.
fn many_short_rows(rows: usize, first: u64) -> Vec<u8> {
    let mut encoder = RowEncoder::new();
    let mut block = Vec::new();
    let start = UnixMs::from_system(std::time::SystemTime::now());
    let mut last = 0;
    for n in 0..3 {
        last = block.len();
        let time = start - (rows as i64 - n);
        encoder.encode(
            first + n as u64,
            time,
            &[7; SERIES_PER_HOST_MAX],
            &mut block,
        );
    }
    // From the third on all are encoded alike.
    let row = block.split_off(last);
    let room = (FRAME_BYTES_MAX - 100 - block.len()) / row.len();
    block.extend(row.repeat((rows - 2).min(room)));
    frame(&Push::Keyframe(Blob(block)))
}

fn opening(run: u64, prefix: &str) -> Vec<u8> {
    let begin = Push::Begin {
        run: RunId(run),
        lane: Lane::Backfill,
    };
    let table = SeriesTable::new(&keys(prefix));
    [frame(&begin), frame(&Push::Series(table))].concat()
}

/// Once a single frame stalled the hub for ten seconds and more.
#[tokio::test]
async fn many_short_rows_of_many_series_delay_nobody_else() {
    let scene = Scene::new().await;
    scene.all_rows_were_durable_within(Duration::MAX);
    let evil = scene.session(Role::Agent, "evil").await;
    for run in 1..=3 {
        let mut stream = evil.connection.open_uni().await.unwrap();
        let rows = ROWS_PER_FRAME_MAX as u64;
        let frames = (0..60).map(|n| many_short_rows(ROWS_PER_FRAME_MAX, 1 + n * rows));
        let bytes = [opening(run, ""), frames.collect::<Vec<_>>().concat()].concat();
        tokio::spawn(async move { stream.write_all(&bytes).await.map(|()| stream) });
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(scene.health("evil").rows > 0, "they are taken, but slowly");
    scene.all_rows_were_durable_within(DURABLE_WITHIN);
    drop(evil);
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_frame_of_hundreds_of_thousands_of_rows_ends_its_stream() {
    let scene = Scene::new().await;
    scene.all_rows_were_durable_within(Duration::MAX);
    let before = scene.refusals();
    let evil = scene.session(Role::Agent, "evil").await;
    let mut stream = evil.connection.open_uni().await.unwrap();
    let bytes = [opening(1, ""), many_short_rows(400_000, 1)].concat();
    stream.write_all(&bytes).await.unwrap();
    scene
        .until("the stream is ended", || scene.refusals() > before)
        .await;
    assert!(scene.health("evil").rows <= ROWS_PER_FRAME_MAX as u64);
    scene.all_rows_were_durable_within(DURABLE_WITHIN);
    scene.stays_unharmed().await;
}

/// Once each name was in the hub's memory for good, whether it fitted the limit or not.
#[tokio::test]
async fn names_of_ever_new_series_are_stored_up_to_a_limit_and_not_remembered_beyond() {
    let scene = Scene::new().await;
    let runs = (STORED_SERIES_MAX / SERIES_PER_HOST_MAX) as u64 + 1;
    for run in 1..=runs {
        let evil = scene.session(Role::Agent, "evil").await;
        let mut stream = evil.connection.open_uni().await.unwrap();
        let bytes = [opening(run, &format!("run-{run}-")), many_short_rows(2, 1)].concat();
        stream.write_all(&bytes).await.unwrap();
        let rows = 2 * run;
        scene
            .until("the rows are stored", || scene.health("evil").rows >= rows)
            .await;
    }
    assert_eq!(scene.health("evil").series, STORED_SERIES_MAX as u32);
    let limits = scene.hub.status().limits;
    let of_evil = limits.iter().find(|limit| limit.host.is_some());
    let state = &of_evil.unwrap().state;
    assert_eq!(
        (state.name.as_str(), state.reached_total),
        (STORED_SERIES, SERIES_PER_HOST_MAX as u64)
    );
    let known = scene.hub.core().fleet.known_keys();
    assert!(known < STORED_SERIES_MAX + SERIES_PER_HOST_MAX, "{known}");
    scene.all_rows_were_durable_within(DURABLE_WITHIN);
    scene.stays_unharmed().await;
}
