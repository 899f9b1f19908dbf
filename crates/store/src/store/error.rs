//! Why the history cannot be used.

use sysmon_wire::{SchemaError, codec};
use thiserror::Error;

use super::format::{Migration, OLDEST, VERSION};

/// Why the history cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite failed: a full disk, missing permissions, or a damaged file.
    #[error("cannot use the history: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file or thread could not be created, or a damaged file not be moved aside.
    #[error("cannot create the history: {0}")]
    Io(#[from] std::io::Error),
    /// A newer version of the program wrote the file.
    #[error(
        "the history has format {0}, newer than the {VERSION} of this version: use the newer sysmon-hub that wrote it, put \
         back the copy history.format-{VERSION}.db if there is one, or move history.db away to begin a new one"
    )]
    Newer(i64),
    /// A version of the program wrote the file that is too old.
    #[error(
        "the history has format {0}, which is too old: this version migrates from format {OLDEST} on; start an earlier \
         sysmon-hub with it first, or move history.db away to begin a new one"
    )]
    Older(i64),
    /// The history cannot be copied, so that it is not migrated.
    #[error(
        "cannot copy the history to {} before it is migrated to format {VERSION}: {error}; make room for {} MiB there, or \
         move history.db away to begin a new one",
        migration.copy.display(),
        migration.bytes.div_ceil(1 << 20)
    )]
    NoCopy {
        /// What was to be done.
        migration: Box<Migration>,
        /// Why not.
        error: Box<StoreError>,
    },
    /// A check found damage.
    #[error("the history is damaged: {0}")]
    Damaged(String),
    /// A value does not fit into its format.
    #[error("cannot encode or decode a part of the history: {0}")]
    Codec(#[from] codec::CodecError),
    /// A series definition is invalid.
    #[error("the history is damaged: {0}")]
    Schema(#[from] SchemaError),
    /// Rows cannot be decoded or compressed.
    #[error("cannot use rows of the history: {0}")]
    Chunk(#[from] sysmon_series::ChunkError),
}

impl StoreError {
    /// Whether the file itself is damaged, rather than the disk full or the file missing.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Sqlite(error) => is_damage(error),
            Self::Damaged(_) | Self::Codec(_) | Self::Schema(_) | Self::Chunk(_) => true,
            Self::Io(_) | Self::Newer(_) | Self::Older(_) => false,
            Self::NoCopy { error, .. } => error.is_damage(),
        }
    }
}

/// Whether an error says that the file itself is damaged.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error;
    let code = error.sqlite_error_code();
    // A value of another type than was written, and a table that the schema had.
    let is_garbage = matches!(
        error,
        Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
            | Error::InvalidColumnType(..)
    ) || error.to_string().contains("no such table");
    is_garbage
        || matches!(
            code,
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
        )
}
