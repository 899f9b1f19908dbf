//! Messages to bytes and back: the only file that knows bincode.
//!
//! Format: bincode 2 `standard()`: little endian, variable-length integers, enum variants by
//! number. bincode is unmaintained; a format-compatible crate can replace it here.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::FRAME_BYTES_MAX;

/// Why a message cannot be encoded or decoded.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The bytes are not a message of the expected type.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// Bytes follow the message.
    #[error("{0} bytes follow the message")]
    Trailing(usize),
    /// The message exceeds [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLong(usize),
}

fn config() -> impl bincode::config::Config {
    // The limit also keeps a forged length from allocating memory.
    bincode::config::standard().with_limit::<FRAME_BYTES_MAX>()
}

/// Appends `message` to `out`.
///
/// # Errors
/// The message exceeds [`FRAME_BYTES_MAX`].
pub fn encode<M: Serialize>(message: &M, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = out.len();
    bincode::serde::encode_into_std_write(message, out, config())
        .map_err(|e| CodecError::Malformed(e.to_string()))?;
    let length = out.len() - start;
    if length > FRAME_BYTES_MAX {
        out.truncate(start);
        return Err(CodecError::TooLong(length));
    }
    Ok(())
}

/// Decodes one message that fills `bytes` exactly.
///
/// # Errors
/// The bytes are malformed, too many or too few.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, CodecError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(CodecError::TooLong(bytes.len()));
    }
    let (message, used) = bincode::serde::decode_from_slice(bytes, config())
        .map_err(|e| CodecError::Malformed(e.to_string()))?;
    match bytes.len() - used {
        0 => Ok(message),
        more => Err(CodecError::Trailing(more)),
    }
}
