//! Fields of protobuf messages. Pure.

use sysmon_wire::varint::put_u64;

/// Appends a text field.
pub(super) fn put_text(out: &mut Vec<u8>, tag: u8, text: &str) {
    out.push(tag);
    put_u64(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a label as an entry of a series.
pub(super) fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut label = Vec::with_capacity(name.len() + value.len() + 6);
    put_text(&mut label, 0x0a, name);
    put_text(&mut label, 0x12, value);
    out.push(0x0a);
    put_u64(out, label.len() as u64);
    out.extend_from_slice(&label);
}
