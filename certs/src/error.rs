//! What can be wrong with certificates and keys, in words for people.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with a certificate, key or the folder they are in.
#[derive(Debug, Error)]
pub enum CertError {
    /// There is no identity yet.
    #[error(
        "no identity in {0}: run `sysmon-hub token create` on the hub, and here the `join` command that it prints"
    )]
    NoIdentity(PathBuf),
    /// There is no authority where one must be.
    #[error("no certificate authority in {0}: is this the state directory of a hub that has run?")]
    NoAuthority(PathBuf),
    /// No hub is running on a state directory.
    #[error("no hub runs on {0}: start `sysmon-hub`, or name its state directory with --state")]
    NotRunning(PathBuf),
    /// An identity is of somebody else than wanted.
    #[error(
        "the identity in {dir} is of {found}, not of {wanted}: name another --state, or issue one for it"
    )]
    WrongPeer {
        /// Where it is.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read a private key.
    #[error("{0} can be read by others: run `chmod 600 {0}`, and issue it anew if they may have")]
    Exposed(PathBuf),
    /// A file is not what it should be.
    #[error("{path} is damaged or not what it should be: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// The TLS library refuses the material.
    #[error("cannot use this certificate or key: {0}")]
    Tls(String),
    /// An authority takes the place of another already.
    #[error("the authority before this one is still trusted: run `sysmon-hub ca retire` first")]
    Rotating,
    /// There is no authority whose place another takes.
    #[error("there is no older authority: run `sysmon-hub ca rotate` first")]
    NotRotating,
    /// A verified certificate that names nobody.
    #[error("a certificate that names no sysmon peer")]
    NoPeer,
}
