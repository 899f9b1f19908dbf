//! Every message of the protocol.
//!
//! A connection begins with one *control* stream (bidirectional, opened by the client): [`Hello`]
//! up, [`Welcome`] down. Then, for an agent: [`ToAgent`] down and [`FromAgent`] up the control
//! stream, and rows as [`Push`] on streams of their own, one live and one for backfill. For a
//! subscriber: each [`Request`] opens a bidirectional stream, [`Reply`] frames come back on it,
//! and resetting the stream cancels the request.
//!
//! Compatibility: a variant, once released, never changes; new ones are added at the end and sent
//! only to peers whose minor version knows them.
#![allow(
    missing_docs,
    reason = "fields are documented where their names do not say it all"
)]

mod agent;
pub mod alerts;
mod blob;
mod hello;
mod host;
mod reply;
mod request;
mod service;
pub mod timeline;

pub use agent::{FromAgent, Lane, Push, RunId, ToAgent};
pub use blob::Blob;
pub use hello::{Hello, JoinReply, JoinRequest, PairOffer, Paired, Purpose, Welcome};
pub use host::{
    AlertLine, FleetUpdate, HostHealth, HostLimit, HostLine, HostState, HostTick, Severity, Spark,
};
pub use reply::{
    Change, EdgeState, ExportLine, HostProcess, HubStatus, MaintenanceState, Points, Reply,
};
pub use request::{Aggregate, Group, HUB_HOST, Query, Request, TopBy};
pub use service::{Incident, IncidentUpdate, Service, ServiceState, Services};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnixMs;
    use crate::codec::{self, CodecError};
    use proptest::prelude::*;
    use serde::Serialize;

    fn bytes<M: Serialize>(message: &M) -> Vec<u8> {
        let mut out = Vec::new();
        codec::encode(message, &mut out).unwrap();
        out
    }

    /// If this fails, older peers no longer understand this build.
    #[test]
    fn the_first_words_never_change() {
        let hello = Hello {
            minor: 3,
            version: "1".into(),
            purpose: Purpose::View,
            now: UnixMs(2),
        };
        assert_eq!(bytes(&hello), [3, 1, b'1', 1, 4]);
        let no = Welcome::Refused {
            reason: "no".into(),
        };
        assert_eq!(bytes(&no), [1, 2, b'n', b'o']);
        assert_eq!(
            bytes(&Push::Begin {
                run: RunId(9),
                lane: Lane::Backfill
            }),
            [0, 9, 1]
        );
        assert_eq!(bytes(&Push::Rows(Blob(vec![5, 6]))), [2, 2, 5, 6]);
        assert_eq!(
            bytes(&ToAgent::Ack {
                run: RunId(1),
                ranges: vec![(1, 2)]
            }),
            [0, 1, 1, 1, 2]
        );
    }

    #[test]
    fn labels_are_cleaned_while_they_are_decoded() {
        let reason = bytes(&(1u8, "a\x1b[2Jb"));
        let refused: Welcome = codec::decode(&reason).unwrap();
        assert_eq!(
            refused,
            Welcome::Refused {
                reason: "a\u{fffd}[2Jb".into()
            }
        );
    }

    #[test]
    fn a_length_that_lies_allocates_nothing() {
        // A blob of 2^60 bytes.
        let lie = [&[2u8, 253][..], &(1u64 << 60).to_le_bytes()].concat();
        assert!(matches!(
            codec::decode::<Push>(&lie),
            Err(CodecError::Malformed(_))
        ));
    }

    #[test]
    fn bytes_after_a_message_are_refused() {
        let mut long = bytes(&Reply::Complete);
        long.push(0);
        assert!(matches!(
            codec::decode::<Reply>(&long),
            Err(CodecError::Trailing(1))
        ));
    }

    proptest! {
        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = codec::decode::<Hello>(&bytes);
            let _ = codec::decode::<Welcome>(&bytes);
            let _ = codec::decode::<Push>(&bytes);
            let _ = codec::decode::<FromAgent>(&bytes);
            let _ = codec::decode::<ToAgent>(&bytes);
            let _ = codec::decode::<Request>(&bytes);
            let _ = codec::decode::<Reply>(&bytes);
        }
    }
}
