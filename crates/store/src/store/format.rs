//! Formats of the history's file, and what is different between them.

use std::path::PathBuf;

/// Version of the tables and of what is encoded in them, in SQLite's `user_version`. A change of either is a new version, and
/// a step of [`migrate`](super::migrate).
pub(super) const VERSION: i64 = 5;

/// The oldest version that there is a step from.
pub(super) const OLDEST: i64 = 4;

/// What opening a history of an older format changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The format that it has.
    pub from: i64,
    /// The format that it gets.
    pub to: i64,
    /// What is different, in order.
    pub changes: Vec<&'static str>,
    /// Where its copy will be.
    pub copy: PathBuf,
    /// Bytes of the copy.
    pub bytes: u64,
}
