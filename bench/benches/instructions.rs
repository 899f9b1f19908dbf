//! Instruction counts of the hot paths: independent of the machine and its load.
//!
//! Counted by valgrind, once each; run by `bench/instructions.sh`. Setup is not counted.
#![expect(clippy::unwrap_used, reason = "a bench that panics has failed")]
#![expect(missing_docs, reason = "the macros generate public items")]

use std::hint::black_box;

use gungraun::prelude::*;
use sysmon_bench::recording::Recording;
use sysmon_series::{Chunk, ROWS_PER_CHUNK, Ring, Table};
use sysmon_wire::message::{FleetUpdate, HostHealth, HostLine, HostState, HostTick, Spark};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{HostFacts, RowDecoder, RowEncoder, UnixMs, codec};

/// Rows before the counted one: the first is a keyframe, unlike the others.
const BEFORE: usize = 100;

/// Rows of the ring that is read: an hour, and unsealed rows.
const RING_ROWS: usize = 8 * ROWS_PER_CHUNK + 256;

const HOSTS: u32 = 100;

fn time_of(row: usize) -> UnixMs {
    UnixMs(1_700_000_000_000 + row as i64 * 1000)
}

fn rows(count: usize) -> Vec<Vec<i64>> {
    let recording = Recording::load().unwrap();
    let mut player = recording.play();
    (0..count).map(|_| player.next_row().to_vec()).collect()
}

/// A ring of all rows but the last, and the last row.
fn ring(count: usize) -> (Ring, Vec<i64>) {
    let mut rows = rows(count);
    let last = rows.pop().unwrap();
    let mut ring = Ring::new();
    for (row, values) in rows.iter().enumerate() {
        ring.append(time_of(row), values).unwrap();
    }
    (ring, last)
}

fn columns() -> (Vec<i64>, Vec<Vec<i64>>) {
    let rows = rows(ROWS_PER_CHUNK);
    let series = rows.first().unwrap().len();
    let column = |series: usize| rows.iter().map(|row| row[series]).collect();
    let times = (0..ROWS_PER_CHUNK).map(|row| time_of(row).0).collect();
    (times, (0..series).map(column).collect())
}

/// A sealed chunk, and its series that changes most or least.
fn chunk(busiest: bool) -> (Chunk, u32) {
    let (times, columns) = columns();
    let changes = |column: &Vec<i64>| column.windows(2).filter(|w| w[0] != w[1]).count();
    let by_changes = |&series: &usize| changes(&columns[series]);
    let series = if busiest {
        (0..columns.len()).max_by_key(by_changes)
    } else {
        (0..columns.len()).min_by_key(by_changes)
    };
    let chunk = Chunk::seal(&times, columns.iter().map(Vec::as_slice)).unwrap();
    (chunk, series.unwrap() as u32)
}

fn encoder() -> (RowEncoder, Vec<i64>, Vec<u8>) {
    let mut rows = rows(BEFORE + 1);
    let last = rows.pop().unwrap();
    let (mut encoder, mut out) = (RowEncoder::new(), Vec::with_capacity(1 << 20));
    for (row, values) in rows.iter().enumerate() {
        encoder.encode(row as u64 + 1, time_of(row), values, &mut out);
    }
    (encoder, last, out)
}

/// A decoder after all rows but the last, the encoded last row, and the number of series.
fn decoder() -> (RowDecoder, Vec<u8>, usize) {
    let (mut encoder, last, mut out) = encoder();
    let start = out.len();
    encoder.encode(BEFORE as u64 + 1, time_of(BEFORE), &last, &mut out);
    let (mut before, last_row) = out.split_at(start);
    let mut decoder = RowDecoder::new();
    while decoder.decode(&mut before, last.len()).unwrap().is_some() {}
    (decoder, last_row.to_vec(), last.len())
}

