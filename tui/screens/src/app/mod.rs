//! The application: composes the screens, owns navigation and time travel, and alone knows them all.

mod act;
mod alarm;
mod comparison;
mod drag;
mod footer;
mod header;
mod linear;
mod message;
mod mouse;
mod navigation;
mod operate;
mod output;
mod palette;
mod prompt;
mod run;
mod run_linear;
mod save;
mod selection;
mod state;
#[cfg(test)]
mod tests;
mod typing;
mod update;
mod view;
mod visit;
mod way;

pub use message::{Effect, Message};
pub use run::{RunOptions, run};
pub use run_linear::run_linear;
pub use state::{Options, Screens, State};
pub use update::{deliver, update};
pub use view::draw;
pub use way::open_host;
