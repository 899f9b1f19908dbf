//! Labels: untrusted text, sanitized once.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::LABEL_BYTES_MAX;

/// A short text that is safe to print on a terminal or a page.
///
/// It holds at most [`LABEL_BYTES_MAX`] bytes and no control, bidirectional, invisible or line
/// breaking character; each of those became U+FFFD when the label was made.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(Arc<str>);

impl Label {
    /// Sanitizes `text`: replaces unsafe characters and cuts it to the limit.
    pub fn new(text: &str) -> Self {
        if text.len() <= LABEL_BYTES_MAX && text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return Self(Arc::from(text));
        }
        let mut clean = String::with_capacity(text.len().min(LABEL_BYTES_MAX));
        for c in text.chars() {
            let c = if is_unsafe(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            };
            if clean.len() + c.len_utf8() > LABEL_BYTES_MAX {
                break;
            }
            clean.push(c);
        }
        Self(Arc::from(clean))
    }

    /// Sanitizes bytes that should be UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // No cut label needs more input than this, and the rest need not be scanned.
        let head = bytes.get(..LABEL_BYTES_MAX * 4).unwrap_or(bytes);
        Self::new(&String::from_utf8_lossy(head))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters that move the cursor, change direction, hide, or break a line.
///
/// Unicode 16: general categories Cc and Cf, the line and paragraph separators, and the variation
/// selectors, whose width terminals disagree on.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{0600}'..='\u{0605}' | '\u{061c}' | '\u{06dd}' | '\u{070f}'
            | '\u{0890}'..='\u{0891}' | '\u{08e2}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

impl Default for Label {
    fn default() -> Self {
        Self::new("")
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Borrow<str> for Label {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Label {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl PartialEq<str> for Label {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Label;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Label, E> {
                Ok(Label::new(text))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_bidi_and_invisible_characters_are_replaced() {
        let label = Label::new("evil\x1b[2J\u{202e}txt\u{200b}\u{9b}\n");
        assert_eq!(label, "evil\u{fffd}[2J\u{fffd}txt\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in [
            "eth0",
            "/var/lib/pg",
            "postgres: worker",
            "größe",
            "日本",
            "🦀",
        ] {
            assert_eq!(Label::new(name), name);
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let label = Label::new(&"é".repeat(LABEL_BYTES_MAX));
        assert_eq!(label.as_str().len(), LABEL_BYTES_MAX);
        assert_eq!(Label::from_bytes(&vec![0xff; 1 << 20]).as_str().len(), 255);
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_clean_label(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let label = Label::from_bytes(&bytes);
            prop_assert!(label.as_str().len() <= LABEL_BYTES_MAX);
            prop_assert!(!label.as_str().chars().any(is_unsafe));
            prop_assert_eq!(Label::new(label.as_str()), label);
        }
    }
}
