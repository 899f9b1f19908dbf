//! Heartbeats: jobs report that they ran, and one that is late is down.

mod book;
mod listen;
mod store;

pub use book::{Book, Definition, hash};
pub(crate) use listen::start;
pub use store::{Store, StoreError};
