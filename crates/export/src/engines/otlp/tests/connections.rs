//! Receivers that refuse, close, hang or ask for certificates.

use super::*;

#[test]
fn wrong_credentials_and_addresses_lose_nothing_and_show_nothing() {
    let (grpc, http) = (EngineKind::OtlpGrpc, EngineKind::OtlpHttp);
    let refusals = [
        (
            grpc,
            Answer::Grpc(16, "no such token".to_owned(), Vec::new()),
        ),
        (
            grpc,
            Answer::Grpc(12, "unknown service".to_owned(), Vec::new()),
        ),
        (grpc, Answer::Http(404, None, Vec::new())),
        (http, Answer::Http(401, None, Vec::new())),
        (http, Answer::Http(404, None, Vec::new())),
    ];
    for (kind, answer) in refusals {
        let receiver = Receiver::start(loopback(0), None, move |_| answer.clone()).unwrap();
        let mut options = options(kind, &receiver);
        options.token = Some(Secret::new("geheim"));
        let mut engine = Otlp::new(&options).unwrap();
        for result in [
            send(&mut engine, &[rows("a", &many(1), &[T], &[vec![1.0]])]).map(drop),
            engine.test().map(drop),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, EngineError::Misconfigured(_)), "{error}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }
    let url = Secret::new("http://geheim@127.0.0.1:9");
    let mut nobody = Otlp::new(&DestinationOptions::new("otel", grpc, url)).unwrap();
    let error = nobody.test().unwrap_err().to_string();
    assert!(
        error.starts_with("cannot connect to 127.0.0.1:9"),
        "{error}"
    );
    let url = |url: &str| DestinationOptions::new("otel", grpc, Secret::new(url));
    for wrong in [
        "otel:4317",
        "http://a,b",
        "http://a:4317/v1/metrics",
        "grpc://a",
    ] {
        let error = Otlp::new(&url(wrong)).unwrap_err().to_string();
        assert!(error.starts_with("url: "), "{error}");
    }
    let mut other = url("http://127.0.0.1:4317");
    other.options = [("compression".to_owned(), "snappy".to_owned())].into();
    assert!(
        Otlp::new(&other)
            .unwrap_err()
            .to_string()
            .contains("zstd, gzip or none")
    );
}

#[test]
fn a_receiver_gets_the_best_compression_that_it_knows_and_loses_nothing_by_it() {
    let all = [rows("a", &many(1), &[T], &[vec![1.0]])];
    // Servers refuse unknown compression as unimplemented, or as an internal error.
    for (code, known) in [(12, "gzip"), (13, "gzip"), (12, "none"), (13, "none")] {
        let (sender, calls) = channel();
        let receiver = Receiver::start(loopback(0), None, move |call| {
            let encoding = call.headers.get("grpc-encoding");
            let encoding = encoding.map_or("none", |encoding| encoding.to_str().unwrap());
            sender.send(encoding.to_owned()).unwrap();
            match encoding == known {
                true => Answer::Taken,
                false => Answer::Grpc(code, "unknown encoding".to_owned(), Vec::new()),
            }
        });
        let receiver = receiver.unwrap();
        let mut engine = Otlp::new(&options(EngineKind::OtlpGrpc, &receiver)).unwrap();
        for _ in 0..2 {
            let sent = send(&mut engine, &all).unwrap();
            assert_eq!((sent.samples, sent.refused), (1, Vec::new()));
        }
        let tried = ["zstd", "gzip", "none"];
        let end = tried.iter().position(|tried| *tried == known).unwrap() + 1;
        let wanted = [&tried[..end], &[known, known]].concat();
        assert_eq!(calls.try_iter().collect::<Vec<_>>(), wanted);
        let mut chosen = options(EngineKind::OtlpGrpc, &receiver);
        chosen.options = [("compression".to_owned(), "zstd".to_owned())].into();
        let error = Otlp::new(&chosen).unwrap().test().unwrap_err().to_string();
        assert!(error.contains("check url and compression"), "{error}");
    }
}

#[test]
fn a_receiver_that_closes_or_comes_back_is_asked_again() {
    for kind in KINDS {
        let mut turn = 0;
        let (first, _calls) = receiver(move |_| {
            turn += 1;
            if turn == 2 {
                Answer::Close
            } else {
                Answer::Taken
            }
        });
        let mut engine = Otlp::new(&options(kind, &first)).unwrap();
        let all = [rows("a", &many(1), &[T], &[vec![1.0]])];
        assert_eq!(send(&mut engine, &all).unwrap().samples, 1);
        // A connection that ended is replaced once; a receiver that closes each is one that is not there.
        let mut closed = send(&mut engine, &all);
        if closed.is_err() {
            closed = send(&mut engine, &all);
        }
        assert_eq!(closed.unwrap().samples, 1);
        let address = first.address();
        drop(first);
        assert_eq!(retryable(send(&mut engine, &all).unwrap_err()), None);
        let _second = Receiver::start(address, None, |_| Answer::Taken).unwrap();
        assert_eq!(send(&mut engine, &all).unwrap().samples, 1);
        let (closing, _calls) = receiver(|_| Answer::Close);
        let mut engine = Otlp::new(&options(kind, &closing)).unwrap();
        assert_eq!(retryable(send(&mut engine, &all).unwrap_err()), None);
    }
}

#[test]
fn a_receiver_that_hangs_is_given_up_in_time() {
    let (receiver, _calls) = receiver(|_| Answer::Hang);
    let all = [rows("a", &many(1), &[T], &[vec![1.0]])];
    std::thread::scope(|scope| {
        for kind in KINDS {
            let (options, all) = (options(kind, &receiver), &all);
            scope.spawn(move || {
                let mut engine = Otlp::new(&options).unwrap();
                let error = send(&mut engine, all).unwrap_err();
                assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
            });
        }
    });
}

#[test]
fn both_sides_show_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let papers = Certificates::make(dir.path());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&papers.ca).unwrap())
        .unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&papers.certificate).unwrap()],
            PrivateKeyDer::from_pem_file(&papers.key).unwrap(),
        )
        .unwrap();
    for (kind, protocol) in KINDS.into_iter().zip(["h2", "http/1.1"]) {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let tls = Some(Arc::new(config.clone()));
        let receiver = Receiver::start(loopback(0), tls, |_| Answer::Taken).unwrap();
        let mut options = options(kind, &receiver);
        options.url = Secret::new(format!("https://{}", receiver.address()));
        options.ca = Some(papers.ca.clone());
        let all = [rows("a", &many(1), &[T], &[vec![1.0]])];
        let error = send(&mut Otlp::new(&options).unwrap(), &all).unwrap_err();
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
        options.identity = Some((papers.certificate.clone(), papers.key.clone()));
        let sent = send(&mut Otlp::new(&options).unwrap(), &all).unwrap();
        assert_eq!(sent.samples, 1);
        options.ca = None;
        let error = send(&mut Otlp::new(&options).unwrap(), &all).unwrap_err();
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
    }
}
