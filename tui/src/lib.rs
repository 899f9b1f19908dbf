//! The program `sysmon-tui`: its commands, and a hub, agents and an edge inside it.

#![allow(
    missing_docs,
    reason = "a program: names say what fields and accessors hold"
)]

pub mod standalone;
pub mod web;

pub const VERSION: &str = env!("CARGO_PKG_VERSION");
