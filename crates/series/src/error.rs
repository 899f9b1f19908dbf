//! Why a chunk cannot be made or read.

use thiserror::Error;

/// Why a chunk cannot be made or read.
#[derive(Debug, Error)]
pub enum ChunkError {
    /// The checksum, the format version or a length is wrong.
    #[error("a chunk is damaged: restore it from a backup or let its retention pass")]
    Damaged,
    /// Pcodec failed on a column.
    #[error("a chunk cannot be compressed or read: {0}")]
    Compression(#[from] pco::errors::PcoError),
}
