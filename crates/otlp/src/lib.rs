//! OTLP metrics as rows of hosts: what Collectors and SDKs send, under the names of sysmon's own registry.
//!
//! Pure: bytes, time and the permission to write a host are handed in. [`decode`] bounds a message before it is decoded,
//! [`Mapper`] has the state of one sender, and [`Rejections`] says what is not kept, and why.
#![warn(clippy::missing_errors_doc)]

mod derive;
mod guard;
mod host;
mod keys;
mod mapper;
mod names;
mod point;
mod rejections;
mod resource;
mod total;

pub use guard::{ELEMENTS_MAX, MESSAGE_BYTES_MAX, MessageError, decode};
pub use host::ReadyRow;
pub use mapper::{HostFeed, Mapper, MapperLimits, points};
pub use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
pub use rejections::{Reason, Rejections};
pub use resource::Naming;
