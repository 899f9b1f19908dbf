//! Services that hold alerts: nothing is lost or doubled by a failure, and firing alerts are repeated where they expire.

use serde_json::Value;

use super::*;

fn body(request: &str) -> Value {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[test]
fn a_failure_between_two_events_repeats_that_one_only() {
    let place = Place::new();
    let receiver = Receiver::start(vec![
        Answer::Status("202 Accepted"),
        Answer::Status("500 No"),
        Answer::Status("202 Accepted"),
    ]);
    let base = receiver.url().trim_end_matches("/hook");
    let notifier = place.start(&[&format!("pagerduty:{base}/?key=secret")]);
    let three = ["a", "b", "c"].into_iter().flat_map(|host| one(host, true));
    notifier.apply(three.collect());
    let requests = receiver.wait_for(4);
    wait_until("everything is sent", &notifier, |state| {
        (state.deliveries[0].health().queued == 0).then_some(())
    });
    notifier.finish();
    let keys: Vec<Value> = requests
        .iter()
        .map(|request| body(request)["dedup_key"].clone())
        .collect();
    let failed = keys.iter().filter(|key| **key == keys[1]).count();
    assert_eq!(
        (failed, keys[0] == keys[2] || keys[0] == keys[3]),
        (2, false),
        "{keys:?}"
    );
    assert_eq!(receiver.requests().len(), 4);
}

#[test]
fn a_receiver_that_holds_alerts_for_a_while_hears_of_them_again_after_a_restart() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Status("200 OK")]);
    let base = receiver.url().trim_end_matches("/hook");
    let route = format!("critical alertmanager:{base}");
    let first = place.start(&[&route]);
    let mut warning = one("w", true);
    warning[0].alert.severity = sysmon_wire::message::Severity::Warning;
    first.apply(warning);
    first.apply(one("a", true));
    receiver.wait_for(1);
    wait_until("it is sent", &first, |state| {
        state.deliveries[0].health().sent
    });
    first.finish();
    drop(first);
    let again = place.start(&[&route]);
    let requests = receiver.wait_for(2);
    wait_until("it is sent", &again, |state| {
        state.deliveries[0].health().sent
    });
    let labels = |request: &str| {
        let body = body(request);
        let alerts = body.as_array().unwrap().iter();
        alerts
            .map(|alert| alert["labels"]["host"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(&requests[1]), ["a"], "nor the warning");
    again.apply(one("a", false));
    let end = body(&receiver.wait_for(3)[2])[0]["endsAt"].clone();
    let end = end.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(end.as_millisecond() < Clock::system().now().0, "{end}");
    again.finish();
}

#[test]
fn firing_alerts_are_repeated_every_minute_and_a_failure_leaves_the_queue_alone() {
    use super::super::delivery::Delivery;
    use super::super::queue::DeliveryQueue;
    let now = Clock::system().instant();
    let second = Duration::from_secs(1);
    let route = "alertmanager:http://x".parse().unwrap();
    let mut delivery = Delivery::new(0, route, DeliveryQueue::default(), now);
    assert_eq!(
        delivery.wait(now),
        Some(Duration::ZERO),
        "a new receiver hears at once"
    );
    assert!(delivery.repeat(Vec::new(), now).is_none(), "nothing fires");
    assert_eq!(delivery.wait(now), Some(second * 60));
    let later = now + second * 60;
    assert!(delivery.is_repeat_due(later));
    delivery.add(one("b", false).remove(0), later);
    assert!(delivery.repeat(one("a", true), later).is_some());
    delivery.finish(Err(SendError::CommandTimeout), UnixMs(0), later);
    assert_eq!(delivery.health().queued, 1);
    assert!(!delivery.is_repeat_due(later), "the queue is next");
    assert_eq!(
        delivery.wait(later),
        Some(second * 2),
        "after the pause of a failure"
    );
    let message = delivery.start().unwrap();
    assert_eq!(message.transitions(), one("b", false));
    delivery.finish(Ok(()), UnixMs(0), later);
    assert_eq!(delivery.health().queued, 0);
    let plain = Delivery::new(
        0,
        "http://x".parse().unwrap(),
        DeliveryQueue::default(),
        now,
    );
    assert_eq!((plain.wait(now), plain.is_repeat_due(later)), (None, false));
}

#[test]
fn alerts_of_a_host_that_is_renamed_end_under_its_old_name_and_go_on_under_the_new_one() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Status("202 Accepted")]);
    let plain = Receiver::start(vec![Answer::Status("200 OK")]);
    let base = receiver.url().trim_end_matches("/hook");
    let notifier = place.start(&[&format!("opsgenie:{base}/?key=secret"), plain.url()]);
    notifier.apply(one("old", true));
    receiver.wait_for(1);
    plain.wait_for(1);
    wait_until("both are sent", &notifier, |state| {
        let mut deliveries = state.deliveries.iter();
        deliveries
            .all(|one| one.health().sent.is_some())
            .then_some(())
    });
    notifier.rename_host("old", "new");
    let requests = receiver.wait_for(3);
    let opened = requests
        .iter()
        .filter(|one| one.starts_with("POST /v2/alerts HTTP"));
    let hosts: Vec<Value> = opened.map(|one| body(one)["entity"].clone()).collect();
    assert_eq!(hosts, ["old", "new"]);
    let key = body(&requests[0])["alias"].as_str().unwrap().to_owned();
    let ends = format!("POST /v2/alerts/{key}/close");
    assert!(
        requests[1..].iter().any(|one| one.starts_with(&ends)),
        "{requests:#?}"
    );
    notifier.finish();
    assert_eq!(plain.requests().len(), 1);
}
