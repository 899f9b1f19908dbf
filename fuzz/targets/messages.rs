//! Any bytes as each message of the protocol; the first byte chooses which.
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

/// What was understood can be said, and is understood as the same again.
fn check<M: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(message) = codec::decode::<M>(bytes) else {
        return;
    };
    let (mut said, mut again) = (Vec::new(), Vec::new());
    codec::encode(&message, &mut said).expect("a message that was decoded can be encoded");
    let back: M = codec::decode(&said).expect("what was encoded can be decoded");
    // Bytes are compared, for values that are not numbers equal nothing.
    codec::encode(&back, &mut again).expect("it was encoded before");
    assert_eq!(said, again);
}
