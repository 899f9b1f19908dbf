//! A peer with any certificate or none that sends any bytes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, RecvStream, SendStream, TransportConfig};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::TLS13;
use serde::Serialize;
use sysmon_certs::{Identity, Role, server_name};
use sysmon_link::{Connection, FrameReceiver, FrameSender, LinkError};
use sysmon_wire::message::{Hello, Purpose, Welcome};
use sysmon_wire::{ALPN, MINOR, UnixMs, codec};

use crate::scene::Scene;

/// The certificate and key that it presents.
pub(crate) struct Papers {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Papers {
    pub(crate) fn of_pem(certificate: &str, key: &str) -> Self {
        Self {
            chain: vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        }
    }

    pub(crate) fn of(identity: &Identity) -> Self {
        let dir = tempfile::tempdir().unwrap();
        identity.save(dir.path()).unwrap();
        let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        Self::of_pem(&read("cert.pem"), &read("key.pem"))
    }
}

/// A connection with its socket.
pub(crate) struct Raw {
    pub(crate) connection: Connection,
    _endpoint: Endpoint,
}

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Connects from an address of this machine, without verifying the hub.
pub(crate) async fn connect(
    scene: &Scene,
    from: IpAddr,
    papers: Option<Papers>,
    alpn: &[u8],
) -> Result<Raw, LinkError> {
    connect_with(scene, from, papers, alpn, TransportConfig::default()).await
}

/// The same with another transport configuration.
pub(crate) async fn connect_with(
    scene: &Scene,
    from: IpAddr,
    papers: Option<Papers>,
    alpn: &[u8],
    transport: TransportConfig,
) -> Result<Raw, LinkError> {
    let mut config = client_config(
        &scene.identity(Role::Operator, "to-know-the-hub"),
        papers,
        alpn,
    );
    config.transport_config(Arc::new(transport));
    let endpoint = Endpoint::client(SocketAddr::new(from, 0)).unwrap();
    let connecting = endpoint
        .connect_with(config, scene.address, server_name(Role::Hub))
        .unwrap();
    Ok(Raw {
        connection: connecting.await?,
        _endpoint: endpoint,
    })
}

/// Verifies the listener by the authorities of `knows`, and presents `papers` or nothing.
pub(crate) fn client_config(knows: &Identity, papers: Option<Papers>, alpn: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for authority in knows.authorities() {
        roots.add(authority.clone()).unwrap();
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match papers {
        Some(papers) => config
            .with_client_auth_cert(papers.chain, papers.key)
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

pub(crate) fn hello(minor: u16, purpose: Purpose) -> Hello {
    Hello {
        minor,
        version: "1".into(),
        purpose,
        now: UnixMs::from_system(SystemTime::now()),
    }
}

/// Sends a hello with these credentials; returns the welcome or the reason for the refusal.
pub(crate) async fn knock(
    scene: &Scene,
    papers: Option<Papers>,
    purpose: Purpose,
) -> Result<Welcome, LinkError> {
    let raw = connect(scene, HERE, papers, ALPN).await?;
    let (send, recv) = raw.connection.open_bi().await?;
    let sent = FrameSender::new(send).send(&hello(MINOR, purpose)).await;
    let answer = match sent {
        Ok(()) => FrameReceiver::new(recv).next::<Welcome>().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(Some(welcome)) => Ok(welcome),
        Ok(None) => Err(raw.connection.closed().await.into()),
        Err(error) => Err(raw.connection.close_reason().map_or(error, Into::into)),
    }
}

/// A message with its length prefix.
pub(crate) fn frame(message: &impl Serialize) -> Vec<u8> {
    let (mut body, mut out) = (Vec::new(), Vec::new());
    codec::encode(message, &mut body).unwrap();
    sysmon_wire::varint::put_u64(&mut out, body.len() as u64);
    out.extend(body);
    out
}

/// A length prefix over the limit of frames.
pub(crate) fn too_long() -> Vec<u8> {
    let mut out = Vec::new();
    sysmon_wire::varint::put_u64(&mut out, sysmon_wire::limits::FRAME_BYTES_MAX as u64 + 1);
    out.extend([0; 64]);
    out
}

/// Frames that no decoder may accept.
pub(crate) fn garbage() -> Vec<Vec<u8>> {
    let framed = |body: &[u8]| [&[body.len() as u8], body].concat();
    vec![
        too_long(),
        // A varint length without end.
        vec![0xff; 32],
        // An unknown variant.
        framed(&[200, 1, 2, 3]),
        // A blob of 2^60 bytes in a frame of ten.
        framed(&[[2, 253].as_slice(), &(1u64 << 60).to_le_bytes()].concat()),
        // Bytes after a message.
        framed(&[0; 90]),
        framed(b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n"),
    ]
}

/// An accepted agent whose control stream carries any bytes.
pub(crate) struct Agent {
    pub(crate) raw: Raw,
    pub(crate) up: SendStream,
    _down: RecvStream,
}

pub(crate) async fn agent(scene: &Scene, name: &str, hello: &Hello) -> Agent {
    let papers = Papers::of(&scene.identity(Role::Agent, name));
    let raw = connect(scene, HERE, Some(papers), ALPN).await.unwrap();
    let (mut up, mut down) = raw.connection.open_bi().await.unwrap();
    up.write_all(&frame(hello)).await.unwrap();
    assert!(down.read_chunk(1000, true).await.unwrap().is_some());
    Agent {
        raw,
        up,
        _down: down,
    }
}
