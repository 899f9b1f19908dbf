//! Fields of protobuf messages. Pure.

use sysmon_wire::varint::put_u64;

/// Appends a text field.
pub(super) fn put_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    put_bytes(out, tag, text.as_bytes());
}

/// Appends a field of bytes, or of an encoded message.
pub(super) fn put_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The length of an encoded integer.
pub(super) fn length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a label of Prometheus as an entry of a series.
#[cfg(feature = "remote-write")]
pub(super) fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut label = Vec::with_capacity(name.len() + value.len() + 6);
    put_text(&mut label, 0x0a, name);
    put_text(&mut label, 0x12, value);
    put_bytes(out, 0x0a, &label);
}
