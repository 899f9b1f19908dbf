//! Alerts: [`rule`] says what is bad, [`engine`] finds it in the rows, [`notify`] tells somebody.

pub mod engine;
pub mod notify;
pub mod rule;
