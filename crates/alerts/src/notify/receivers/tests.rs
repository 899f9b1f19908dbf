//! What each service gets over the wire, byte for byte, and what nobody sees.

use serde_json::json;
use sysmon_wire::message::Severity;
use sysmon_wire::{Label, UnixMs};

use super::*;
use crate::Transition;
use crate::notify::notification::alert_key;
use crate::notify::notification::tests::transition;
use crate::notify::testing::{Answer, Receiver};
use crate::notify::{Route, SendError, send};

/// A moment with a date that is easy to read: 2024-01-01 00:00 UTC.
const START: i64 = 1_704_067_200_000;
const NOW: UnixMs = UnixMs(START + 90_000);

fn alert(host: &str, firing: bool) -> Transition {
    let mut one = transition(host, "busy", firing);
    one.alert.since = UnixMs(START);
    one
}

fn message(route: &Route, transitions: Vec<Transition>) -> Notification {
    Notification::first_of(transitions, &route.capacity(), true, 0).0
}

/// A request as it arrived.
struct Got {
    line: String,
    headers: Vec<String>,
    body: Value,
}

impl Got {
    fn read(request: &str) -> Self {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        Self {
            line: lines.next().unwrap().to_owned(),
            headers: lines.map(str::to_owned).collect(),
            body: serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn attempt(
    route: &str,
    answer: &'static str,
    transitions: Vec<Transition>,
) -> (Result<(), SendError>, Vec<Got>, Notification) {
    let receiver = Receiver::start(vec![Answer::Status(answer)]);
    let place = receiver.url().trim_end_matches("/hook");
    let route: Route = route.replace("URL", place).parse().unwrap();
    let message = message(&route, transitions);
    let sent = send(&route, &message, NOW);
    let got = receiver.requests();
    (
        sent,
        got.iter().map(|one| Got::read(one)).collect(),
        message,
    )
}

/// The only request of a message about `transitions`.
fn got(route: &str, transitions: Vec<Transition>) -> (Got, Notification) {
    let (sent, mut got, message) = attempt(route, "200 OK", transitions);
    sent.unwrap();
    assert_eq!(got.len(), 1);
    let got = got.remove(0);
    assert_eq!(got.header("idempotency-key"), Some(message.id().as_str()));
    (got, message)
}

const LINE: &str = "CRITICAL a: busy is at 97 % (busy)";
const TITLE: &str = "sysmon: 1 critical on a";

fn firing() -> Vec<Transition> {
    vec![alert("a", true)]
}

fn resolved() -> Vec<Transition> {
    vec![alert("a", false)]
}

fn warning() -> Vec<Transition> {
    let mut one = alert("a", true);
    one.alert.severity = Severity::Warning;
    vec![one]
}

#[test]
fn chats_get_their_own_format_and_nobody_is_mentioned() {
    let mut one = alert("a", true);
    one.alert.summary = "<!channel> & @everyone".to_owned();
    let line = "CRITICAL a: <!channel> & @everyone (busy)";
    let (slack, _) = got("slack:URL/x", vec![one.clone()]);
    assert_eq!(slack.line, "POST /x HTTP/1.1");
    assert_eq!(slack.header("content-type"), Some("application/json"));
    assert_eq!(
        slack.body,
        json!({ "text": "CRITICAL a: &lt;!channel&gt; &amp; @everyone (busy)" })
    );
    let (discord, _) = got("discord:URL/x", vec![one.clone()]);
    assert_eq!(
        discord.body,
        json!({ "content": line, "allowed_mentions": { "parse": [] } })
    );
    let (teams, _) = got("teams:URL/x", vec![one.clone()]);
    let card = &teams.body["attachments"][0]["content"];
    assert_eq!(
        (&card["type"], &card["body"][0]["text"]),
        (&json!("AdaptiveCard"), &json!(line))
    );
    let (ntfy, _) = got("ntfy:URL/x", vec![one.clone()]);
    assert_eq!(ntfy.body, json!(line));
    assert_eq!(
        (ntfy.header("title"), ntfy.header("priority")),
        (Some(TITLE), Some("urgent"))
    );
    for route in ["URL/x", "json:URL/x"] {
        let (webhook, message) = got(route, vec![one.clone()]);
        assert_eq!(webhook.body, message.json());
        assert_eq!(webhook.body["alerts"][0]["rule"], "busy");
    }
}

#[test]
fn telegram_gets_plain_text_for_a_chat_or_a_thread_of_it() {
    let (got_it, _) = got("telegram:URL/?token=12:A-b_c&chat=-1001", firing());
    assert_eq!(got_it.line, "POST /bot12:A-b_c/sendMessage HTTP/1.1");
    assert_eq!(
        got_it.body,
        json!({ "chat_id": "-1001", "text": LINE, "link_preview_options": { "is_disabled": true } })
    );
    let (got_it, _) = got("telegram:URL/?token=12:A&chat=@ops&thread=7", firing());
    assert_eq!(
        (&got_it.body["chat_id"], &got_it.body["message_thread_id"]),
        (&json!("@ops"), &json!(7))
    );
    let (got_it, _) = got("telegram:URL/?token=a%2F..%2Fb&chat=1", firing());
    assert_eq!(got_it.line, "POST /bota%2F..%2Fb/sendMessage HTTP/1.1");
}

#[test]
fn gotify_gets_the_token_in_a_header_and_a_priority_by_severity() {
    let route = "gotify:URL/push/?token=secret";
    let (got_it, _) = got(route, firing());
    assert_eq!(got_it.line, "POST /push/message HTTP/1.1");
    assert_eq!(got_it.header("x-gotify-key"), Some("secret"));
    assert_eq!(
        got_it.body,
        json!({ "title": TITLE, "message": LINE, "priority": 8 })
    );
    assert_eq!(got(route, warning()).0.body["priority"], 5);
    assert_eq!(got(route, resolved()).0.body["priority"], 2);
}

#[test]
fn pushover_passes_quiet_hours_for_critical_alerts_only() {
    let route = "pushover:URL/?token=t0ken&user=u5er";
    let (got_it, _) = got(route, firing());
    assert_eq!(got_it.line, "POST /1/messages.json HTTP/1.1");
    assert_eq!(
        got_it.body,
        json!({ "token": "t0ken", "user": "u5er", "title": TITLE, "message": LINE, "priority": 1 })
    );
    assert_eq!(got(route, warning()).0.body["priority"], 0);
    assert_eq!(got(route, resolved()).0.body["priority"], 0);
}

#[test]
fn matrix_gets_an_event_whose_transaction_is_the_notification() {
    let route = "matrix:URL/?token=secret&room=!a/b:x.org";
    let (got_it, message) = got(route, firing());
    let path = format!(
        "/_matrix/client/v3/rooms/%21a%2Fb:x.org/send/m.room.message/{}",
        message.id()
    );
    assert_eq!(got_it.line, format!("PUT {path} HTTP/1.1"));
    assert_eq!(got_it.header("authorization"), Some("Bearer secret"));
    assert_eq!(got_it.body, json!({ "msgtype": "m.text", "body": LINE }));
    assert_eq!(got(route, firing()).0.line, got_it.line, "a repetition");
    let (later, _) = got(route, resolved());
    assert_eq!(later.body["msgtype"], "m.notice");
    assert_ne!(later.line, got_it.line);
}

#[test]
fn signal_gets_each_recipient() {
    let (got_it, _) = got("signal:URL/?from=+49151&to=%2B49176,group.aGk=", firing());
    assert_eq!(got_it.line, "POST /v2/send HTTP/1.1");
    assert_eq!(
        got_it.body,
        json!({ "number": "+49151", "recipients": ["+49176", "group.aGk="], "message": LINE })
    );
}

#[test]
fn apprise_gets_a_type_and_a_key_without_services_is_a_failure() {
    let (got_it, _) = got("apprise:URL/notify/secret?tag=ops", firing());
    assert_eq!(got_it.line, "POST /notify/secret HTTP/1.1");
    assert_eq!(
        got_it.body,
        json!({ "title": TITLE, "body": LINE, "type": "failure", "format": "text", "tag": "ops" })
    );
    let route = "apprise:URL/notify/secret";
    assert_eq!(got(route, warning()).0.body["type"], "warning");
    let (later, _) = got(route, resolved());
    assert_eq!(later.body["type"], "success");
    assert_eq!(later.body.get("tag"), None);
    let (sent, ..) = attempt(route, "204 No Content", firing());
    let error = sent.unwrap_err();
    assert!(error.to_string().contains("204") && !error.is_refusal());
    assert!(attempt("URL", "204 No Content", firing()).0.is_ok());
}

#[test]
fn pagerduty_gets_an_event_of_one_alert_and_its_end_with_the_same_key() {
    let route = "pagerduty:URL/?key=r0uting";
    let mut disk = alert("a", true);
    disk.alert.what = "/data".to_owned();
    let key = alert_key(&disk.alert);
    let (got_it, _) = got(route, vec![disk.clone()]);
    assert_eq!(got_it.line, "POST /v2/enqueue HTTP/1.1");
    assert_eq!(
        got_it.body,
        json!({
            "routing_key": "r0uting", "event_action": "trigger", "dedup_key": key, "client": "sysmon",
            "payload": {
                "summary": "a: busy is at 97 % (busy)", "source": "a", "severity": "critical",
                "timestamp": "2024-01-01T00:00:00Z", "class": "busy", "component": "/data",
                "custom_details": { "tags": [], "value": 0.97 },
            },
        })
    );
    assert!(key.len() <= 255 && key != alert_key(&alert("a", true).alert));
    disk.firing = false;
    disk.alert.summary = "other words".to_owned();
    assert_eq!(
        got(route, vec![disk]).0.body,
        json!({ "routing_key": "r0uting", "event_action": "resolve", "dedup_key": key })
    );
    assert_eq!(
        got(route, warning()).0.body["payload"]["severity"],
        "warning"
    );
}

#[test]
fn opsgenie_gets_an_alert_and_closes_it_by_its_alias() {
    let route = "opsgenie:URL/?key=secret";
    let key = alert_key(&alert("a", true).alert);
    let (got_it, _) = got(route, firing());
    assert_eq!(got_it.line, "POST /v2/alerts HTTP/1.1");
    assert_eq!(got_it.header("authorization"), Some("GenieKey secret"));
    let line = "a: busy is at 97 % (busy)";
    assert_eq!(
        got_it.body,
        json!({
            "message": line, "alias": key, "description": line, "entity": "a", "source": "sysmon",
            "priority": "P1", "details": { "rule": "busy", "host": "a", "what": "" },
        })
    );
    assert_eq!(got(route, warning()).0.body["priority"], "P3");
    let (end, _) = got(route, resolved());
    assert_eq!(
        end.line,
        format!("POST /v2/alerts/{key}/close?identifierType=alias HTTP/1.1")
    );
    assert_eq!(end.header("authorization"), Some("GenieKey secret"));
    assert_eq!(end.body, json!({ "source": "sysmon" }));
}

#[test]
fn alertmanager_gets_an_end_in_ten_minutes_or_in_the_past_and_never_before_the_start() {
    let route = "alertmanager:URL/am/";
    let mut disk = alert("a", true);
    disk.alert.what = "/data".to_owned();
    let (got_it, _) = got(route, vec![disk, alert("b", false)]);
    assert_eq!(got_it.line, "POST /am/api/v2/alerts HTTP/1.1");
    assert_eq!(
        got_it.body,
        json!([
            {
                "labels": { "alertname": "busy", "host": "a", "severity": "critical", "what": "/data" },
                "annotations": { "summary": "busy is at 97 %" },
                "startsAt": "2024-01-01T00:00:00Z", "endsAt": "2024-01-01T00:11:30Z",
            },
            {
                "labels": { "alertname": "busy", "host": "b", "severity": "critical" },
                "annotations": { "summary": "busy is at 97 %" },
                "startsAt": "2024-01-01T00:00:00Z", "endsAt": "2024-01-01T00:00:30Z",
            },
        ])
    );
    let mut young = alert("a", false);
    young.alert.since = NOW - 1_000;
    let (got_it, _) = got(route, vec![young]);
    assert_eq!(got_it.body[0]["startsAt"], got_it.body[0]["endsAt"]);
}

#[test]
fn many_alerts_are_several_requests_and_the_first_failure_ends_the_attempt() {
    let receiver = Receiver::start(vec![Answer::Status("200 OK"), Answer::Status("500 No")]);
    let place = receiver.url().trim_end_matches("/hook");
    let route: Route = format!("alertmanager:{place}").parse().unwrap();
    let all: Vec<Transition> = (0..250).map(|n| alert(&n.to_string(), true)).collect();
    let message = Notification::repeated(all);
    assert!(send(&route, &message, NOW).is_err());
    let got: Vec<Got> = receiver
        .requests()
        .iter()
        .map(|one| Got::read(one))
        .collect();
    let sizes: Vec<usize> = got
        .iter()
        .map(|one| one.body.as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [100, 100]);
    send(
        &"alertmanager:http://127.0.0.1:1".parse().unwrap(),
        &message,
        NOW,
    )
    .unwrap_err();
}

/// A route of each kind, with secrets that contain the word.
const ROUTES: [&str; 18] = [
    "URL/secret",
    "json:URL/?secret",
    "slack:URL/secret",
    "teams:URL/secret",
    "discord:URL/secret",
    "ntfy:URL/secret",
    "telegram:URL/?token=1:secret&chat=-1001",
    "telegram:1:secret@-1001",
    "gotify:URL/?token=thesecret",
    "pushover:URL/?token=thesecret&user=asecret",
    "pushover:thesecret@asecret",
    "matrix:URL/?token=thesecret&room=!secret:x",
    "signal:URL/?from=+secret&to=+secret",
    "apprise:URL/notify/secret",
    "pagerduty:thesecret",
    "pagerduty:URL/?key=thesecret",
    "opsgenie:thesecret",
    "alertmanager:http://me:secret@127.0.0.1:1/secret",
];

#[test]
fn no_secret_is_shown_or_in_an_error() {
    for route in ROUTES {
        let text = route.replace("URL", "http://me:secret@127.0.0.1:1");
        let route: Route = text.parse().unwrap();
        let mut shown = vec![
            route.to_string(),
            format!("{route:?}"),
            Route::describe(&text),
        ];
        // Only a few go to the internet.
        if text.contains("127.0.0.1") {
            let error = send(&route, &message(&route, firing()), NOW).unwrap_err();
            shown.push(error.to_string());
        }
        // A character that no address may have.
        let broken = text
            .replacen("secret", "secret\u{1}secret", 9)
            .parse::<Route>();
        shown.extend(broken.err().map(|error| error.to_string()));
        for shown in shown {
            assert!(!shown.contains("secret"), "{text}: {shown}");
        }
    }
    let shown = |text: &str| text.parse::<Route>().unwrap().to_string();
    assert_eq!(
        shown("critical telegram:1:a@b"),
        "critical telegram at api.telegram.org"
    );
    assert_eq!(shown("pagerduty:a"), "pagerduty at events.pagerduty.com");
    assert_eq!(shown("opsgenie:a"), "opsgenie at api.opsgenie.com");
    assert_eq!(shown("pushover:a@b"), "pushover at api.pushover.net");
}

#[test]
fn an_address_that_does_not_fit_is_answered_with_how_it_is_written() {
    for bad in [
        "telegram:",
        "telegram:1:secret",
        "telegram:@ops",
        "telegram:https://x.org/?token=secret",
        "telegram:https://x.org/?token=secret&chat=1&thread=x",
        "gotify:https://x.org/",
        "pushover:secret",
        "matrix:https://x.org/?token=secret&room=%23ops:x.org",
        "signal:https://x.org/?from=+1",
        "signal:https://x.org/?from=+1&to=+2,",
        "apprise:https://x.org/secret",
        "apprise:https://x.org/notify/",
        "pagerduty:",
        "opsgenie:a secret",
        "alertmanager:https://x.org/?token=secret",
        "alertmanager:secret",
    ] {
        let error = bad.parse::<Route>().unwrap_err().to_string();
        let (kind, _) = bad.split_once(':').unwrap();
        assert!(
            error.starts_with(&format!("not a route: write {kind}:")),
            "{bad}: {error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }
    let many = ["+1"; 21].join(",");
    assert!(
        format!("signal:http://x/?from=+1&to={many}")
            .parse::<Route>()
            .is_err()
    );
}

#[test]
fn every_text_fits_into_what_its_service_takes() {
    let texts = ["\u{1f525}", "&", "\"", "é"];
    let longest = |text: &str| {
        let mut one = alert("a", true);
        one.alert.summary = text.repeat(40_000);
        one.alert.host = Label::new(&text.repeat(3_000)).as_str().to_owned();
        vec![one]
    };
    let (characters, utf16) = (
        |text: &Value| text.as_str().unwrap().chars().count(),
        |text: &Value| text.as_str().unwrap().encode_utf16().count(),
    );
    for text in texts {
        let body = |route: &str| got(route, longest(text)).0.body;
        let telegram = body("telegram:URL/?token=1&chat=1");
        assert!(utf16(&telegram["text"]) <= 4_096);
        let pushover = body("pushover:URL/?token=1&user=1");
        assert!(characters(&pushover["message"]) <= 1_024 && characters(&pushover["title"]) <= 250);
        let matrix = body("matrix:URL/?token=1&room=!1");
        assert!(matrix.to_string().len() <= 60_000);
        let signal = body("signal:URL/?from=1&to=1");
        assert!(signal["message"].as_str().unwrap().len() <= 2_000);
        let apprise = body("apprise:URL/notify/1");
        assert!(utf16(&apprise["body"]) <= 2_000);
        let pagerduty = body("pagerduty:URL/?key=1");
        assert!(characters(&pagerduty["payload"]["summary"]) <= 1_024);
        let opsgenie = body("opsgenie:URL/?key=1");
        assert!(characters(&opsgenie["message"]) <= 130);
        assert!(characters(&opsgenie["description"]) <= 15_000);
        assert!(characters(&opsgenie["entity"]) <= 512);
        assert!(opsgenie["details"].to_string().len() <= 8_000 * 4);
    }
}

#[test]
fn a_receiver_of_single_alerts_that_refuses_details_gets_the_counts() {
    for (route, field) in [
        ("pagerduty:URL/?key=1", "/payload/summary"),
        ("opsgenie:URL/?key=1", "/message"),
        ("alertmanager:URL", "/0/annotations/summary"),
    ] {
        let receiver = Receiver::start(vec![Answer::Status("202 Accepted")]);
        let place = receiver.url().trim_end_matches("/hook");
        let route: Route = route.replace("URL", place).parse().unwrap();
        send(&route, &Notification::brief(firing()), NOW).unwrap();
        let body = Got::read(&receiver.requests()[0]).body;
        let text = body.pointer(field).unwrap().as_str().unwrap();
        assert!(
            text.starts_with(TITLE) && !body.to_string().contains("97 %"),
            "{body}"
        );
    }
}
