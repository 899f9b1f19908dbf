//! Renewals of certificates that are not the peer's own.

use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use std::time::SystemTime;

use sysmon_certs::{JoinKey, Role, peer_of};
use sysmon_link::{Connector, HubSession};
use sysmon_wire::message::{Blob, Purpose, Reply, Request};

use crate::scene::Scene;

async fn renew(session: &HubSession, request: &[u8]) -> Reply {
    let request = Request::Renew {
        request: Blob(request.to_vec()),
    };
    let mut replies = session.request(&request).await.unwrap();
    replies.next().await.unwrap().unwrap()
}

fn reason(reply: Reply) -> String {
    match reply {
        Reply::Refused { reason } => reason.to_string(),
        other => panic!("it was answered: {other:?}"),
    }
}

fn certificate(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Renewed { certificate, .. } => {
            use rustls::pki_types::pem::PemObject;
            let der = rustls::pki_types::CertificateDer::from_pem_slice(&certificate.0);
            der.unwrap().to_vec()
        }
        other => panic!("it was refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_renewal_is_for_the_same_key_and_name_only() {
    let scene = Scene::new().await;
    for role in [Role::Agent, Role::Operator] {
        let identity = scene.identity(role, "evil");
        let connector = Connector::new(&identity, "1", &sysmon_clock::Clock::system()).unwrap();
        let purpose = if role == Role::Agent {
            Purpose::Push
        } else {
            Purpose::View
        };
        let session = connector
            .connect(&scene.address.to_string(), purpose)
            .await
            .unwrap();
        let good = identity.renewal_request().unwrap();
        let mut altered = good.clone();
        let last = altered.len() - 1;
        altered[last] ^= 1;
        for (request, wanted) in [
            (&b"garbage"[..], "certificate"),
            (&[], "certificate"),
            (&good[..good.len() / 2], "certificate"),
            // Another peer's key without proof of possession.
            (&altered, "certificate"),
            (
                &JoinKey::generate(&sysmon_clock::Random::system())
                    .unwrap()
                    .request()
                    .unwrap(),
                "another key",
            ),
        ] {
            let before = scene.refusals();
            let told = reason(renew(&session, request).await);
            assert!(told.contains(wanted), "{wanted}: {told}");
            assert!(scene.refusals() > before);
        }
        let renewed = certificate(renew(&session, &good).await);
        assert_eq!(
            peer_of(&renewed).unwrap().to_string(),
            format!("{role} evil")
        );
        // Names and roles in a request are ignored.
        let dir = tempfile::tempdir().unwrap();
        identity.save(dir.path()).unwrap();
        let key = KeyPair::from_pem(&std::fs::read_to_string(dir.path().join("key.pem")).unwrap())
            .unwrap();
        let mut wish = CertificateParams::default();
        wish.subject_alt_names = vec![SanType::URI("sysmon://operator/good-1".try_into().unwrap())];
        wish.distinguished_name
            .push(DnType::CommonName, "good-1 (operator)");
        let wish = wish.serialize_request(&key).unwrap();
        let renewed = certificate(renew(&session, wish.der()).await);
        assert_eq!(
            peer_of(&renewed).unwrap().to_string(),
            format!("{role} evil")
        );
    }
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn repeated_renewals_are_limited() {
    let scene = Scene::new().await;
    let identity = scene.identity(Role::Agent, "evil");
    let connector = Connector::new(&identity, "1", &sysmon_clock::Clock::system()).unwrap();
    let session = connector
        .connect(&scene.address.to_string(), Purpose::Push)
        .await
        .unwrap();
    let request = identity.renewal_request().unwrap();
    let before = scene.state.register().issued().unwrap().len();
    let mut told = None;
    for _ in 0..50 {
        if let Reply::Refused { reason } = renew(&session, &request).await {
            told = Some(reason.to_string());
        }
    }
    assert!(told.is_some_and(|told| told.contains("too often")));
    let made = scene.state.register().issued().unwrap().len() - before;
    assert!(made < 10, "{made} certificates");
    scene.stays_unharmed().await;
}

#[tokio::test]
async fn a_revoked_certificate_is_never_renewed_even_before_the_next_review() {
    let scene = Scene::new().await;
    let identity = scene.identity(Role::Agent, "evil");
    let connector = Connector::new(&identity, "1", &sysmon_clock::Clock::system()).unwrap();
    let session = connector
        .connect(&scene.address.to_string(), Purpose::Push)
        .await
        .unwrap();
    let request = identity.renewal_request().unwrap();
    scene
        .state
        .register()
        .revoke(&"evil".parse().unwrap(), None, SystemTime::now())
        .unwrap();
    let wish = Request::Renew {
        request: Blob(request),
    };
    let answer = match session.request(&wish).await {
        Ok(mut replies) => replies.next().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(Some(Reply::Refused { reason })) => assert!(reason.as_str().contains("revoked")),
        Ok(other) => panic!("{other:?}"),
        // The hub has reviewed revocations already.
        Err(error) => assert!(error.to_string().contains("revoked"), "{error}"),
    }
    let issued = scene.state.register().issued().unwrap();
    assert_eq!(
        issued.iter().filter(|issued| issued.name == "evil").count(),
        1
    );
    scene.stays_unharmed().await;
}
