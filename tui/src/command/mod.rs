//! The commands, a file each.

pub(crate) mod args;
mod invocation;
pub(crate) mod join;
mod local;
mod profile;
pub(crate) mod query;
pub(crate) mod show;
pub(crate) mod snapshot;
mod target;
pub(crate) mod top;
pub(crate) mod web;

pub(crate) use invocation::Invocation;
