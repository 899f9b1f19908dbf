//! What several screens share: rows of a host, processes, sparklines, search patterns and spans of time.

pub(crate) mod alert_text;
pub mod arguments;
pub mod host_rows;
pub mod long_history;
pub mod pattern;
pub mod process;
pub mod spark;
pub(crate) mod step;
pub mod summary;
pub mod window;

/// Milliseconds between rows at full resolution.
pub const ROW_MS: i64 = 1_000;
