//! Certificates by ACME (RFC 8555) with TLS-ALPN-01 (RFC 8737), which needs no port but the page's own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::{BASE64, HEXLOWER};
use futures_util::StreamExt;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_acme::{
    AccountCache, AcmeConfig, AcmeState, CertCache, EventError, EventOk, ResolvesServerCertAcme,
};
use sysmon_files::{FileError, create_private_dir, read_private, write_private};
use tokio::time::{sleep, timeout};

use super::{ACME_TLS_ALPN, TlsError, configure};

/// A state machine without an event for this long is restarted, in case it hangs; it finds the current certificate in
/// the cache.
const RESTART_AFTER: Duration = Duration::from_hours(6);

/// Pauses after the first failure, the second and so on: Let's Encrypt refuses clients that fail five times an hour.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(20),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
];

#[derive(Clone, Debug)]
pub struct AcmeOptions {
    pub domains: Vec<String>,
    pub contact: Option<String>,
    pub directory: String,
    /// File of roots that the authority's own certificate is verified with; browsers' roots if none.
    pub roots: Option<PathBuf>,
    pub cache: PathBuf,
}

#[derive(Debug)]
pub(super) struct Acme {
    options: AcmeOptions,
    client: Option<Arc<ClientConfig>>,
    config: Arc<ServerConfig>,
    resolver: Arc<Resolver>,
    /// Polled once the page is served, because the authority then connects to it.
    first: Mutex<Option<State>>,
}

type State = AcmeState<FileError, FileError>;

impl Acme {
    pub(super) fn new(options: AcmeOptions) -> Result<Self, TlsError> {
        create_private_dir(&options.cache)?;
        let client = options
            .roots
            .as_deref()
            .map(client_with_roots)
            .transpose()?;
        let state = state(&options, client.as_ref());
        let resolver = Arc::new(Resolver::new(&state));
        let certificates = Arc::clone(&resolver);
        let mut config = configure(|builder| Ok(builder.with_cert_resolver(certificates)))?;
        config.alpn_protocols.push(ACME_TLS_ALPN.to_vec());
        Ok(Self {
            client,
            config: Arc::new(config),
            resolver,
            options,
            first: Mutex::new(Some(state)),
        })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    pub(super) async fn renew(&self) {
        let domains = self.options.domains.join(", ");
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut state = first.unwrap_or_else(|| state(&self.options, self.client.as_ref()));
        let mut failures = 0;
        loop {
            match timeout(RESTART_AFTER, state.next()).await {
                Ok(Some(Ok(done))) => {
                    if matches!(done, EventOk::DeployedNewCert | EventOk::DeployedCachedCert) {
                        self.resolver.serve(&state);
                        failures = 0;
                    }
                    if matches!(done, EventOk::DeployedNewCert) {
                        tracing::info!(%domains, "page certificate obtained");
                    }
                }
                Ok(Some(Err(EventError::CertCacheStore(error)))) => {
                    tracing::error!(%error, "cannot store the page certificate; it is lost at a restart");
                }
                Ok(Some(Err(error))) => {
                    let pause = PAUSES.get(failures).or(PAUSES.last());
                    let pause = pause.copied().unwrap_or(RESTART_AFTER);
                    failures += 1;
                    tracing::error!(
                        %domains,
                        directory = self.options.directory,
                        retry_s = pause.as_secs(),
                        %error,
                        "cannot obtain the page certificate"
                    );
                    sleep(pause).await;
                }
                Ok(None) | Err(_) => {
                    state = self::state(&self.options, self.client.as_ref());
                    self.resolver.challenge(&state);
                }
            }
        }
    }
}

fn client_with_roots(path: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let file = |error| TlsError::File(path.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(path).map_err(file)? {
        roots.add(root.map_err(file)?)?;
    }
    if roots.is_empty() {
        return Err(file(rustls::pki_types::pem::Error::NoItemsFound));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

fn state(options: &AcmeOptions, client: Option<&Arc<ClientConfig>>) -> State {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = AcmeConfig::new_with_provider(&options.domains, provider);
    if let Some(client) = client {
        config = config.client_tls_config(Arc::clone(client));
    }
    let contact = options.contact.iter();
    config
        .contact(contact.map(|address| format!("mailto:{address}")))
        .directory(&options.directory)
        .cache(Cache(options.cache.clone()))
        .state()
}

/// Certificates for handshakes: the challenge's from the state machine that runs, the page's from the one that last had
/// a certificate, so that a restart does not interrupt the page.
#[derive(Debug)]
struct Resolver {
    challenge: Mutex<Arc<ResolvesServerCertAcme>>,
    page: Mutex<Arc<ResolvesServerCertAcme>>,
}

impl Resolver {
    fn new(state: &State) -> Self {
        Self {
            challenge: Mutex::new(state.resolver()),
            page: Mutex::new(state.resolver()),
        }
    }

    fn challenge(&self, state: &State) {
        *self
            .challenge
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = state.resolver();
    }

    fn serve(&self, state: &State) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = state.resolver();
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_challenge = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_TLS_ALPN));
        let resolver = if is_challenge {
            &self.challenge
        } else {
            &self.page
        };
        let resolver = Arc::clone(&resolver.lock().unwrap_or_else(PoisonError::into_inner));
        resolver.resolve(hello)
    }
}

/// Account and certificates, in files that only their owner can read.
struct Cache(PathBuf);

impl Cache {
    /// Other domains or another directory have files of their own.
    fn path(&self, kind: &str, domains: &[String], directory: &str) -> PathBuf {
        let all = [domains, &[directory.to_owned()]].concat().join("\n");
        let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, all.as_bytes()).as_ref());
        let hash = hash.get(..16).unwrap_or(&hash);
        self.0.join(format!("{kind}-{hash}"))
    }

    fn read(path: &Path) -> Result<Option<String>, FileError> {
        match read_private(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl CertCache for Cache {
    type EC = FileError;

    async fn load_cert(
        &self,
        domains: &[String],
        directory: &str,
    ) -> Result<Option<Vec<u8>>, FileError> {
        let read = Self::read(&self.path("certificate", domains, directory))?;
        Ok(read.map(String::into_bytes))
    }

    async fn store_cert(
        &self,
        domains: &[String],
        directory: &str,
        pem: &[u8],
    ) -> Result<(), FileError> {
        let path = self.path("certificate", domains, directory);
        write_private(&path, pem)
    }
}

#[async_trait]
impl AccountCache for Cache {
    type EA = FileError;

    async fn load_account(
        &self,
        domains: &[String],
        directory: &str,
    ) -> Result<Option<Vec<u8>>, FileError> {
        let read = Self::read(&self.path("account", domains, directory))?;
        // A damaged key counts as none: a new account works as well.
        Ok(read.and_then(|text| BASE64.decode(text.trim().as_bytes()).ok()))
    }

    async fn store_account(
        &self,
        domains: &[String],
        directory: &str,
        key: &[u8],
    ) -> Result<(), FileError> {
        let path = self.path("account", domains, directory);
        write_private(&path, BASE64.encode(key))
    }
}
