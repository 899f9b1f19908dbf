//! Users, TLS, Sentinel and clusters of Redis.

use std::net::TcpListener;
use std::sync::mpsc::channel;

use super::*;
use crate::engines::servers::Certificates;

#[test]
#[ignore = "needs redis-server"]
fn credentials_and_permissions_are_checked_and_never_shown() {
    let may = "-@all +@read +@write +@connection +@transaction +publish";
    let running = Running::start(&[]);
    let mut administrator = running.client();
    let user = format!("ACL SETUSER sysmon on >geheim ~sysmon:* &sysmon:* {may}");
    let () = ask(&mut administrator, &user);
    let () = ask(&mut administrator, "ACL SETUSER default off");
    let engine = |user: &str, password: &str| {
        let mut configured = options(EngineKind::Redis, &running.url());
        configured.login = Some((user.to_owned(), Secret::new(password)));
        Redis::new(&configured).unwrap()
    };
    let mut good = engine("sysmon", "geheim");
    assert_eq!(good.test().unwrap().split('.').next(), Some("is redis 7"));
    write(&mut good, &[host("a", T, values(1, 2))]).unwrap();
    add_events(&mut good, T, 1..3);
    for mut wrong in [
        engine("sysmon", "geheimer"),
        engine("nobody", "geheim"),
        running.engine(),
    ] {
        for error in [
            wrong.test().unwrap_err(),
            write(&mut wrong, &[]).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(matches!(error, EngineError::Misconfigured(_)), "{text}");
            assert!(
                !text.contains("geheim") && text.contains("check user, password"),
                "{text}"
            );
        }
    }
    let () = ask(&mut administrator, "ACL SETUSER sysmon resetchannels");
    let url = format!("redis://sysmon:geheim@127.0.0.1:{}", running.port);
    let mut engine = Redis::new(&options(EngineKind::Redis, &url)).unwrap();
    let error = engine.test().unwrap_err().to_string();
    assert!(error.contains("NOPERM") && error.contains("ACL"), "{error}");
    let error = write(&mut engine, &[host("a", T, values(1, 2))]).unwrap_err();
    assert!(matches!(error, EngineError::Misconfigured(_)), "{error}");
}

#[test]
#[ignore = "needs redis-server"]
fn a_test_leaves_nothing() {
    let running = Running::start(&[]);
    running.engine().test().unwrap();
    assert_eq!(ask::<i64>(&mut running.client(), "DBSIZE"), 0);
}

#[test]
#[ignore = "needs redis-server"]
fn tls_checks_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let files = Certificates::make(dir.path());
    let tls_port = free_port().to_string();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (ca, certificate, key) = (path(&files.ca), path(&files.certificate), path(&files.key));
    let arguments = [
        "--tls-port",
        &tls_port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
    ];
    let _running = Running::start(&arguments);
    let mut configured = options(EngineKind::Redis, &format!("rediss://127.0.0.1:{tls_port}"));
    let unknown = Redis::new(&configured)
        .unwrap()
        .test()
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    configured.ca = Some(files.ca.clone());
    assert!(
        Redis::new(&configured).unwrap().test().is_err(),
        "the server wants a certificate"
    );
    configured.identity = Some((files.certificate.clone(), files.key.clone()));
    Redis::new(&configured).unwrap().test().unwrap();
    configured.url = Secret::new(format!("rediss://localhost:{tls_port}"));
    let other = Redis::new(&configured)
        .unwrap()
        .test()
        .unwrap_err()
        .to_string();
    assert!(other.contains("certificate"), "{other}");
}

