//! What screens are drawn with; knows no screen.

pub(crate) mod axis;
pub(crate) mod chart;
pub(crate) mod command;
pub(crate) mod meter;
pub(crate) mod mirrored;
pub(crate) mod paint;
pub(crate) mod plot;
pub(crate) mod process_list;
pub(crate) mod section;
pub(crate) mod sparkline;
pub(crate) mod traces;
