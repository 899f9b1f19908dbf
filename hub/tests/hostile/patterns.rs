//! Patterns that are expensive to match, from operators.

use std::time::Duration;

use sysmon_certs::Role;
use sysmon_client::Client;
use sysmon_wire::message::{Blob, Lane, Purpose, Push, RunId};
use sysmon_wire::metrics::UPTIME;
use sysmon_wire::{MINOR, RowEncoder, SeriesTable, UnixMs};
use tokio::time::timeout;

use crate::raw::{agent, frame, hello};
use crate::scene::Scene;

/// A host whose name makes a matcher try every way to split it.
const HOST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test]
async fn a_pattern_of_many_stars_does_not_stop_the_hub() {
    let scene = Scene::new().await;
    let evil = agent(&scene, HOST, &hello(MINOR, Purpose::Push)).await;
    let mut block = Vec::new();
    let now = UnixMs::from_system(std::time::SystemTime::now());
    RowEncoder::new().encode(1, now, &[5], &mut block);
    let begin = Push::Begin {
        run: RunId(1),
        lane: Lane::Live,
    };
    let bytes = [
        frame(&begin),
        frame(&Push::Series(SeriesTable::new(&[UPTIME.series(&[])]))),
        frame(&Push::Keyframe(Blob(block))),
    ];
    let mut rows = evil.raw.connection.open_uni().await.unwrap();
    rows.write_all(&bytes.concat()).await.unwrap();
    scene
        .until("its alert fires", || !scene.hub.alerts().alerts.is_empty())
        .await;
    let connector = scene.connector(Role::Operator, "o");
    let address = scene.address.to_string();
    let client = Client::connect(&connector, &address).await.unwrap();
    let stars = "*a".repeat(20);
    for (hosts, rule) in [(format!("{stars}x"), "x"), (HOST.to_owned(), "*u*p*u*p*x")] {
        let answer = client.acknowledge(&hosts, rule, Some(""));
        let answer = timeout(Duration::from_secs(10), answer).await.unwrap();
        assert_eq!(answer.unwrap().changed, 0, "{hosts}:{rule}");
    }
    let list = "*,".repeat(100) + "*";
    let refused = client.acknowledge(&list, "*", Some("")).await.unwrap_err();
    assert!(refused.to_string().contains("at most 64"), "{refused}");
    scene.stays_unharmed().await;
}
