//! Checks: tries to reach services, on a thread of its own, and what they answered.

mod guard;
mod outcome;
mod probe;
mod run;

pub use outcome::{Outcome, Phases};
pub(crate) use run::start;
pub use run::{Progress, once};
