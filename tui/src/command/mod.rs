//! What people type, a file for each command.

pub(crate) mod args;
pub(crate) mod join;
pub(crate) mod query;
pub(crate) mod show;
pub(crate) mod snapshot;
mod target;
pub(crate) mod top;
pub(crate) mod web;
