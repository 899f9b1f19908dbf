//! Renewing a certificate over the connection that it was presented on.

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, SystemTime};

use quinn::Connection;
use sysmon_certs::Identity;
use sysmon_wire::message::{Blob, Reply, Request};
use tokio::time::timeout;

use crate::certificate::is_renewal_due;
use crate::client::Credentials;
use crate::{Connector, LinkError, Replies};

/// How often certificates are checked for renewal.
pub const RENEWAL_INTERVAL: Duration = Duration::from_hours(1);

/// Time for the hub to sign.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

impl Connector {
    /// Whether the certificate was due for renewal at the last connection.
    pub fn is_renewal_due(&self) -> bool {
        self.credentials().is_due
    }

    /// Renews the certificate like [`renew_if_due`] and presents the new one from the next connection on. The caller
    /// saves the returned identity.
    ///
    /// # Errors
    /// As [`renew_if_due`].
    pub async fn renew_if_due(
        &self,
        connection: &Connection,
        clock_offset_ms: i64,
    ) -> Result<Option<Identity>, LinkError> {
        let identity = self.credentials().identity.clone();
        let Some(identity) = identity else {
            return Ok(None);
        };
        let now = self.clock().system_time();
        let renewed = renew_if_due(connection, now, clock_offset_ms, &identity).await?;
        if let Some(renewed) = &renewed {
            *self.credentials() = Credentials::of(renewed)?;
        }
        Ok(renewed)
    }

    /// Renews the certificate whenever it is due and saves it in `dir`; never returns.
    pub async fn renew_periodically(
        &self,
        connection: &Connection,
        clock_offset_ms: i64,
        dir: Option<&Path>,
    ) -> Infallible {
        loop {
            match self.renew_if_due(connection, clock_offset_ms).await {
                Ok(None) => {}
                Ok(Some(identity)) => match dir.map(|dir| identity.save(dir)) {
                    Some(Err(error)) => {
                        tracing::error!(%error, "cannot save the renewed certificate");
                    }
                    _ => tracing::info!("certificate renewed"),
                },
                Err(error) => tracing::warn!(%error, "cannot renew the certificate"),
            }
            tokio::time::sleep(RENEWAL_INTERVAL).await;
        }
    }
}

/// Asks the hub to sign the identity's key again if two thirds of the certificate's life have passed on the hub's
/// clock, or if the hub presents a new authority. `now` is this machine's clock.
///
/// # Errors
/// The hub refuses, does not answer in time, or answers with a certificate for another peer or key.
pub async fn renew_if_due(
    connection: &Connection,
    now: SystemTime,
    clock_offset_ms: i64,
    identity: &Identity,
) -> Result<Option<Identity>, LinkError> {
    if !is_renewal_due(connection, now, clock_offset_ms, identity) {
        return Ok(None);
    }
    let request = Request::Renew {
        request: Blob(identity.renewal_request()?),
    };
    let exchange = async {
        let mut replies = Replies::open(connection, &request).await?;
        replies.next().await
    };
    let answer = timeout(ANSWER_TIMEOUT, exchange).await;
    match answer.map_err(|_| LinkError::HelloTimeout)?? {
        Some(Reply::Renewed {
            authority,
            certificate,
        }) => {
            let text = |blob: &Blob| String::from_utf8_lossy(&blob.0).into_owned();
            Ok(Some(
                identity.renewed(&text(&authority), &text(&certificate))?,
            ))
        }
        Some(Reply::Refused { reason }) => Err(LinkError::Refused(reason.to_string())),
        _ => Err(LinkError::StreamEnded),
    }
}
