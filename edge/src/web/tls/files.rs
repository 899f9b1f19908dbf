//! Certificate and key in files that another program renews.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, configure};

const CHECK_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    loaded: Mutex<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    modified: [SystemTime; 2],
}

fn load(certificate: &PathBuf, key: &PathBuf) -> Result<ServerConfig, TlsError> {
    let file = |path: &PathBuf, error| TlsError::File(path.clone(), error);
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| file(certificate, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
    configure(|builder| builder.with_single_cert(chain, private))
}

fn modified(paths: [&PathBuf; 2]) -> Result<[SystemTime; 2], TlsError> {
    let [certificate, key] = paths.map(|path| {
        let modified = std::fs::metadata(path).and_then(|file| file.modified());
        modified.map_err(|error| TlsError::Io(path.clone(), error))
    });
    Ok([certificate?, key?])
}

impl Files {
    pub(super) fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let modified = modified([&certificate, &key])?;
        let config = Arc::new(load(&certificate, &key)?);
        Ok(Self {
            certificate,
            key,
            loaded: Mutex::new(Loaded { config, modified }),
        })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded().config)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reload(&self) -> Result<bool, TlsError> {
        let modified = modified([&self.certificate, &self.key])?;
        let mut loaded = self.loaded();
        if loaded.modified == modified {
            return Ok(false);
        }
        // Files that cannot be used are not tried again until they change.
        loaded.modified = modified;
        loaded.config = Arc::new(load(&self.certificate, &self.key)?);
        Ok(true)
    }

    pub(super) async fn renew(&self) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!("page certificate reloaded"),
                Err(error) => {
                    tracing::error!(%error, "cannot reload the page certificate; the previous one stays in use");
                }
            }
        }
    }
}
