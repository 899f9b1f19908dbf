//! CSV (RFC 4180) in which no field is a spreadsheet formula.

use csv::{Terminator, Writer, WriterBuilder};

pub(crate) struct Csv(Writer<Vec<u8>>);

impl Csv {
    pub(crate) fn new(headings: &[impl AsRef<str>]) -> Self {
        let writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .flexible(true)
            .from_writer(Vec::new());
        let mut csv = Self(writer);
        csv.row(headings.iter().map(|heading| heading.as_ref().to_owned()));
        csv
    }

    /// Adds a row; a text that a spreadsheet would evaluate is prefixed with an apostrophe.
    pub(crate) fn row(&mut self, fields: impl Iterator<Item = String>) {
        let plain = |text: String| match text.chars().next() {
            Some('=' | '+' | '-' | '@') if text.parse::<f64>().is_err() => format!("'{text}"),
            _ => text,
        };
        // Writing to memory does not fail.
        let _ = self.0.write_record(fields.map(plain));
    }

    pub(crate) fn into_text(self) -> String {
        let bytes = self.0.into_inner().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }
}
