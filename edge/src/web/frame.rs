//! Frames of WebSockets (RFC 6455), as far as a server needs them that only tells: one frame is encoded for all who
//! watch, and of what they send only pings and the end mean anything. Pure.

use axum::body::Bytes;
use data_encoding::BASE64;
use ring::digest;

/// What the protocol adds to a key to show that it was understood.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The most that a control frame carries.
const CONTROL_MAX: usize = 125;

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Close {
    /// Both agree.
    Normal = 1000,
    /// What came is no frame.
    Protocol = 1002,
    /// There is nothing to say here.
    Unwelcome = 1008,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// To be answered with the same.
    Ping(Vec<u8>),
    /// Nothing to do.
    Pong,
    /// The connection ends.
    End(Close),
}

/// The answer to a key; none if it is no key.
pub(super) fn accept(key: &[u8]) -> Option<String> {
    BASE64.decode(key).ok().filter(|key| key.len() == 16)?;
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(MAGIC.as_bytes());
    Some(BASE64.encode(context.finish().as_ref()))
}

fn frame(opcode: u8, content: &[u8]) -> Bytes {
    let mut frame = vec![0x80 | opcode];
    match content.len() {
        short @ 0..=CONTROL_MAX => frame.push(short as u8),
        long => match u16::try_from(long) {
            Ok(long) => {
                frame.push(126);
                frame.extend(long.to_be_bytes());
            }
            Err(_) => {
                frame.push(127);
                frame.extend((long as u64).to_be_bytes());
            }
        },
    }
    frame.extend(content);
    frame.into()
}

/// A text.
pub(super) fn text(text: &str) -> Bytes {
    frame(1, text.as_bytes())
}

/// The answer to a ping.
pub(super) fn pong(content: &[u8]) -> Bytes {
    frame(10, content)
}

/// The end.
pub(super) fn close(why: Close) -> Bytes {
    frame(8, &(why as u16).to_be_bytes())
}

/// The first frame in what came, which is taken out of it; none if it is not all there.
pub(super) fn take(came: &mut Vec<u8>) -> Option<Event> {
    let (&first, &second) = (came.first()?, came.get(1)?);
    let (opcode, length) = (first & 0x0f, usize::from(second & 0x7f));
    let is_whole = first & 0xf0 == 0x80 && second & 0x80 != 0;
    match opcode {
        8..=10 if is_whole && length <= CONTROL_MAX => {}
        // Texts and bytes, also in parts, are frames, but nobody wants them.
        0..=2 if first & 0x70 == 0 && second & 0x80 != 0 => {
            return Some(Event::End(Close::Unwelcome));
        }
        _ => return Some(Event::End(Close::Protocol)),
    }
    let end = 6 + length;
    let mask = came.get(2..6)?.iter().cycle();
    let content = came.get(6..end)?.iter().zip(mask);
    let content: Vec<u8> = content.map(|(byte, mask)| byte ^ mask).collect();
    came.drain(..end);
    Some(match opcode {
        8 => Event::End(Close::Normal),
        9 => Event::Ping(content),
        _ => Event::Pong,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(first: u8, content: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first, 0x80 | content.len() as u8];
        frame.extend(mask);
        frame.extend(content.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
        frame
    }

    #[test]
    fn a_key_is_answered_as_the_standard_says() {
        let answer = accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(answer.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept(b"AAAA"), None);
        assert_eq!(accept(b"nonsense"), None);
    }

    #[test]
    fn lengths_are_told_in_three_ways() {
        assert_eq!(&text("hi")[..], b"\x81\x02hi");
        assert_eq!(text(&"x".repeat(126))[..4], [0x81, 126, 0, 126]);
        assert_eq!(
            text(&"x".repeat(70_000))[..10],
            [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]
        );
        assert_eq!(&close(Close::Normal)[..], b"\x88\x02\x03\xe8");
    }

    #[test]
    fn pings_and_the_end_are_understood_and_all_else_ends_it() {
        let mut came = masked(0x89, b"hi");
        came.extend(masked(0x8a, b""));
        came.extend(masked(0x88, b"\x03\xe8"));
        assert_eq!(take(&mut came), Some(Event::Ping(b"hi".to_vec())));
        assert_eq!(take(&mut came), Some(Event::Pong));
        assert_eq!(take(&mut came), Some(Event::End(Close::Normal)));
        assert_eq!((take(&mut came), came.len()), (None, 0));
        let first = |bytes: &[u8]| take(&mut bytes.to_vec());
        assert_eq!(
            first(&masked(0x81, b"hi")),
            Some(Event::End(Close::Unwelcome))
        );
        assert_eq!(
            first(&[0x89, 2, 0, 0]),
            Some(Event::End(Close::Protocol)),
            "not masked"
        );
        assert_eq!(
            first(&[0x89, 0xfe]),
            Some(Event::End(Close::Protocol)),
            "too long"
        );
        assert_eq!(
            first(&[0x09, 0x80]),
            Some(Event::End(Close::Protocol)),
            "in parts"
        );
        assert_eq!(first(&masked(0x89, b"hi")[..7]), None, "not all there");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_taken_or_ends_it(mut came in proptest::collection::vec(any::<u8>(), 0..600)) {
            for _ in 0..600 {
                let before = came.len();
                match take(&mut came) {
                    Some(Event::Ping(_) | Event::Pong) => prop_assert!(came.len() < before),
                    _ => break,
                }
            }
        }
    }
}
