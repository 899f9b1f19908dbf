//! Certificates in files that somebody else renews.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, configure};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Certificate and key, as they are now.
#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    present: Mutex<(Arc<ServerConfig>, [SystemTime; 2])>,
}

fn load(certificate: &PathBuf, key: &PathBuf) -> Result<ServerConfig, TlsError> {
    let file = |path: &PathBuf, error| TlsError::File {
        path: path.clone(),
        error,
    };
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| file(certificate, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
    configure(|builder| builder.with_single_cert(chain, private))
}

fn changed(paths: [&PathBuf; 2]) -> Result<[SystemTime; 2], TlsError> {
    let [certificate, key] = paths.map(|path| {
        let changed = std::fs::metadata(path).and_then(|file| file.modified());
        changed.map_err(|error| TlsError::Io {
            path: path.clone(),
            error,
        })
    });
    Ok([certificate?, key?])
}

impl Files {
    /// Reads them.
    pub(super) fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let at = changed([&certificate, &key])?;
        let config = Arc::new(load(&certificate, &key)?);
        Ok(Self {
            certificate,
            key,
            present: Mutex::new((config, at)),
        })
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&present.0)
    }

    /// Reads them again if they are others now; whether they were.
    fn look(&self) -> Result<bool, TlsError> {
        let at = changed([&self.certificate, &self.key])?;
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.1 == at {
            return Ok(false);
        }
        // Not again before they change once more, whether they can be used or not.
        present.1 = at;
        present.0 = Arc::new(load(&self.certificate, &self.key)?);
        Ok(true)
    }

    /// Takes new files when there are some, for ever.
    pub(super) async fn renew(&self) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            match self.look() {
                Ok(false) => {}
                Ok(true) => tracing::info!("the page has a new certificate"),
                Err(error) => tracing::error!("the page keeps its certificate: {error}"),
            }
        }
    }
}
