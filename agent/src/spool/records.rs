//! The format of the spool's files.
//!
//! A file is a sequence of records, each `length (u32 LE), CRC-32 of the payload (u32 LE), payload`, where the
//! payload is one encoded [`Push`] frame. The first truncated or corrupt record ends the file: that is where
//! the machine lost power.

use std::io;

use sysmon_wire::limits::{FRAME_BYTES_MAX, SERIES_PER_HOST_MAX};
use sysmon_wire::message::{Blob, Push, RunId};
use sysmon_wire::{RowDecoder, RowEncoder, SeqSet, UnixMs, codec};

pub(super) fn encode(frames: &[Push]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for frame in frames {
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        codec::encode(frame, &mut out).map_err(io::Error::other)?;
        let (head, payload) = out.split_at_mut(start + 8);
        let length = u32::try_from(payload.len())
            .map_err(io::Error::other)?
            .to_le_bytes();
        let sum = crc32fast::hash(payload).to_le_bytes();
        if let Some(place) = head.get_mut(start..) {
            place.copy_from_slice(&[length, sum].concat());
        }
    }
    Ok(out)
}

/// The frames up to the first truncated or corrupt record.
pub(super) fn decode(mut bytes: &[u8]) -> Vec<Push> {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = record(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    frames
}

fn record(bytes: &[u8]) -> Option<(Push, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (payload, rest) = rest.split_at_checked(length.min(FRAME_BYTES_MAX + 1))?;
    let is_intact = crc32fast::hash(payload) == u32::from_le_bytes(*sum);
    is_intact
        .then(|| codec::decode(payload).ok())
        .flatten()
        .map(|frame| (frame, rest))
}

/// The run of the frames, the sequence numbers of their first and last row, and the time of the last.
pub(super) fn span(frames: &[Push]) -> Option<(RunId, u64, u64, UnixMs)> {
    let mut decoder = RowDecoder::new();
    let (mut run, mut first, mut last) = (None, None, None);
    for frame in frames {
        let rows = match frame {
            Push::Begin { run: of, .. } => {
                run = Some(*of);
                continue;
            }
            Push::Series(_) | Push::Processes(_) => continue,
            Push::Keyframe(rows) => {
                decoder.reset();
                rows
            }
            Push::Rows(rows) => rows,
        };
        let mut bytes = &rows.0[..];
        while let Some(row) = decoder.decode(&mut bytes, SERIES_PER_HOST_MAX).ok()? {
            first.get_or_insert(row.seq);
            last = Some((row.seq, row.time));
        }
    }
    let (last, time) = last?;
    Some((run?, first?, last, time))
}

/// The frames without the rows in `known`; empty if no row is left. A row is encoded as the difference from the row
/// before, so those that are left are encoded anew.
pub(crate) fn without(frames: Vec<Push>, known: &SeqSet) -> Vec<Push> {
    if known.is_empty() {
        return frames;
    }
    let (mut decoder, mut encoder) = (RowDecoder::new(), RowEncoder::new());
    let (mut series, mut has_rows) = (0, false);
    let mut out = Vec::new();
    for frame in frames {
        if let Push::Series(table) = &frame {
            series += table.len();
        }
        let rows = match frame {
            Push::Keyframe(rows) => {
                decoder.reset();
                rows
            }
            Push::Rows(rows) => rows,
            other => {
                out.push(other);
                continue;
            }
        };
        let (mut rest, mut left) = (&rows.0[..], Vec::new());
        while let Ok(Some(row)) = decoder.decode(&mut rest, series) {
            if !known.contains(row.seq) {
                encoder.encode(row.seq, row.time, &row.values, &mut left);
            }
        }
        if left.is_empty() {
            continue;
        }
        let is_first = !std::mem::replace(&mut has_rows, true);
        out.push(match is_first {
            true => Push::Keyframe(Blob(left)),
            false => Push::Rows(Blob(left)),
        });
    }
    if has_rows { out } else { Vec::new() }
}
