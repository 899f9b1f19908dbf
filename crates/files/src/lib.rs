//! Private files and directories: written whole or not at all, readable by their owner only, locked by one program.
//!
//! Every file of state goes through here. Where root writes into a directory of another user, files get the owner of
//! their directory, so that the service can read what an administrator's command wrote.
#![warn(clippy::missing_errors_doc)]

mod error;
mod lock;
mod owner;
mod private;
mod reference;
#[cfg(unix)]
mod socket;

pub use error::FileError;
pub use lock::StateLock;
pub use owner::{check_private_dir, keep_owner};
pub use private::{
    append_line, create_private_dir, create_private_subdir, credential, open_private, read_private,
    read_public, read_secret, remove_file, sync_dir, write_private, write_private_with,
};
pub use reference::{ReferenceError, resolve_reference};
#[cfg(unix)]
pub use socket::SocketPath;
