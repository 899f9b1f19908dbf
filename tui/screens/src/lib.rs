//! Every screen of the terminal: the whole fleet, live or at any past second. Depends on no program.
//!
//! - A **screen** is a folder: its state, what its actions do, how it is drawn. It implements [`screen::Screen`],
//!   knows [`widgets`], [`context::Context`] and its own state, and returns outcomes. To add one, add its folder,
//!   its mode in [`keys::Mode`], and its line in `app/state.rs`.
//! - A **key** is a line of `keys/table.rs`: help, footer, palette and rebinding follow.
//! - A **column** of the fleet is a line of `fleet/columns.rs` and [`sysmon_config::Column`]; one of a host's tables
//!   is a line of `host/pane_tables.rs`.
//! - A **metric** of a host's tables and charts is a line of `host/pane_tables.rs` or `host/pane_charts.rs`.
//! - [`app`] composes the screens. It is pure except for [`app::run`] and [`feed`].

#![allow(
    missing_docs,
    reason = "a library of one program: fields and methods whose names say it all have no comment"
)]
#![warn(clippy::missing_errors_doc, clippy::too_many_lines)]

#[macro_use]
mod named;

pub mod app;
pub mod burst;
pub mod changes;
pub mod checks;
pub mod compare;
pub mod context;
mod csv;
pub mod events;
pub mod feed;
pub mod fleet;
pub mod format;
pub mod help;
pub mod host;
pub mod keys;
mod layout;
pub mod model;
pub mod operation;
mod palette;
pub mod points;
pub mod processes;
pub mod records;
pub mod screen;
mod sections;
pub mod snapshot;
pub mod stats;
pub mod subscriptions;
pub mod svg;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod text;
pub mod theme;
pub mod top;
mod widgets;
