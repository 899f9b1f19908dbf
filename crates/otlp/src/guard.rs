//! What a message would become in memory, before it is decoded: an element of two bytes becomes a struct of a hundred. Pure.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use sysmon_wire::varint;
use thiserror::Error;

/// Bytes of a message, uncompressed: four times what receivers commonly accept.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Elements of a message: resources, scopes, metrics, points, attributes and whatever else is a message of its own.
/// A hundred hosts of four hundred series with two attributes each have 160,000; decoded they take about 60 MiB at most.
pub const ELEMENTS_MAX: usize = 300_000;

/// Values within values; an honest attribute has one.
const DEPTH_MAX: usize = 16;

/// Why a message is refused as a whole.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MessageError {
    /// The bytes are no such message.
    #[error("not an ExportMetricsServiceRequest in protobuf")]
    Malformed,
    /// More than [`MESSAGE_BYTES_MAX`].
    #[error(
        "the message has more than {MESSAGE_BYTES_MAX} bytes uncompressed; send smaller batches"
    )]
    TooLong,
    /// More than [`ELEMENTS_MAX`].
    #[error("the message has more than {ELEMENTS_MAX} points and attributes; send smaller batches")]
    TooManyElements,
    /// Deeper than [`DEPTH_MAX`].
    #[error("an attribute has values within values more than {DEPTH_MAX} levels deep")]
    TooDeep,
}

/// Decodes a message after checking what it would take in memory.
///
/// # Errors
/// The message is too long, has too many elements, or is malformed.
pub fn decode(bytes: &[u8]) -> Result<ExportMetricsServiceRequest, MessageError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(MessageError::TooLong);
    }
    let mut elements = 0;
    count(Node::Request, bytes, 0, &mut elements)?;
    ExportMetricsServiceRequest::decode(bytes).map_err(|_| MessageError::Malformed)
}

/// Messages of opentelemetry/proto/metrics/v1/metrics.proto, as far as they contain others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Request,
    ResourceMetrics,
    Resource,
    EntityRef,
    ScopeMetrics,
    Scope,
    Metric,
    Numbers,
    Number,
    Histograms,
    Histogram,
    Exponentials,
    Exponential,
    Buckets,
    Summaries,
    Summary,
    Exemplar,
    KeyValue,
    AnyValue,
    Array,
    KeyValues,
    /// Without messages in it.
    Leaf,
    /// Numbers without a tag each, of which the shortest take a byte here and eight in memory.
    Packed,
}

impl Node {
    fn child(self, tag: u64) -> Option<Self> {
        Some(match (self, tag) {
            (Self::Request, 1) => Self::ResourceMetrics,
            (Self::ResourceMetrics, 1) => Self::Resource,
            (Self::ResourceMetrics, 2) => Self::ScopeMetrics,
            (Self::Resource, 3) => Self::EntityRef,
            (Self::EntityRef, 3 | 4) => Self::Leaf,
            (Self::ScopeMetrics, 1) => Self::Scope,
            (Self::ScopeMetrics, 2) => Self::Metric,
            (Self::Metric, 5 | 7) => Self::Numbers,
            (Self::Metric, 9) => Self::Histograms,
            (Self::Metric, 10) => Self::Exponentials,
            (Self::Metric, 11) => Self::Summaries,
            (Self::Numbers, 1) => Self::Number,
            (Self::Histograms, 1) => Self::Histogram,
            (Self::Exponentials, 1) => Self::Exponential,
            (Self::Summaries, 1) => Self::Summary,
            (Self::Resource | Self::Exponential | Self::Array | Self::KeyValues, 1)
            | (Self::Scope, 3)
            | (Self::Metric, 12)
            | (Self::Number | Self::Summary | Self::Exemplar, 7)
            | (Self::Histogram, 9) => match self {
                Self::Array => Self::AnyValue,
                _ => Self::KeyValue,
            },
            (Self::Number, 5) | (Self::Histogram, 8) | (Self::Exponential, 11) => Self::Exemplar,
            (Self::Exponential, 8 | 9) => Self::Buckets,
            (Self::Buckets, 2) => Self::Packed,
            (Self::Summary, 6) => Self::Leaf,
            (Self::KeyValue, 2) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::Array,
            (Self::AnyValue, 6) => Self::KeyValues,
            _ => return None,
        })
    }

    fn nests(self) -> bool {
        matches!(self, Self::Array | Self::KeyValues)
    }
}

