//! The application: composes the screens, owns navigation and time travel, and alone knows them all.

mod act;
mod alarm;
mod comparison;
mod footer;
mod header;
mod message;
mod mouse;
mod navigation;
mod operate;
mod output;
mod palette;
mod prompt;
mod run;
mod save;
mod state;
#[cfg(test)]
mod tests;
mod typing;
mod update;
mod view;
mod visit;
mod way;

pub use message::{Effect, Message};
pub use navigation::open_host;
pub use run::{RunOptions, run};
pub use state::{Options, Screens, State};
pub use update::{deliver, update};
pub use view::draw;