fn fleet() -> FleetUpdate {
    let line = |index: u32| HostLine {
        index,
        name: format!("host-{index}").as_str().into(),
        facts: HostFacts::unknown(),
        health: HostHealth::default(),
        notes: Vec::new(),
        alerts: Vec::new(),
    };
    let tick = |index: u32| HostTick {
        index,
        state: HostState::Live,
        time: time_of(index as usize),
        values: (0..SUMMARY as i64).map(|n| n * 1_000_000).collect(),
    };
    let spark = |index: u32| Spark {
        index,
        alias: 0,
        end: time_of(0),
        points: (0..60).map(|n| n * 7 % 1000).collect(),
    };
    FleetUpdate {
        gone: Vec::new(),
        now: time_of(0),
        lines: (0..HOSTS).map(line).collect(),
        ticks: (0..HOSTS).map(tick).collect(),
        sparks: (0..HOSTS).map(spark).collect(),
    }
}

fn encoded_fleet() -> Vec<u8> {
    let mut out = Vec::new();
    codec::encode(&fleet(), &mut out).unwrap();
    out
}

#[library_benchmark]
#[bench::to_the_head(ring(BEFORE + 1))]
#[bench::and_seal(ring(ROWS_PER_CHUNK))]
fn append((mut ring, row): (Ring, Vec<i64>)) -> Ring {
    ring.append(time_of(ROWS_PER_CHUNK), &row).unwrap();
    black_box(ring)
}

#[library_benchmark]
#[bench::chunk(columns())]
fn seal((times, columns): (Vec<i64>, Vec<Vec<i64>>)) -> Chunk {
    black_box(Chunk::seal(&times, columns.iter().map(Vec::as_slice)).unwrap())
}

#[library_benchmark]
#[bench::busiest(chunk(true))]
#[bench::constant(chunk(false))]
fn column((chunk, series): (Chunk, u32)) -> (Chunk, Vec<i64>) {
    let mut out = Vec::new();
    assert!(chunk.values(series, &mut out).unwrap());
    black_box((chunk, out))
}

#[library_benchmark]
#[bench::an_hour_of_the_past(ring(RING_ROWS), 0)]
#[bench::the_newest_hour(ring(RING_ROWS), RING_ROWS - 3600)]
fn read((ring, _): (Ring, Vec<i64>), first: usize) -> (Ring, Table) {
    let table = ring.read(&[0], time_of(first), time_of(first + 3599));
    black_box((ring, table.unwrap()))
}

#[library_benchmark]
#[bench::row(encoder())]
fn encode_row(
    (mut encoder, row, mut out): (RowEncoder, Vec<i64>, Vec<u8>),
) -> (RowEncoder, Vec<u8>) {
    encoder.encode(BEFORE as u64 + 1, time_of(BEFORE), &row, &mut out);
    black_box((encoder, out))
}

#[library_benchmark]
#[bench::row(decoder())]
fn decode_row((mut decoder, bytes, series): (RowDecoder, Vec<u8>, usize)) -> RowDecoder {
    let mut bytes = &bytes[..];
    assert!(decoder.decode(&mut bytes, series).unwrap().is_some());
    black_box(decoder)
}

#[library_benchmark]
#[bench::hundred_hosts(fleet())]
fn encode_fleet(fleet: FleetUpdate) -> (FleetUpdate, Vec<u8>) {
    let mut out = Vec::with_capacity(1 << 20);
    codec::encode(&fleet, &mut out).unwrap();
    black_box((fleet, out))
}

#[library_benchmark]
#[bench::hundred_hosts(encoded_fleet())]
fn decode_fleet(bytes: Vec<u8>) -> FleetUpdate {
    black_box(codec::decode(&bytes).unwrap())
}

library_benchmark_group!(name = series, benchmarks = [append, seal, column, read]);
library_benchmark_group!(
    name = wire,
    benchmarks = [encode_row, decode_row, encode_fleet, decode_fleet]
);

main!(library_benchmark_groups = [series, wire]);
