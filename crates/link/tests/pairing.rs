//! Pairing an edge with a hub that dials it, by a code.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::{Ipv4Addr, SocketAddr};

use sysmon_certs::{Authority, PairingCode, Role};
use sysmon_clock::{Clock, Random};
use sysmon_link::{LinkError, Pairing, PairingListener};

fn code() -> PairingCode {
    PairingCode::generate(&Random::system()).unwrap()
}

fn listen(code: &PairingCode) -> (PairingListener, String) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = PairingListener::bind(any, code).unwrap();
    let address = listener.address().unwrap().to_string();
    (listener, address)
}

/// The hub's side: signs what the edge asks for.
async fn add(
    address: &str,
    code: &PairingCode,
    authority: &Authority,
    role: Role,
) -> Result<String, LinkError> {
    let pairing = Pairing::connect(address, code).await?;
    let (offer, now) = (pairing.offer.clone(), Clock::system().system_time());
    let name = offer.name.as_str().parse().unwrap();
    let signed = authority
        .sign(&offer.request.0, role, &name, now, 1)
        .unwrap();
    let granted = pairing.grant("lan-box", &signed.authority_pem, &signed.certificate_pem);
    granted.await?;
    Ok(offer.name.to_string())
}

fn authority() -> Authority {
    Authority::in_memory(Clock::system().system_time(), &Random::system()).unwrap()
}

#[tokio::test]
async fn an_edge_and_a_hub_with_the_same_code_are_paired() {
    let (code, authority) = (code(), authority());
    let (listener, address) = listen(&code);
    let random = Random::system();
    let edge = async {
        let paired = listener.pair("edge-1", &random, |_, _| panic!("it has the code"));
        let paired = paired.await.unwrap();
        let (identity, hub) = (paired.identity.clone(), paired.hub.clone());
        paired.confirm().await.unwrap();
        (identity, hub)
    };
    let (added, (identity, hub)) = tokio::join!(add(&address, &code, &authority, Role::Edge), edge);
    assert_eq!(added.unwrap(), "edge-1");
    assert_eq!(
        (identity.peer().to_string().as_str(), hub.as_str()),
        ("edge edge-1", "lan-box")
    );
}

/// A man in the middle, or a guess, has another code: the hub sends nothing, and the edge goes on waiting.
#[tokio::test]
async fn without_the_code_neither_side_goes_on() {
    let (code, authority) = (code(), authority());
    let (listener, address) = listen(&code);
    let (random, mut failures) = (Random::system(), 0);
    let edge = async {
        let paired = listener.pair("edge-1", &random, |_, _| failures += 1);
        paired.await.unwrap().confirm().await.unwrap();
    };
    let hub = async {
        for _ in 0..3 {
            let wrong = self::code();
            let refused = Pairing::connect(&address, &wrong).await.unwrap_err();
            assert!(matches!(refused, LinkError::Code(_)), "{refused}");
        }
        add(&address, &code, &authority, Role::Edge).await.unwrap();
    };
    tokio::join!(edge, hub);
    assert_eq!(failures, 3);
}

#[tokio::test]
async fn a_refused_edge_learns_why_and_takes_no_other_role() {
    let (code, authority) = (code(), authority());
    let (listener, address) = listen(&code);
    let random = Random::system();
    let edge = listener.pair("edge-1", &random, |_, _| {});
    let hub = async {
        let pairing = Pairing::connect(&address, &code).await.unwrap();
        pairing.refuse("there is an edge edge-1 already").await;
    };
    let (refused, ()) = tokio::join!(edge, hub);
    assert!(refused.unwrap_err().to_string().contains("already"));
    let edge = listener.pair("edge-1", &random, |_, _| {});
    let (refused, _) = tokio::join!(edge, add(&address, &code, &authority, Role::Operator));
    assert!(refused.unwrap_err().to_string().contains("not for an edge"));
}
