//! Arbitrary bytes as a message of the protocol; the first byte selects which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sysmon_wire::codec;
use sysmon_wire::message::{
    FromAgent, Hello, JoinReply, JoinRequest, Push, Reply, Request, ToAgent, Welcome,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    match kind {
        0 => check::<Hello>(bytes),
        1 => check::<Welcome>(bytes),
        2 => check::<JoinRequest>(bytes),
        3 => check::<JoinReply>(bytes),
        4 => check::<Push>(bytes),
        5 => check::<FromAgent>(bytes),
        6 => check::<ToAgent>(bytes),
        7 => check::<Request>(bytes),
        8 => check::<Reply>(bytes),
        _ => {}
    }
});

/// A decoded message can be encoded, and decodes to the same message.
fn check<M: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(message) = codec::decode::<M>(bytes) else {
        return;
    };
    let (mut encoded, mut again) = (Vec::new(), Vec::new());
    codec::encode(&message, &mut encoded).expect("a message that was decoded can be encoded");
    let back: M = codec::decode(&encoded).expect("an encoded message can be decoded");
    // Compares bytes, because NaN does not equal itself.
    codec::encode(&back, &mut again).expect("it was encoded before");
    assert_eq!(encoded, again);
}
