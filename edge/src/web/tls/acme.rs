//! Certificates that are fetched by ACME: by TLS-ALPN-01, so on the port of the page.

use std::io;
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
use sysmon_certs::{CertError, create_private_dir, read_private, write_private};
use tokio::time::{sleep, timeout};

use super::{TlsError, configure};

/// What the authority speaks when it looks whether a name leads here.
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

/// Whatever hangs is begun anew after this; a certificate that is there is kept, and its time looked at again.
const ANEW_AFTER: Duration = Duration::from_hours(6);

/// How long after one failure, two, three and so on: an authority refuses those who fail five times an hour.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(20),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
];

/// Which certificate is fetched, and from whom.
#[derive(Clone, Debug)]
pub struct AcmeOptions {
    /// Names of the page.
    pub domains: Vec<String>,
    /// A mail address of who runs it.
    pub contact: Option<String>,
    /// Where the authority tells what it offers.
    pub directory: String,
    /// Roots by which it is trusted; those of browsers if not set.
    pub roots: Option<PathBuf>,
    /// Where account and certificate are kept.
    pub kept: PathBuf,
}

/// A certificate that is fetched and renewed.
#[derive(Debug)]
pub(super) struct Acme {
    options: AcmeOptions,
    client: Option<Arc<ClientConfig>>,
    config: Arc<ServerConfig>,
    answers: Arc<Answers>,
    /// The first round, which begins when this is served.
    first: Mutex<Option<State>>,
}

type State = AcmeState<CertError, CertError>;

impl Acme {
    pub(super) fn new(options: AcmeOptions) -> Result<Self, TlsError> {
        create_private_dir(&options.kept)?;
        let client = options.roots.as_deref().map(trusting).transpose()?;
        let state = state(&options, client.as_ref());
        let answers = Arc::new(Answers::new(&state));
        let resolver = Arc::clone(&answers);
        let mut config = configure(|builder| Ok(builder.with_cert_resolver(resolver)))?;
        config.alpn_protocols.push(PROTOCOL.to_vec());
        Ok(Self {
            client,
            config: Arc::new(config),
            answers,
            options,
            first: Mutex::new(Some(state)),
        })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Fetches a certificate when there is none or it is time, for ever.
    pub(super) async fn renew(&self) {
        let names = self.options.domains.join(", ");
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut state = first.unwrap_or_else(|| state(&self.options, self.client.as_ref()));
        let mut failures = 0;
        loop {
            match timeout(ANEW_AFTER, state.next()).await {
                Ok(Some(Ok(done))) => {
                    if matches!(done, EventOk::DeployedNewCert | EventOk::DeployedCachedCert) {
                        self.answers.show(&state);
                        failures = 0;
                    }
                    if matches!(done, EventOk::DeployedNewCert) {
                        tracing::info!("the page has a new certificate for {names}");
                    }
                }
                Ok(Some(Err(EventError::CertCacheStore(error)))) => {
                    tracing::error!("the page's certificate is not kept over a restart: {error}");
                }
                Ok(Some(Err(error))) => {
                    let pause = PAUSES.get(failures).or(PAUSES.last());
                    let pause = pause.copied().unwrap_or(ANEW_AFTER);
                    failures += 1;
                    tracing::error!(
                        "no certificate for {names} from {}: {error}; trying again in {} s",
                        self.options.directory,
                        pause.as_secs()
                    );
                    sleep(pause).await;
                }
                Ok(None) | Err(_) => {
                    state = self::state(&self.options, self.client.as_ref());
                    self.answers.begin(&state);
                }
            }
        }
    }
}

/// A client that trusts the roots of a file.
fn trusting(path: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let file = |error| TlsError::File {
        path: path.to_owned(),
        error,
    };
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
        .cache(Kept(options.kept.clone()))
        .state()
}

/// Who answers: the authority asks the round that runs, everybody else that which had a certificate last.
#[derive(Debug)]
struct Answers {
    running: Mutex<Arc<ResolvesServerCertAcme>>,
    shown: Mutex<Arc<ResolvesServerCertAcme>>,
}

impl Answers {
    fn new(state: &State) -> Self {
        Self {
            running: Mutex::new(state.resolver()),
            shown: Mutex::new(state.resolver()),
        }
    }

    fn begin(&self, state: &State) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = state.resolver();
    }

    fn show(&self, state: &State) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = state.resolver();
    }
}

impl ResolvesServerCert for Answers {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_authority = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == PROTOCOL));
        let who = if is_authority {
            &self.running
        } else {
            &self.shown
        };
        let who = Arc::clone(&who.lock().unwrap_or_else(PoisonError::into_inner));
        who.resolve(hello)
    }
}

/// Account and certificates, in files that nobody else may read.
struct Kept(PathBuf);

impl Kept {
    /// The file of something that belongs to these names and that authority.
    fn path(&self, what: &str, names: &[String], directory: &str) -> PathBuf {
        let all = [names, &[directory.to_owned()]].concat().join("\n");
        let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, all.as_bytes()).as_ref());
        let hash = hash.get(..16).unwrap_or(&hash);
        self.0.join(format!("{what}-{hash}"))
    }

    fn read(path: &Path) -> Result<Option<String>, CertError> {
        match read_private(path) {
            Ok(text) => Ok(Some(text)),
            Err(CertError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl CertCache for Kept {
    type EC = CertError;

    async fn load_cert(
        &self,
        names: &[String],
        directory: &str,
    ) -> Result<Option<Vec<u8>>, CertError> {
        let read = Self::read(&self.path("certificate", names, directory))?;
        Ok(read.map(String::into_bytes))
    }

    async fn store_cert(
        &self,
        names: &[String],
        directory: &str,
        pem: &[u8],
    ) -> Result<(), CertError> {
        let path = self.path("certificate", names, directory);
        write_private(&path, &String::from_utf8_lossy(pem))
    }
}

#[async_trait]
impl AccountCache for Kept {
    type EA = CertError;

    async fn load_account(
        &self,
        names: &[String],
        directory: &str,
    ) -> Result<Option<Vec<u8>>, CertError> {
        let read = Self::read(&self.path("account", names, directory))?;
        // A key that cannot be read is as good as none: another account does as well.
        Ok(read.and_then(|text| BASE64.decode(text.trim().as_bytes()).ok()))
    }

    async fn store_account(
        &self,
        names: &[String],
        directory: &str,
        key: &[u8],
    ) -> Result<(), CertError> {
        let path = self.path("account", names, directory);
        write_private(&path, &BASE64.encode(key))
    }
}
