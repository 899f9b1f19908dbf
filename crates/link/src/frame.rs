//! Frames on a stream: a length (LEB128) and a message.

use std::collections::VecDeque;

use quinn::{RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sysmon_wire::codec;
use sysmon_wire::limits::FRAME_BYTES_MAX;
use sysmon_wire::varint::{get_u64, put_u64};

use crate::{CloseCode, LinkError};

/// Bytes read from the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Buffer capacity retained between messages: a hub has thousands of streams, and the first message of each is its longest.
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

    /// Queues a message for the next [`Self::flush`], so that several share a packet.
    ///
    /// # Errors
    /// The message is longer than a frame may be.
    pub fn queue<M: Serialize>(&mut self, message: &M) -> Result<(), LinkError> {
        self.body.clear();
        codec::encode(message, &mut self.body)?;
        put_u64(&mut self.frames, self.body.len() as u64);
        self.frames.extend_from_slice(&self.body);
        Ok(())
    }

    /// Writes everything queued to the stream; waits while the peer's window is full. Not cancel-safe.
    ///
    /// # Errors
    /// The peer stopped the stream or the connection is lost.
    pub async fn flush(&mut self) -> Result<(), LinkError> {
        let sent = self.stream.write_all(&self.frames).await;
        self.frames.clear();
        Ok(sent?)
    }

    /// Queues and flushes one message.
    ///
    /// # Errors
    /// As [`Self::queue`] and [`Self::flush`].
    pub async fn send<M: Serialize>(&mut self, message: &M) -> Result<(), LinkError> {
        self.queue(message)?;
        self.flush().await
    }

    /// Marks the end of the stream.
    pub fn finish(&mut self) {
        // Fails only if the stream is finished or reset already.
        let _ = self.stream.finish();
    }

    /// Ends the stream and waits until the peer has received everything or stopped it.
    pub async fn delivered(&mut self) {
        self.finish();
        let _ = self.stream.stopped().await;
    }

    /// Aborts the stream.
    pub fn reset(&mut self, code: CloseCode) {
        let _ = self.stream.reset(code.into());
    }

    /// Streams of lower priority send only while those of higher priority have nothing to send.
    pub fn set_priority(&self, priority: i32) {
        let _ = self.stream.set_priority(priority);
    }

    pub(crate) fn into_stream(self) -> SendStream {
        self.stream
    }

    /// Waits until the peer stops the stream.
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

    /// Rejects longer frames from now on.
    pub(crate) fn limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// The next message; `None` when the peer ended the stream between two messages. Cancel-safe.
    ///
    /// # Errors
    /// The stream breaks off, a frame is too long, or its bytes do not decode.
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

    /// The next message if it has arrived completely, without waiting.
    ///
    /// # Errors
    /// A frame is too long, or its bytes do not decode.
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

    /// Asks the peer to stop sending.
    pub fn stop(&mut self, code: CloseCode) {
        let _ = self.stream.stop(code.into());
    }
}
