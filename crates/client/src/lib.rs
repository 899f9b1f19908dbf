//! What any program asks a hub: a session, its requests and replies, and reports of the result.
//!
//! [`Client`] asks for one answer at a time; [`PointsParts`] joins the parts of a query's reply for programs that
//! read replies themselves; [`FleetSnapshot`] renders a fleet as a table or JSON.

#![warn(clippy::missing_errors_doc)]

mod client;
mod error;
pub mod hub_figures;
mod points;
mod report;
mod skew;

pub use client::Client;
pub use error::ClientError;
pub use points::PointsParts;
pub use report::{FleetSnapshot, exports_json, summary_value};
pub use skew::{MINORS_SUPPORTED, Skew, upgrade};
