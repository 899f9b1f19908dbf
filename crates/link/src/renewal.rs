//! Renewing a certificate over the connection that it was shown on.

use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, SystemTime};

use quinn::Connection;
use sysmon_certs::Identity;
use sysmon_wire::message::{Blob, Reply, Request};
use tokio::time::timeout;

use crate::client::Credentials;
use crate::listener::chain;
use crate::{Connector, LinkError, Replies};

/// How often it is looked whether a certificate is to be renewed.
pub const RENEWAL_INTERVAL: Duration = Duration::from_hours(1);

/// How long a hub has to sign.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

impl Connector {
    /// Whether the certificate was to be renewed when it was last shown.
    pub fn is_renewal_due(&self) -> bool {
        self.credentials().is_due
    }

    /// Renews the certificate over a connection, as [`renew_if_due`] does, and shows the new one from the next
    /// connection on. What is to be kept is returned.
    pub async fn renew_if_due(
        &self,
        connection: &Connection,
        clock_offset_ms: i64,
    ) -> Result<Option<Identity>, LinkError> {
        let identity = self.credentials().identity.clone();
        let Some(identity) = identity else {
            return Ok(None);
        };
        let renewed = renew_if_due(connection, clock_offset_ms, &identity).await?;
        if let Some(renewed) = &renewed {
            *self.credentials() = Credentials::of(renewed)?;
        }
        Ok(renewed)
    }
}

impl Connector {
    /// Renews the certificate whenever it is time, and keeps it in a directory if there is one, for as long as this
    /// is awaited.
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
                        tracing::error!("the renewed certificate is not kept: {error}");
                    }
                    _ => tracing::info!("the certificate is renewed"),
                },
                Err(error) => tracing::warn!("the certificate is not renewed: {error}"),
            }
            tokio::time::sleep(RENEWAL_INTERVAL).await;
        }
    }
}

/// Has the hub at the other end sign a certificate anew, if two thirds of its life are over by the hub's clock
/// or the hub has another authority than before.
pub async fn renew_if_due(
    connection: &Connection,
    clock_offset_ms: i64,
    identity: &Identity,
) -> Result<Option<Identity>, LinkError> {
    if !is_due(connection, clock_offset_ms, identity) {
        return Ok(None);
    }
    let request = Request::Renew {
        request: Blob(identity.renewal_request()?),
    };
    let asked = async {
        let mut replies = Replies::open(connection, &request).await?;
        replies.next().await
    };
    let answer = timeout(ANSWER_TIMEOUT, asked).await;
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

/// Whether two thirds of a certificate's life are over by the hub's clock, or the hub has another authority than
/// before.
pub(crate) fn is_due(connection: &Connection, clock_offset_ms: i64, identity: &Identity) -> bool {
    let ahead = Duration::from_millis(clock_offset_ms.unsigned_abs());
    let now = SystemTime::now();
    let now = if clock_offset_ms < 0 {
        now + ahead
    } else {
        now - ahead
    };
    let shown = chain(connection);
    let mut others = shown.iter().skip(1);
    let is_new = others.any(|authority| !identity.authorities().contains(authority));
    is_new || identity.is_renewal_due(now)
}
