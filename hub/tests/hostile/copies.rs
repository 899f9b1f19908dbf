//! A cloned machine: two agents with one identity.

use std::time::{Duration, Instant};

use sysmon_certs::{Identity, Role};
use sysmon_clock::Clock;
use sysmon_link::{Connector, HubSession, LinkError};
use sysmon_wire::message::Purpose;

use crate::scene::Scene;

/// Connects with a runtime of its own. While nothing runs in it, it is a machine that was switched off.
fn connect(
    runtime: &tokio::runtime::Runtime,
    identity: &Identity,
    address: &str,
) -> (Connector, HubSession) {
    runtime.block_on(async {
        let connector = Connector::new(identity, "1", &Clock::system()).unwrap();
        let session = connector.connect(address, Purpose::Push).await.unwrap();
        (connector, session)
    })
}

#[tokio::test]
async fn a_copy_of_an_agent_is_refused_while_the_agent_is_connected_and_everybody_is_told() {
    let scene = Scene::new().await;
    let before = scene.refusals();
    let copy = scene.connector(Role::Agent, "good-1");
    let address = scene.address.to_string();
    for _ in 0..8 {
        let told = match copy.connect(&address, Purpose::Push).await {
            Err(LinkError::Copy(reason)) => reason,
            other => panic!("the copy was let in: {other:?}"),
        };
        assert!(told.contains("has a copy of its identity"), "{told}");
    }
    assert_eq!(scene.refusals(), before + 8);
    let status = scene.hub.status();
    let limit = status.limits.iter().find(|limit| {
        limit.host.as_ref().is_some_and(|host| host == "good-1") && limit.state.reached_total > 0
    });
    let limit = limit.expect("the status shows it");
    assert!(limit.state.name == "machines with one identity" && limit.state.is_reached());
    let notes: Vec<String> = {
        let core = scene.hub.core();
        let host = core.fleet.find("good-1").and_then(|id| core.fleet.host(id));
        host.unwrap()
            .limits
            .notes()
            .map(|note| note.to_string())
            .collect()
    };
    assert!(
        notes
            .iter()
            .any(|note| note.contains("another machine, at 127.0.0.1")),
        "{notes:?}"
    );
    let audit = std::fs::read_to_string(scene.dir().join("refused.jsonl")).unwrap();
    assert!(
        audit.contains("agent good-1") && audit.contains("has a copy"),
        "{audit}"
    );
    scene.stays_unharmed().await;
}

/// Its old connection has not timed out yet: it waits for a fraction of a second only.
#[test]
fn an_agent_that_was_killed_or_has_another_address_is_let_in_at_once() {
    let (here, machine) = (runtime(), runtime());
    let scene = here.block_on(Scene::new());
    let (identity, address) = (
        scene.identity(Role::Agent, "laptop"),
        scene.address.to_string(),
    );
    let (_connector, first) = connect(&machine, &identity, &address);
    let start = Instant::now();
    let again = runtime();
    let (_again, second) = connect(&again, &identity, &address);
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // Awake again, it learns that it has another connection; the new one stays.
    let reason = machine.block_on(first.connection.closed()).to_string();
    assert!(reason.contains("connected again"), "{reason}");
    assert!(second.connection.close_reason().is_none());
    here.block_on(scene.stays_unharmed());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
