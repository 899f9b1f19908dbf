//! Why the history cannot be used.

use sysmon_wire::{SchemaError, codec};
use thiserror::Error;

/// Why the history cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// SQLite failed: a full disk, missing permissions, or a damaged file.
    #[error("cannot use the history: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A file or thread could not be created, or a damaged file not be moved aside.
    #[error("cannot create the history: {0}")]
    Io(#[from] std::io::Error),
    /// Another version of the program wrote the file.
    #[error(
        "the history has format {0}, which this version does not support: use the sysmon-hub that wrote it, or move \
         history.db away to begin a new one"
    )]
    Format(i64),
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
            Self::Io(_) | Self::Format(_) => false,
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
