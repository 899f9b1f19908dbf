//! Arbitrary text as a join token.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysmon_certs::{PeerName, Token};

fuzz_target!(|text: &str| {
    if let Ok(token) = text.parse::<Token>() {
        let again = token.to_string().parse::<Token>();
        assert!(again.as_ref() == Ok(&token));
        assert_eq!(text.trim(), token.to_string());
    }
    // The name of a peer.
    if let Ok(name) = text.parse::<PeerName>() {
        assert_eq!(name.as_str(), text);
    }
    assert!(PeerName::nearest(text).as_str().parse::<PeerName>().is_ok());
});
