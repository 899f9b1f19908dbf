//! The real programs, as people run them.

mod fleet;
mod place;
#[cfg(unix)]
mod terminal;
