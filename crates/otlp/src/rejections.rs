//! Which points are not kept, and why: the answer to a partly successful message. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use sysmon_wire::limits::{ATTRIBUTES_PER_SERIES_MAX, LABEL_BYTES_MAX, SERIES_PER_HOST_MAX};
use thiserror::Error;

/// Different reasons in one answer; further ones are counted together.
const REASONS_MAX: usize = 16;

/// Bytes of the text of an answer.
const TEXT_BYTES_MAX: usize = 2_048;

/// Why points are not kept.
#[derive(Clone, Debug, Error, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Its resource names no host, and neither does the sender's certificate.
    #[error(
        "without the resource attribute host.name: add the resourcedetection processor, or set it"
    )]
    NoHost,
    /// The sender may not write the host; the text says why.
    #[error("{0}")]
    Host(String),
    /// A sum or histogram of differences.
    #[error("with delta temporality: send cumulative sums")]
    Delta,
    /// A histogram, exponential histogram or summary.
    #[error("of histograms or summaries, which are not kept")]
    Distribution,
    /// Without a type.
    #[error("of metrics without data")]
    NoData,
    /// A name that is empty or too long.
    #[error(
        "with an empty name, or a name, unit or attribute of more than {LABEL_BYTES_MAX} bytes"
    )]
    Name,
    /// A name that only the hub and agents use.
    #[error("with names that begin with sysmon., which are the hub's own")]
    Reserved,
    /// More attributes than a series may have.
    #[error("with more than {ATTRIBUTES_PER_SERIES_MAX} attributes")]
    Attributes,
    /// An attribute that is a list, map or bytes.
    #[error("with attributes that are no text, number or boolean")]
    AttributeType,
    /// More series than a host may have.
    #[error("beyond {SERIES_PER_HOST_MAX} series of a host")]
    Series,
    /// More rows at once than are held.
    #[error("of more moments than one message may have: send smaller batches")]
    Rows,
    /// A value that the integers of its series cannot hold.
    #[error("with values that are too large for their series")]
    Range,
    /// Without a time, or one that is out of range.
    #[error("without a valid time")]
    Time,
    /// From the future, or from before the retention.
    #[error("from more than an hour ahead of the hub's clock, or from before its retention")]
    Age,
    /// More reasons than an answer lists.
    #[error("for other reasons")]
    Other,
}

/// The points of one message that are not kept, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections(BTreeMap<Reason, u64>);

impl Rejections {
    /// Counts points.
    pub fn add(&mut self, reason: Reason, points: usize) {
        if points == 0 {
            return;
        }
        let is_known = self.0.contains_key(&reason) || self.0.len() < REASONS_MAX;
        let reason = if is_known { reason } else { Reason::Other };
        *self.0.entry(reason).or_default() += points as u64;
    }

    /// Points that are not kept.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Whether every point is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each reason with its points.
    pub fn iter(&self) -> impl Iterator<Item = (&Reason, u64)> {
        self.0.iter().map(|(reason, points)| (reason, *points))
    }

    /// The reasons in one line.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (reason, points) in &self.0 {
            let separator = if text.is_empty() { "" } else { "; " };
            let noun = if *points == 1 { "point" } else { "points" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}{points} {noun} {reason}");
        }
        if text.len() > TEXT_BYTES_MAX {
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            text.push('…');
        }
        text
    }

    /// The answer to the message.
    pub fn response(&self) -> ExportMetricsServiceResponse {
        let partial_success = (!self.is_empty()).then(|| ExportMetricsPartialSuccess {
            rejected_data_points: i64::try_from(self.total()).unwrap_or(i64::MAX),
            error_message: self.text(),
        });
        ExportMetricsServiceResponse { partial_success }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_counts_points_by_reason_and_is_bounded() {
        let mut rejections = Rejections::default();
        assert_eq!(rejections.response().partial_success, None);
        rejections.add(Reason::Delta, 3);
        rejections.add(Reason::Delta, 4);
        rejections.add(Reason::Series, 1);
        rejections.add(Reason::Time, 0);
        let partial = rejections.response().partial_success.unwrap();
        assert_eq!(partial.rejected_data_points, 8);
        assert_eq!(
            partial.error_message,
            "7 points with delta temporality: send cumulative sums; 1 point beyond 4096 series of a host"
        );
        for number in 0..10_000 {
            rejections.add(
                Reason::Host(format!("of host h{number}, which is not yours")),
                1,
            );
        }
        assert_eq!(rejections.total(), 10_008);
        assert!(rejections.iter().count() <= REASONS_MAX + 1 && rejections.text().len() < 2_100);
    }
}