fn count(
    node: Node,
    mut bytes: &[u8],
    depth: usize,
    elements: &mut usize,
) -> Result<(), MessageError> {
    let depth = depth + usize::from(node.nests());
    if depth > DEPTH_MAX {
        return Err(MessageError::TooDeep);
    }
    while !bytes.is_empty() {
        let key = varint::get_u64(&mut bytes).ok_or(MessageError::Malformed)?;
        let skip = match key & 7 {
            0 => {
                varint::get_u64(&mut bytes).ok_or(MessageError::Malformed)?;
                0
            }
            1 => 8,
            2 => {
                let length = varint::get_u64(&mut bytes).ok_or(MessageError::Malformed)?;
                usize::try_from(length).map_err(|_| MessageError::Malformed)?
            }
            5 => 4,
            // Groups have not been used since proto2.
            _ => return Err(MessageError::Malformed),
        };
        let (field, rest) = bytes
            .split_at_checked(skip)
            .ok_or(MessageError::Malformed)?;
        bytes = rest;
        let child = node.child(key >> 3).filter(|_| key & 7 == 2);
        let Some(child) = child else { continue };
        *elements += match child {
            Node::Packed => field.len(),
            _ => 1,
        };
        if *elements > ELEMENTS_MAX {
            return Err(MessageError::TooManyElements);
        }
        if !matches!(child, Node::Leaf | Node::Packed) {
            count(child, field, depth, elements)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics,
    };

    fn request(data: Data) -> Vec<u8> {
        let metric = Metric {
            name: "x".to_owned(),
            data: Some(data),
            ..Metric::default()
        };
        let scope = ScopeMetrics {
            metrics: vec![metric],
            ..ScopeMetrics::default()
        };
        let resource = ResourceMetrics {
            scope_metrics: vec![scope],
            ..ResourceMetrics::default()
        };
        let request = ExportMetricsServiceRequest {
            resource_metrics: vec![resource],
        };
        request.encode_to_vec()
    }

    fn points(data_points: Vec<NumberDataPoint>) -> Vec<u8> {
        request(Data::Gauge(Gauge { data_points }))
    }

    #[test]
    fn a_million_points_of_two_bytes_are_refused_before_they_are_decoded() {
        let fits = points(vec![NumberDataPoint::default(); ELEMENTS_MAX - 4]);
        assert!(decode(&fits).is_ok());
        let bomb = points(vec![NumberDataPoint::default(); 1_000_000]);
        assert!(bomb.len() < 3_000_000);
        assert_eq!(decode(&bomb), Err(MessageError::TooManyElements));
    }

    #[test]
    fn what_only_attributes_or_buckets_hold_counts_too() {
        let point = NumberDataPoint {
            attributes: vec![KeyValue::default(); ELEMENTS_MAX],
            ..NumberDataPoint::default()
        };
        assert_eq!(
            decode(&points(vec![point])),
            Err(MessageError::TooManyElements)
        );
        let buckets = Buckets {
            offset: 0,
            bucket_counts: vec![0; ELEMENTS_MAX],
        };
        let point = ExponentialHistogramDataPoint {
            positive: Some(buckets),
            ..ExponentialHistogramDataPoint::default()
        };
        let histogram = ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality: 2,
        };
        let bytes = request(Data::ExponentialHistogram(histogram));
        assert_eq!(decode(&bytes), Err(MessageError::TooManyElements));
    }

    #[test]
    fn values_within_values_are_bounded() {
        let mut value = AnyValue {
            value: Some(any_value::Value::BoolValue(true)),
        };
        for _ in 0..40 {
            value = AnyValue {
                value: Some(any_value::Value::ArrayValue(ArrayValue {
                    values: vec![value],
                })),
            };
        }
        let attribute = KeyValue {
            key: "deep".to_owned(),
            value: Some(value),
            ..KeyValue::default()
        };
        let point = NumberDataPoint {
            attributes: vec![attribute],
            ..NumberDataPoint::default()
        };
        assert_eq!(decode(&points(vec![point])), Err(MessageError::TooDeep));
    }

    #[test]
    fn long_and_malformed_messages_are_refused() {
        assert_eq!(
            decode(&vec![0; MESSAGE_BYTES_MAX + 1]),
            Err(MessageError::TooLong)
        );
        for bytes in [
            &[0x0a, 0x05, 1][..],
            &[0xff],
            &[0x0b],
            b"{\"resourceMetrics\":[]}",
        ] {
            assert_eq!(decode(bytes), Err(MessageError::Malformed), "{bytes:?}");
        }
        assert_eq!(decode(&[]).unwrap().resource_metrics.len(), 0);
    }
}
