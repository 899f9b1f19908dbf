//! Errors with certificates, keys and the files they are in.
#![allow(missing_docs, reason = "the messages say what the variants mean")]

use std::path::PathBuf;

use sysmon_clock::NoRandomness;
use sysmon_files::FileError;
use thiserror::Error;

/// An error with a certificate, a key or the directory they are in.
#[derive(Debug, Error)]
pub enum CertError {
    #[error(
        "no identity in {0}: run `sysmon-hub token create` on the hub, then the `join` command it prints on this machine"
    )]
    NoIdentity(PathBuf),
    #[error(
        "no certificate authority in {0}: name the state directory of a hub that has run with --state"
    )]
    NoAuthority(PathBuf),
    #[error(
        "no hub is running with state directory {0}: start `sysmon-hub`, or name its state directory with --state"
    )]
    NotRunning(PathBuf),
    #[error(
        "the identity in {dir} is for {found}, not for {wanted}: name another directory with --state, or issue one"
    )]
    WrongPeer {
        dir: PathBuf,
        found: String,
        wanted: String,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("cannot create a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot use this certificate or key: {0}")]
    Tls(String),
    #[error("the previous authority is still trusted: run `sysmon-hub ca retire` first")]
    Rotating,
    #[error("no previous authority to retire: run `sysmon-hub ca rotate` first")]
    NotRotating,
    #[error("{name} is the name of an {roles}: say which with --role")]
    SeveralRoles { name: String, roles: String },
    #[error("the certificate names no sysmon peer")]
    NoPeer,
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}
