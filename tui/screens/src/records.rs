//! What a screen shows as records for other programs: JSON and CSV.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use sysmon_wire::{Label, UnixMs};

use crate::csv::Csv;

/// Records of one kind, each with the same fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    pub time: UnixMs,
    /// The host, if all records are about one.
    pub host: Option<Label>,
    /// What they are: `hosts`, `processes`, `changes`, `points`, or `rows` of a pane.
    pub kind: &'static str,
    pub fields: Vec<Cow<'static, str>>,
    pub rows: Vec<Vec<Value>>,
    /// Further values of the whole, in JSON only.
    pub more: Vec<(&'static str, Value)>,
}

impl Records {
    pub fn new(
        kind: &'static str,
        time: UnixMs,
        fields: &[&'static str],
        rows: impl Iterator<Item = Vec<Value>>,
    ) -> Self {
        Self {
            time,
            host: None,
            kind,
            fields: fields.iter().copied().map(Cow::from).collect(),
            rows: rows.collect(),
            more: Vec::new(),
        }
    }

    /// JSON in SI base units; times are Unix milliseconds.
    pub fn to_json(&self) -> String {
        let of = |row: &Vec<Value>| {
            let names = self.fields.iter().map(ToString::to_string);
            Value::Object(names.zip(row.iter().cloned()).collect())
        };
        let rows: Vec<Value> = self.rows.iter().map(of).collect();
        let mut all = Map::new();
        all.insert("time_ms".to_owned(), json!(self.time.0));
        if let Some(host) = &self.host {
            all.insert("host".to_owned(), json!(host));
        }
        all.insert(self.kind.to_owned(), Value::Array(rows));
        let more = self.more.iter();
        all.extend(more.map(|(name, value)| ((*name).to_owned(), value.clone())));
        format!("{:#}\n", Value::Object(all))
    }

    /// CSV (RFC 4180) with a line of headings.
    pub fn to_csv(&self) -> String {
        let mut csv = Csv::new(&self.fields);
        for row in &self.rows {
            csv.row(row.iter().map(|value| match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }));
        }
        csv.into_text()
    }
}
