//! Errors with certificates, keys and the files they are in.

use std::io;
use std::path::PathBuf;

use sysmon_clock::NoRandomness;
use thiserror::Error;

/// An error with a certificate, a key or the directory they are in.
#[derive(Debug, Error)]
pub enum CertError {
    /// The directory holds no identity.
    #[error(
        "no identity in {0}: run `sysmon-hub token create` on the hub, then the `join` command it prints on this machine"
    )]
    NoIdentity(PathBuf),
    /// The directory holds no certificate authority.
    #[error(
        "no certificate authority in {0}: name the state directory of a hub that has run with --state"
    )]
    NoAuthority(PathBuf),
    /// No running hub uses the state directory.
    #[error(
        "no hub is running with state directory {0}: start `sysmon-hub`, or name its state directory with --state"
    )]
    NotRunning(PathBuf),
    /// The identity is for another peer.
    #[error(
        "the identity in {dir} is for {found}, not for {wanted}: name another directory with --state, or issue one"
    )]
    WrongPeer {
        /// The identity's directory.
        dir: PathBuf,
        /// The peer it is for.
        found: String,
        /// The peer it should be for.
        wanted: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Other users can read a private key.
    #[error(
        "{0} is readable by other users: run `chmod 600 {0}`, and replace the key if they may have read it"
    )]
    Exposed(PathBuf),
    /// A file does not hold what it should.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key cannot be created.
    #[error("cannot create a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library rejects a certificate or key.
    #[error("cannot use this certificate or key: {0}")]
    Tls(String),
    /// A rotation has not been completed.
    #[error("the previous authority is still trusted: run `sysmon-hub ca retire` first")]
    Rotating,
    /// There is no previous authority to retire.
    #[error("no previous authority to retire: run `sysmon-hub ca rotate` first")]
    NotRotating,
    /// The certificate carries no role and name.
    #[error("the certificate names no sysmon peer")]
    NoPeer,
    /// There are no random numbers for a key or secret.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}