#[test]
#[ignore = "needs redis-server"]
fn a_cluster_gets_each_key_where_it_belongs() {
    let nodes = [0, 1].map(|_| {
        Running::start(&[
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            &free_port().to_string(),
        ])
    });
    let [first, second] = &nodes;
    let () = ask(&mut first.client(), "CLUSTER ADDSLOTSRANGE 0 8000");
    let () = ask(&mut second.client(), "CLUSTER ADDSLOTSRANGE 8001 16383");
    let bus: Vec<String> = ask(&mut second.client(), "CONFIG GET cluster-port");
    let () = ask(
        &mut first.client(),
        &format!("CLUSTER MEET 127.0.0.1 {} {}", second.port, bus[1]),
    );
    let is_ok = |node: &Running| {
        ask::<String>(&mut node.client(), "CLUSTER INFO").contains("cluster_state:ok")
    };
    while !nodes.iter().all(is_ok) {
        std::thread::yield_now();
    }
    let url = format!(
        "redis://127.0.0.1:{},127.0.0.1:{}",
        free_port(),
        second.port
    );
    let mut configured = options(EngineKind::Redis, &url);
    assert!(
        Redis::new(&configured).is_err(),
        "several addresses need a reason"
    );
    configured
        .options
        .insert("cluster".to_owned(), "true".to_owned());
    let mut engine = Redis::new(&configured).unwrap();
    assert!(engine.test().unwrap().ends_with("with 2 masters"));
    let hosts: Vec<_> = (0..1_200)
        .map(|n| host(&format!("h{n}"), T, values(n, 1)))
        .collect();
    assert_eq!(write(&mut engine, &hosts).unwrap().samples, 2_400);
    add_events(&mut engine, T, 1..9);
    let sizes = nodes
        .each_ref()
        .map(|node| ask::<i64>(&mut node.client(), "DBSIZE"));
    assert_eq!(
        sizes.iter().sum::<i64>(),
        1_200 + 3,
        "hosts, their set, events, the key of the hub"
    );
    assert!(sizes.iter().all(|size| *size > 400), "{sizes:?}");
    write(&mut engine, &hosts[..1]).unwrap();
    let sizes = nodes
        .each_ref()
        .map(|node| ask::<i64>(&mut node.client(), "DBSIZE"));
    assert_eq!(sizes.iter().sum::<i64>(), 1 + 3);
}

#[test]
#[ignore = "needs redis-server"]
fn sentinel_says_which_server_is_the_master() {
    let running = Running::start(&[]);
    let port = free_port();
    let configuration = running.dir.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor fleet 127.0.0.1 {} 1\n",
        running.port
    );
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new("redis-server");
    command.arg(&configuration).arg("--sentinel");
    let _sentinel = Server::start(&mut command, "+monitor master fleet");
    let url = format!("redis://127.0.0.1:{},127.0.0.1:{port}", free_port());
    let mut configured = options(EngineKind::Redis, &url);
    configured
        .options
        .insert("sentinel".to_owned(), "fleet".to_owned());
    write(
        &mut Redis::new(&configured).unwrap(),
        &[host("a", T, values(1, 2))],
    )
    .unwrap();
    assert_eq!(names(&mut running.client()), ["a"]);
    configured
        .options
        .insert("sentinel".to_owned(), "other".to_owned());
    let error = Redis::new(&configured).unwrap().test().unwrap_err();
    assert!(
        error.to_string().contains("knows no master \"other\""),
        "{error}"
    );
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "redis://127.0.0.1:{}",
        listener.local_addr().unwrap().port()
    );
    let mut engine = Redis::new(&options(EngineKind::Redis, &url)).unwrap();
    let (sender, result) = channel();
    std::thread::spawn(move || sender.send(write(&mut engine, &[])));
    let result = result.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        matches!(result, Err(EngineError::Unavailable { .. })),
        "{result:?}"
    );
}

#[test]
fn settings_are_checked() {
    let error = |change: fn(&mut DestinationOptions)| {
        let mut options = options(EngineKind::Redis, "redis://127.0.0.1");
        change(&mut options);
        Redis::new(&options).unwrap_err().to_string()
    };
    assert!(
        error(|o| o.url = Secret::new("redis://127.0.0.1/x")).contains("number of the database")
    );
    assert!(
        error(|o| drop(o.options.insert("events".to_owned(), "many".to_owned())))
            .starts_with("events: ")
    );
    assert!(
        error(|o| drop(o.options.insert("prefix".to_owned(), String::new())))
            .starts_with("prefix: ")
    );
    assert!(error(|o| o.tags = vec!["env".to_owned()]).starts_with("tags: "));
    assert!(error(|o| o.ca = Some("/ca.pem".into())).contains("scheme of url"));
}
