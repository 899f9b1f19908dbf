//! How much each kind of receiver takes in one message, and in how many messages alerts are listed. Pure.

/// The limits of one receiver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    /// Largest text, as [`Capacity::measure`] counts it.
    pub(super) text_max: usize,
    /// Size of a text in the unit that the receiver limits; adds up over parts of a text.
    pub(super) measure: fn(&str) -> usize,
    /// Names or summaries in one line; further ones are counted.
    pub(super) names_max: usize,
    /// Alerts in one message for programs.
    pub(super) alerts_max: usize,
    /// Messages in which alerts that come together are listed; the last of them counts those that are left.
    pub(super) messages_max: usize,
}

const NAMES_MAX: usize = 10;

/// Programs get every alert; a message of this many is some tens of kilobytes.
const PROGRAM_ALERTS_MAX: usize = 100;

/// More messages at once help nobody who reads them on a telephone.
const MESSAGES_MAX: usize = 5;

impl Capacity {
    /// For people, who read a few short messages.
    pub(super) const fn people(text_max: usize, measure: fn(&str) -> usize) -> Self {
        Self {
            text_max,
            measure,
            names_max: NAMES_MAX,
            alerts_max: usize::MAX,
            messages_max: MESSAGES_MAX,
        }
    }

    pub(super) const PROGRAM: Self = Self {
        text_max: 4_000,
        measure: characters,
        names_max: NAMES_MAX,
        alerts_max: PROGRAM_ALERTS_MAX,
        messages_max: usize::MAX,
    };

    /// Services that get each alert by itself: an attempt is about one, so that none is repeated because of another.
    pub(super) const ONE_ALERT: Self = Self {
        alerts_max: 1,
        ..Self::PROGRAM
    };
}

pub(super) fn characters(text: &str) -> usize {
    text.chars().count()
}

pub(super) fn utf16_units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Bytes in a JSON string, with line breaks doubled as cards need them.
pub(super) fn json_bytes(text: &str) -> usize {
    let length = |c: char| match c {
        '\n' => 4,
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    };
    text.chars().map(length).sum()
}

/// The text, or its beginning and an ellipsis.
pub(super) fn shortened(text: &str, max: usize, measure: fn(&str) -> usize) -> String {
    if measure(text) <= max {
        return text.to_owned();
    }
    let (mut short, mut size) = (String::new(), measure("…"));
    for c in text.chars() {
        size += measure(c.encode_utf8(&mut [0; 4]));
        if size > max {
            break;
        }
        short.push(c);
    }
    short.push('…');
    short
}
