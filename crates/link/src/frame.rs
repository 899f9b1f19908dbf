//! Frames on a stream: a length (LEB128) and a message.

use std::collections::VecDeque;

use quinn::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sysmon_wire::codec;
use sysmon_wire::limits::FRAME_BYTES_MAX;
use sysmon_wire::varint::{get_u64, put_u64};

use crate::{CloseCode, LinkError};

/// Bytes taken from the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Room that a stream keeps between messages: a hub has thousands, and what opens each is its longest.
const IDLE_BYTES: usize = 1024;

/// Bytes of the longest length prefix: five carry more than [`FRAME_BYTES_MAX`].
const PREFIX_BYTES_MAX: usize = 5;

/// The sending end of a stream of messages.
#[derive(Debug)]
pub struct FrameSender {
    stream: SendStream,
    body: Vec<u8>,
    frames: Vec<u8>,
}

impl FrameSender {
    /// Sends on `stream`.
    pub fn new(stream: SendStream) -> Self {
        Self {
            stream,
            body: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Adds a message to what the next [`Self::flush`] sends, so that several share a packet.
    pub fn queue<M: Serialize>(&mut self, message: &M) -> Result<(), LinkError> {
        self.body.clear();
        codec::encode(message, &mut self.body)?;
        put_u64(&mut self.frames, self.body.len() as u64);
        self.frames.extend_from_slice(&self.body);
        Ok(())
    }

    /// Hands everything queued to the connection; waits while the peer's window is full.
    ///
    /// If it is dropped half-way the stream can no longer be used.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        let sent = self.stream.write_all(&self.frames).await;
        self.frames.clear();
        Ok(sent?)
    }

    /// Sends one message.
    pub async fn send<M: Serialize>(&mut self, message: &M) -> Result<(), LinkError> {
        self.queue(message)?;
        self.flush().await
    }

    /// Says that nothing more comes.
    pub fn finish(&mut self) {
        // Already finished or reset: then there is nothing left to say.
        let _ = self.stream.finish();
    }

    /// Waits until the peer has everything, or has closed the stream.
    pub async fn delivered(&mut self) {
        self.finish();
        let _ = self.stream.stopped().await;
    }

    /// Breaks the stream off.
    pub fn reset(&mut self, code: CloseCode) {
        let _ = self.stream.reset(code.into());
    }

    /// Streams of lower priority send only when those of higher have nothing to send.
    pub fn set_priority(&self, priority: i32) {
        let _ = self.stream.set_priority(priority);
    }

    pub(crate) fn into_stream(self) -> SendStream {
        self.stream
    }

    /// Waits until the peer wants nothing more of this stream.
    pub async fn stopped(&mut self) {
        let _ = self.stream.stopped().await;
    }
}

/// The receiving end of a stream of messages.
#[derive(Debug)]
pub struct FrameReceiver {
    stream: RecvStream,
    buffer: VecDeque<u8>,
    limit: usize,
}

impl FrameReceiver {
    /// Receives from `stream`.
    pub fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            buffer: VecDeque::new(),
            limit: FRAME_BYTES_MAX,
        }
    }

    /// Takes no longer frames than this from now on.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// The next message; `None` when the peer has ended the stream in good order.
    ///
    /// Can be dropped and called again without losing anything.
    pub async fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, LinkError> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            let Some(chunk) = self.stream.read_chunk(READ_BYTES, true).await? else {
                let clean = self.buffer.is_empty();
                return if clean {
                    Ok(None)
                } else {
                    Err(LinkError::StreamEnded)
                };
            };
            self.buffer.extend(chunk.bytes.iter());
        }
    }

    /// A message that has already arrived whole, without waiting.
    pub fn buffered<M: DeserializeOwned>(&mut self) -> Result<Option<M>, LinkError> {
        let bytes: &[u8] = self.buffer.make_contiguous();
        let mut rest = bytes;
        let Some(length) = get_u64(&mut rest) else {
            return match bytes.len() {
                PREFIX_BYTES_MAX.. => Err(self.too_long(usize::MAX)),
                _ => Ok(None),
            };
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > self.limit {
            return Err(self.too_long(length));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let message = codec::decode(body)?;
        let used = bytes.len() - rest.len() + length;
        self.buffer.drain(..used);
        if self.buffer.is_empty() {
            self.buffer.shrink_to(IDLE_BYTES);
        }
        Ok(Some(message))
    }

    fn too_long(&self, length: usize) -> LinkError {
        LinkError::TooLong {
            length,
            limit: self.limit,
        }
    }

    /// Tells the peer to send nothing more.
    pub fn stop(&mut self, code: CloseCode) {
        let _ = self.stream.stop(code.into());
    }
}
