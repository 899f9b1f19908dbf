//! Every screen of the terminal: the whole fleet, live or at any past second.
//!
//! [`state`], [`update()`](update::update) and [`view`] are pure; the rim ([`app`], [`feed`],
//! [`terminal`]) owns the clock, the link and the screen.

pub mod app;
pub mod feed;
pub mod format;
pub mod keys;
pub mod points;
mod save;
pub mod shot;
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
