//! The built programs, run as processes.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(clippy::disallowed_methods, reason = "processes run in real time")]

mod alerts;
#[cfg(target_os = "linux")]
mod arguments;
mod dashboards;
mod edge;
mod engine_faults;
mod engines;
mod exports;
mod faults;
mod fleet;
#[cfg(unix)]
mod keys;
#[cfg(target_os = "linux")]
mod namespaces;
mod otlp_receiver;
mod otlp_sender;
mod outage;
mod place;
mod present;
mod receivers;
#[cfg(unix)]
mod tasks;
#[cfg(unix)]
mod terminal;
mod tiers;
mod trust;
mod values;
mod web;
