//! Many alerts at once, at every kind of receiver.

use std::collections::BTreeSet;

use serde_json::Value;
use sysmon_wire::message::Severity;

use super::*;

const ALERTS: usize = 300;

/// Alerts of twelve hosts and forty rules, every tenth critical, with texts of wide characters and markup.
fn flood() -> Vec<Transition> {
    let one = |n: usize| {
        let rule = format!("job-{}", n % 40);
        let mut one = transition(&format!("host-{}", n % 12), &rule, true);
        one.alert.what = n.to_string();
        one.alert.summary =
            format!("夜間バックアップの処理番号 #{n:03} が失敗 &<!channel> \u{1f525}");
        one.alert.severity = match n % 10 {
            7 => Severity::Critical,
            _ => Severity::Warning,
        };
        one
    };
    (0..ALERTS).map(one).collect()
}

/// A number in front of `word`.
fn number(line: &str, word: &str) -> Option<usize> {
    line.split(word).next()?.rsplit(' ').next()?.parse().ok()
}

/// How many alerts a line of a message lists or counts.
fn counted(line: &str) -> usize {
    let head = line.split(": ").nth(1).unwrap_or_default();
    if line.starts_with("and ") {
        return number(line, " more: ").unwrap();
    }
    if head.contains(" alerts on ") {
        return number(head, " alerts on ").unwrap();
    }
    if head.ends_with(" hosts") {
        return number(head, " hosts").unwrap();
    }
    let more = line
        .rsplit_once("; and ")
        .and_then(|(_, more)| number(more, " more"));
    line.matches('#').count() + more.unwrap_or(0)
}

/// What is sent to a receiver until the queue is empty.
fn received(route: &str, receiver: &Receiver) -> Vec<String> {
    let place = Place::new();
    let notifier = place.start(&[route]);
    notifier.apply(flood());
    wait_until("everything is sent", &notifier, |state| {
        let health = state.deliveries[0].health();
        assert_eq!((health.dropped, health.failing), (0, None), "{route}");
        (health.queued == 0).then_some(())
    });
    notifier.finish();
    let requests = receiver.requests().into_iter();
    requests
        .map(|request| request.split_once("\r\n\r\n").unwrap().1.to_owned())
        .collect()
}

fn texts_are_complete(kind: &str, texts: &[String], size: impl Fn(&str) -> usize, max: usize) {
    let mut lines = Vec::new();
    for text in texts {
        assert!(size(text) <= max, "{kind}: {}", size(text));
        lines.extend(
            text.lines()
                .filter(|line| !line.is_empty() && !line.starts_with('(')),
        );
    }
    let total: usize = lines.iter().map(|line| counted(line)).sum();
    assert_eq!(total, ALERTS, "{kind}: {lines:#?}");
    let last_critical = lines
        .iter()
        .rposition(|line| line.starts_with("CRITICAL"))
        .unwrap();
    let first_warning = lines
        .iter()
        .position(|line| line.starts_with("WARNING"))
        .unwrap();
    assert!(last_critical < first_warning, "{kind}: {lines:#?}");
}

#[test]
fn of_300_alerts_at_once_each_is_sent_or_counted_critical_ones_first_by_every_webhook() {
    let field = |name: &'static str| {
        move |body: &String| {
            let body: Value = serde_json::from_str(body).unwrap();
            body[name].as_str().unwrap().to_owned()
        }
    };
    let ok = || Receiver::start(vec![Answer::Status("200 OK")]);
    let post = |kind: &str| {
        let receiver = ok();
        received(&format!("{kind}:{}", receiver.url()), &receiver)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let texts: Vec<String> = post("discord").iter().map(field("content")).collect();
            texts_are_complete("discord", &texts, |text| text.encode_utf16().count(), 2_000);
        });
        scope.spawn(|| {
            let texts: Vec<String> = post("slack").iter().map(field("text")).collect();
            assert!(texts.iter().all(|text| !text.contains('<')));
            texts_are_complete("slack", &texts, |text| text.chars().count(), 4_000);
        });
        scope.spawn(|| {
            let bodies = post("teams");
            assert!(bodies.iter().all(|body| body.len() <= 28_000));
            let texts: Vec<String> = bodies.iter().map(field("text")).collect();
            texts_are_complete("teams", &texts, str::len, 28_000);
        });
        scope.spawn(|| texts_are_complete("ntfy", &post("ntfy"), str::len, 4_096));
        scope.spawn(|| {
            let receiver = ok();
            programs_get_each_alert(&received(receiver.url(), &receiver));
        });
        scope.spawn(|| {
            let receiver = Receiver::mail(vec!["250 Taken"]);
            let letters = received(receiver.url(), &receiver);
            texts_are_complete("mail", &letters, str::len, 60_000);
        });
        scope.spawn(|| {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("got");
            let command = format!("command:cat >> {0}; echo >> {0}", file.display());
            received(&command, &ok());
            let got = std::fs::read_to_string(&file).unwrap();
            programs_get_each_alert(&got.lines().map(str::to_owned).collect::<Vec<_>>());
        });
    });
}

fn programs_get_each_alert(bodies: &[String]) {
    let (mut ids, mut severities) = (BTreeSet::new(), Vec::new());
    for body in bodies {
        let body: Value = serde_json::from_str(body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            ids.insert(alert["id"].as_str().unwrap().to_owned());
            severities.push(alert["severity"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!((ids.len(), severities.len()), (ALERTS, ALERTS));
    assert!(severities.is_sorted(), "critical comes before warning");
}

#[test]
fn a_refused_message_is_not_repeated_and_blocks_no_other() {
    let place = Place::new();
    let receiver = Receiver::start(vec![
        Answer::Status("400 Bad Request"),
        Answer::Status("200 OK"),
    ]);
    let other = Receiver::start(vec![Answer::Status("200 OK")]);
    let notifier = place.start(&[receiver.url(), other.url()]);
    notifier.apply(one("a", true));
    other.wait_for(1);
    let requests = receiver.wait_for(2);
    assert!(requests[0].contains("busy is at 97 %") && !requests[1].contains("97 %"));
    assert!(requests[1].contains("1 critical on a"), "{}", requests[1]);
    notifier.apply(one("b", true));
    let requests = receiver.wait_for(3);
    assert!(requests[2].contains("CRITICAL b"), "{}", requests[2]);
}

#[test]
fn a_mail_server_that_refuses_a_letter_gets_the_next_one() {
    let place = Place::new();
    let replies = vec!["552 Too much", "554 No", "250 Taken"];
    let receiver = Receiver::mail(replies);
    let notifier = place.start(&[receiver.url()]);
    notifier.apply(one("a", true));
    receiver.wait_for(2);
    wait_until("both are refused", &notifier, |state| {
        (state.deliveries[0].health().dropped == 1).then_some(())
    });
    notifier.apply(one("b", true));
    let letters = receiver.wait_for(3);
    assert!(letters[2].contains("CRITICAL b"), "{}", letters[2]);
}

#[test]
fn a_receiver_that_says_when_is_not_asked_before() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Busy(3_600), Answer::Status("200 OK")]);
    let notifier = place.start(&[receiver.url()]);
    notifier.apply(one("a", true));
    let wait = wait_until("the attempt fails", &notifier, |state| {
        let delivery = &state.deliveries[0];
        let wait = delivery.wait(notifier.shared.clock.instant());
        delivery.health().failing.and(wait)
    });
    assert!(wait > Duration::from_secs(200), "{wait:?}");
}
