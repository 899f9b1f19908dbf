//! Messages to bytes and back: the only file that knows bincode.
//!
//! Format: bincode 2 `standard()`: little endian, variable-length integers, enum variants by
//! number. The crate is no longer maintained; a format-compatible one can replace it here.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::limits::FRAME_BYTES_MAX;

/// Why bytes are not a message, or a message does not fit.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The bytes are not such a message.
    #[error("bytes that are no message of this kind: {0}")]
    Malformed(String),
    /// Bytes are left over after the message.
    #[error("{0} bytes too many after a message")]
    Trailing(usize),
    /// The frame is longer than a peer may send.
    #[error("a frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    TooLong(usize),
}

fn config() -> impl bincode::config::Config {
    // The limit also stops a length that lies from allocating.
    bincode::config::standard().with_limit::<FRAME_BYTES_MAX>()
}

/// Appends `message` to `out`.
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

/// Reads one message that fills `bytes` exactly.
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
