//! The terminal: the whole fleet, live or at any past second.
//!
//! [`state`], [`update()`](update::update) and [`view`] are pure; the rim ([`app`], [`feed`],
//! [`terminal`]) owns the clock, the link and the screen. [`standalone`] is a hub and an agent inside.

pub mod app;
pub mod feed;
pub mod format;
pub mod keys;
pub mod points;
mod save;
pub mod shot;
pub mod standalone;
pub mod state;
pub mod stats;
pub mod svg;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod text;
pub mod theme;
pub mod update;
pub mod view;
pub mod web;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
